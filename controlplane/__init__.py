"""The hall: settings, addresses, Celery, and the boards that wire the apps together."""
