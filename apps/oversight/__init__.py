"""Floor 7: what waits for people. Escalations, votes, decisions, the grants that approvals release, the inbox."""
