"""Floor 1: what every app stands on: users, base models, errors, the permission gate, expressions, the queue."""
