"""Floor 8: workflows. Definitions, runs, the engine that advances them, and the router that hands out their tasks."""
