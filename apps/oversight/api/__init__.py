"""Where people knock for what waits for them; agents are turned away."""
