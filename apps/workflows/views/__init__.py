"""Pages of runs and workflows."""
