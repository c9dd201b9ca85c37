"""The hall: settings, addresses, Celery, and the boards that wire the apps together."""

from controlplane.celery import app as celery_app

__all__ = ["celery_app"]
