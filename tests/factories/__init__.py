"""One ``make_<noun>(**fields)`` per noun, one file per app."""
