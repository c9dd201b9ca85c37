"""Floor 2: the ledger. Every change leaves an entry here; what follows from a change is read from here."""
