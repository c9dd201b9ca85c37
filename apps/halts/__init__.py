"""Floor 4: kill switches. A halt that has committed lets no new effect start."""
