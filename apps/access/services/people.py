"""Commands on people and their tokens."""

from datetime import timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import PersonalToken
from apps.access.services.units import require_manager, write_if_changed
from apps.audit.services import record
from apps.core.errors import InvalidError, NotAllowedError, NotAuthenticatedError
from apps.core.keys import make_key, read_key
from apps.core.models import ClockTimestamp, User
from apps.core.rules import UserKind

PREFIX = "acp_pat"
MAX_DAYS = 365


@transaction.atomic
def save_person(
    actor: User, *, username: str, name: str, email: str, password: str | None = None, is_staff: bool = False
) -> tuple[User, str]:
    """Make or change a person. Without ``password`` the present one stays; a new person then cannot sign in by one."""
    require_manager(actor, None)
    found = User.objects.select_for_update().filter(username=username).first()
    if found and found.kind != UserKind.HUMAN:
        raise InvalidError(errors={"username": [_("This name belongs to an agent or a system.")]})
    user = found or User(username=username, kind=UserKind.HUMAN, password="!")  # noqa: S106 - "!" admits nobody
    values = {"name": name, "email": email, "is_staff": is_staff, "is_active": True}
    outcome = write_if_changed(actor, user, is_new=found is None, values=values)
    if password and not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
        record(actor, user, "user.password_set")
        outcome = "changed" if outcome == "unchanged" else outcome
    return user, outcome


@transaction.atomic
def create_token(actor: User, *, user: User, days: int = 30, name: str = "") -> str:
    """Make a personal token; its text, shown once. People make their own; ``console`` may make anyone's."""
    if not user.is_human or not user.is_active:
        raise NotAllowedError
    if actor.pk != user.pk:
        require_manager(actor, None)
    if not 1 <= days <= MAX_DAYS:
        raise InvalidError(errors={"days": [_("From 1 to %d.") % MAX_DAYS]})
    key = make_key(PREFIX)
    token = PersonalToken.objects.create(
        user=user, name=name, key_id=key.key_id, digest=key.digest, expires_at=ClockTimestamp() + timedelta(days=days)
    )
    record(actor, token, "created", payload={"key_id": key.key_id, "days": days})
    return key.text


@transaction.atomic
def revoke_token(actor: User, *, token: PersonalToken) -> None:
    """End a token; it acts on the next request."""
    if actor.pk != token.user_id:
        require_manager(actor, None)
    if PersonalToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=ClockTimestamp()):
        record(actor, token, "revoked")


def find_token_holder(text: str) -> User:
    """The person whose live token this is. Raises NotAuthenticatedError with the reason's code."""
    key = read_key(text, PREFIX)
    token = key and PersonalToken.objects.select_related("user").filter(key_id=key.key_id, digest=key.digest).first()
    if not token or not token.user.is_active:
        raise NotAuthenticatedError
    if token.revoked_at is not None:
        raise NotAuthenticatedError(_("This token was revoked."), code="credential_revoked")
    if not PersonalToken.objects.filter(PersonalToken.live(), pk=token.pk).exists():
        raise NotAuthenticatedError(_("This token has expired."), code="credential_expired")
    return token.user
