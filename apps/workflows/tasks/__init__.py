"""What follows in workflows from decisions, and what runs by the clock."""
