"""The REST door of connectors: systems, operations, permissions."""
