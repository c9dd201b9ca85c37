"""The sample company: its documents, its systems of record, its agents, and the commands that bring it to life."""
