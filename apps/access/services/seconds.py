"""Two people by name: what documents bring in production, where one person alone may not do it elsewhere."""

from collections.abc import Collection

from django.conf import settings
from django.db.models import Model
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.services.units import require_manager
from apps.audit.services import record
from apps.core.errors import NotAllowedError
from apps.core.models import User

type Right = tuple[str, BusinessUnit | None]
"""A permission, and the unit in which it is needed; without a unit, everywhere."""


def require_two_by_name(
    actor: User, subject: Model, *, second: User | None, rights: Collection[Right], at: str
) -> None:
    """In production, ask for ``actor``, a person, and ``second``, another who holds each of ``rights`` as well.

    Whoever was named has not acted: the entry says who named them, and for what (``at``: the key of the document).
    Elsewhere nothing is asked. Raises NotAllowedError at ``at``.
    """
    if not settings.IN_PRODUCTION:
        return
    if not actor.is_human or second is None:
        raise _missing(at, _("It takes two people: name who applies it with --as, and another with --approved-by."))
    if second.pk == actor.pk or not (second.is_human and second.is_active):
        raise _missing(at, _("It takes two people: --approved-by names another person, who is active."))
    for perm, unit in rights:
        try:
            require_manager(second, unit, perm)
        except NotAllowedError as error:
            told = {"who": second, "what": perm, "unit": unit or _("Everything")}
            text = _("%(who)s, named by --approved-by, may not agree: it takes %(what)s in %(unit)s.")
            raise _missing(at, text % told) from error
    note_second(actor, subject, second=second, of=at)


def note_second(actor: User, subject: Model, *, second: User, of: str) -> None:
    """Record that ``actor`` named ``second`` as the one who agrees."""
    named = {"approved_by": second.username, "named_by": actor.username, "of": of}
    record(actor, subject, "approval_named", payload=named)


def _missing(at: str, text: str) -> NotAllowedError:
    return NotAllowedError(text, errors={at: [text]})
