"""Floor 6: outside systems behind governed operations; their secrets, their permissions, and every effect on them."""
