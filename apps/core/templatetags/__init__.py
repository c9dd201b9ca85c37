"""Small leaves of templates: an icon, a badge, an amount."""
