"""Floor 10: messages to people. Who wants what, when, by which channel; and what became of each message."""
