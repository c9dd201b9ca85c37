"""Floor 11: the declarative documents. ``apply`` makes the database say what they say; ``export`` writes them."""
