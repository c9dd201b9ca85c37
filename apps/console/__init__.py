"""Floor 12: pages and endpoints composed of several apps: homes, the agent page, halts, audit, search, live."""
