"""Floor 5: agents, their versions and credentials, and the actions they ask for."""
