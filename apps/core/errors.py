"""The errors that services raise. Two places translate them, the API's exception handler and one middleware."""

from typing import Any

from django.utils.translation import gettext_lazy as _


class DomainError(Exception):
    """The request is understood and refused.

    ``code`` is stable and part of the public interface, ``errors`` says what is wrong by field,
    ``members`` are further members of the problem document (``winner``, ``scope``, ``version``).
    """

    code = "refused"
    status = 400
    message: Any = _("The request is refused.")

    def __init__(
        self,
        message: Any = None,
        *,
        code: str | None = None,
        errors: dict[str, list[str]] | None = None,
        **members: object,
    ) -> None:
        self.message = message or self.message
        self.code = code or self.code
        self.errors = errors or {}
        self.members = members
        super().__init__(str(self.message))


class MalformedError(DomainError):
    code, status, message = "malformed", 400, _("The body cannot be read.")


class NotAuthenticatedError(DomainError):
    code, status, message = "not_authenticated", 401, _("Credentials are missing or not valid.")


class NotAllowedError(DomainError):
    code, status, message = "not_allowed", 403, _("None of your permissions covers this.")


class NotFoundError(DomainError):
    code, status, message = "not_found", 404, _("There is no such thing, or you may not see it.")


class ConflictError(DomainError):
    code, status, message = "invalid_state", 409, _("Someone else changed it first.")


class TooLargeError(DomainError):
    code, status, message = "too_large", 413, _("The body is too large.")


class InvalidError(DomainError):
    code, status, message = "invalid", 422, _("Some values do not fit.")


class HaltedError(DomainError):
    code, status, message = "halted", 423, _("A halt is engaged.")


class RateLimitedError(DomainError):
    code, status, message = "rate_limited", 429, _("Too many requests.")


class UnavailableError(DomainError):
    code, status, message = "unavailable", 503, _("The plane cannot answer now; nothing was done.")


FIELDS_TOLD, FIELD_MAX, TEXTS_TOLD, TEXT_MAX = 100, 200, 20, 1_000


def told_errors(found: dict[str, list[str]]) -> dict[str, Any]:
    """What is wrong by field, as far as it is told: not all of a hundred thousand names that somebody sent."""
    told = {
        name[:FIELD_MAX]: [str(text)[:TEXT_MAX] for text in texts[:TEXTS_TOLD]]
        for name, texts in list(found.items())[:FIELDS_TOLD]
    }
    left_out = len(found) - FIELDS_TOLD
    return {"errors": told, **({"errors_left_out": left_out} if left_out > 0 else {})}


def misplaced_error(paths: list[str]) -> InvalidError:
    """What is said of secrets in fields that others read; never the secret."""
    said = _("A secret stands here (a key, or a private key), where others would read it. Nothing of it was kept.")
    more = _("Replace the secret, too: it has been sent where it does not belong.")
    return InvalidError(errors={path or "body": [f"{said} {more}"] for path in paths})
