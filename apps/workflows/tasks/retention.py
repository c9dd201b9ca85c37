"""What is kept for as long as its classes of data say, and no longer."""

from apps.workflows.services.retention import erase_ended

__all__ = ["erase_ended"]
