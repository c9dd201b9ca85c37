"""What the database's errors mean to whoever asked, and the line that says what happened to who runs the plane."""

import structlog
from django.db import IntegrityError, InterfaceError, OperationalError
from psycopg.errors import UniqueViolation

from apps.core import errors

log = structlog.get_logger(__name__)


def database_error_of(error: BaseException | None) -> errors.DomainError | None:
    """What it means that the database did not answer, or that somebody else made the same at once; None for a bug."""
    if isinstance(error, OperationalError | InterfaceError):
        return errors.UnavailableError()
    if isinstance(error, IntegrityError) and isinstance(error.__cause__, UniqueViolation):
        return errors.ConflictError()
    return None


def note_unanswered(error: BaseException | None) -> None:
    """Log why the database did not answer: a deadlock, a statement that took too long, a full disk. Nothing else.

    Whoever asked is told none of it; the values that PostgreSQL quotes are masked as in every line.
    """
    if isinstance(error, OperationalError | InterfaceError):
        cause = type(error.__cause__ or error).__name__
        log.warning("database_did_not_answer", cause=cause, exc_info=error)
