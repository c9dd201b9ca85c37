"""Floor 6: policies: rules as data, the release in force, and the verdict on what an agent asks."""
