"""What every request passes through."""

from apps.core.middleware.memory import ReadOnceMiddleware
from apps.core.middleware.policy import SecurityHeadersMiddleware
from apps.core.middleware.refusals import DomainErrorMiddleware, broken
from apps.core.middleware.requests import RequestIdMiddleware
from apps.core.middleware.sessions import SessionEndedMiddleware, SessionSeenMiddleware

__all__ = [
    "DomainErrorMiddleware",
    "ReadOnceMiddleware",
    "RequestIdMiddleware",
    "SecurityHeadersMiddleware",
    "SessionEndedMiddleware",
    "SessionSeenMiddleware",
    "broken",
]
