"""Floor 9: what agents report of themselves. Their usage of models, and later traces and logs."""
