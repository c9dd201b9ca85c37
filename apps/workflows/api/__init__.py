"""Where agents and people knock: actions, runs, tasks, workflows."""
