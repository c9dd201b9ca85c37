"""Names of entries that the ledger itself knows."""

REFUSED = "request.refused"
"""Somebody tried something through the API and was refused."""
