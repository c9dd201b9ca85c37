"""Floor 3: business units, roles, who holds them and until when, people's tokens, queues."""
