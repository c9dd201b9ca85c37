"""Commands on people's tokens for scripts."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NoReturn

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from apps.access.models import PersonalToken
from apps.access.rules import is_permission
from apps.access.services.units import require_manager
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotAuthenticatedError
from apps.core.gate import refuse_emergency, refuse_limited
from apps.core.keys import make_key, read_key
from apps.core.models import ClockTimestamp, User

PREFIX = "acp_pat"
MAX_DAYS = 365
MAX_TOKENS = 20
NAME_MAX = 80
COARSE = timedelta(minutes=1)
ALARM_EVERY = timedelta(minutes=15)
"""However often a dead token is used, it is recorded so often."""


@transaction.atomic
def create_token(
    actor: User, *, user: User, days: int = 30, name: str = "", permissions: Sequence[str] | None = None,
    read_only: bool = False,
) -> str:  # fmt: skip
    """Make a personal token; its text, shown once. People make their own; ``console`` may make anyone's.

    ``permissions``: which of their rights it carries; None: all. It never carries more than they hold when it is used.
    No token makes another one that can do more than itself: one that carries only some rights makes none.
    """
    if not user.is_human or not user.is_active:
        raise NotAllowedError
    refuse_emergency(user)
    refuse_limited(actor)
    if actor.pk != user.pk:
        require_manager(actor, None)
    carried = None if permissions is None else sorted(set(permissions))
    if errors := _errors(days, name, carried):
        raise InvalidError(errors=errors)
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if user.tokens.filter(PersonalToken.live()).count() >= MAX_TOKENS:
        raise ConflictError(_("%d tokens are live, the most there can be; revoke one first.") % MAX_TOKENS)
    key = make_key(PREFIX)
    token = PersonalToken.objects.create(
        user=user, name=name.strip(), key_id=key.key_id, digest=key.digest, permissions=carried, read_only=read_only,
        expires_at=ClockTimestamp() + timedelta(days=days),
    )  # fmt: skip
    told = {"key_id": key.key_id, "days": days, "permissions": carried, "read_only": read_only}
    record(actor, token, "created", payload=told)
    return key.text


def _errors(days: int, name: str, carried: list[str] | None) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    if not 1 <= days <= MAX_DAYS:
        errors["days"] = [_("From 1 to %d.") % MAX_DAYS]
    if len(name) > NAME_MAX:
        errors["name"] = [_("At most %d characters.") % NAME_MAX]
    if carried == []:
        errors["permissions"] = [_("Name at least one; a token without any could do nothing.")]
    if unknown := [each for each in carried or () if not is_permission(each)]:
        errors["permissions"] = [_("There is no permission %s.") % unknown[0]]
    return errors


@transaction.atomic
def revoke_token(actor: User, *, token: PersonalToken) -> None:
    """End a token; it acts on the next request."""
    refuse_limited(actor)
    if actor.pk != token.user_id:
        require_manager(actor, None)
    if PersonalToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=ClockTimestamp()):
        record(actor, token, "revoked", payload={"key_id": token.key_id})


def authenticate_token(text: str) -> PersonalToken:
    """The live token that this is, with its holder. Raises NotAuthenticatedError with the reason's code."""
    key = read_key(text, PREFIX)
    rows = PersonalToken.objects.select_related("user").annotate(
        is_live=Q(PersonalToken.live()), is_unused=Q(PersonalToken.unused_for(COARSE))
    )
    token = key and rows.filter(key_id=key.key_id, digest=key.digest).first()
    if not token or not token.user.is_active:
        raise NotAuthenticatedError
    if not token.is_live:
        _refuse_dead(token)
    if token.is_unused:  # one write a minute, not one a request
        PersonalToken.objects.filter(PersonalToken.unused_for(COARSE), pk=token.pk).update(
            last_used_at=ClockTimestamp()
        )
    carried = None if token.permissions is None else frozenset(token.permissions)
    token.user.carries = carried  # type: ignore[attr-defined] # an instance lives as long as its request
    return token


def token_behind(text: str) -> PersonalToken:
    """The token that ``create_token`` just made."""
    key = read_key(text, PREFIX)
    assert key is not None
    return PersonalToken.objects.get(key_id=key.key_id, digest=key.digest)


def find_token_holder(text: str) -> User:
    """The person whose live token this is. Raises NotAuthenticatedError with the reason's code."""
    return authenticate_token(text).user


def _refuse_dead(token: PersonalToken) -> NoReturn:
    code = "credential_revoked" if token.revoked_at else "credential_expired"
    silent = Q(alarmed_at=None) | Q(alarmed_at__lt=ClockTimestamp() - ALARM_EVERY)
    with transaction.atomic():
        if PersonalToken.objects.filter(silent, pk=token.pk).update(alarmed_at=ClockTimestamp()):
            record(token.user, token, "refused", payload={"code": code, "key_id": token.key_id})
    message = _("This token was revoked.") if token.revoked_at else _("This token has expired.")
    raise NotAuthenticatedError(message, code=code)
