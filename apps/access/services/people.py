"""Commands on people."""

from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit, DirectoryAccount, Role, RoleGrant
from apps.access.selectors import RESERVED, live_grants
from apps.access.services.grants import grant_role, revoke_role
from apps.access.services.sessions import end_sessions_of
from apps.access.services.tokens import revoke_token
from apps.access.services.turns import take_turn
from apps.access.services.units import require_manager, write_if_changed
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.models import User
from apps.core.rules import UserKind


@transaction.atomic
def save_person(
    actor: User,
    *,
    username: str,
    name: str,
    email: str,
    password: str | None = None,
    is_staff: bool | None = None,
    reinstate: bool = False,
) -> tuple[User, str]:
    """Make or change a person. Without ``password`` the present one stays; a new person then cannot sign in by one.

    Without ``is_staff`` they stay what they are; a new person has no place in the back office.

    Whoever has left stays out: raises ConflictError ``has_left``, unless ``reinstate`` says that they come back. Raises
    InvalidError for an address that somebody else has: by it people are found when they sign in.
    """
    require_manager(actor, None)
    found = User.objects.select_for_update(no_key=True).filter(username=username).first()
    if found is None and username.lower() in RESERVED:
        raise InvalidError(errors={"username": [_("The plane's own users have this name.")]})
    if found and found.kind != UserKind.HUMAN:
        raise InvalidError(errors={"username": [_("This name belongs to an agent or a system.")]})
    if found and found.is_emergency:
        raise InvalidError(errors={"username": [_("This is an emergency account: nobody's own.")]})
    if found is None or found.email != email:
        _require_own_address(email, found)
    comes_back = bool(found and not found.is_active)
    if found and comes_back:
        _reinstate(actor, found, is_said=reinstate)
    user = found or User(username=username, kind=UserKind.HUMAN, password="!")  # noqa: S106 - "!" admits nobody
    values = {"name": name, "email": email, "is_staff": user.is_staff if is_staff is None else is_staff}
    outcome = write_if_changed(actor, user, is_new=found is None, values=values)
    has_new_password = bool(password and not user.check_password(password))
    if has_new_password:
        user.set_password(password)
        user.save(update_fields=["password"])
        record(actor, user, "user.password_set")
    return user, "changed" if outcome == "unchanged" and (comes_back or has_new_password) else outcome


@transaction.atomic
def make_person(
    actor: User,
    *,
    username: str,
    name: str,
    email: str,
    role: Role | None = None,
    unit: BusinessUnit | None = None,
    until: datetime | None = None,
) -> User:
    """Make somebody who is new here, with their first role in ``unit`` (everywhere without one) if there is one.

    Raises InvalidError where somebody has this user name, however it is spelt, or this address: by either people are
    found when they sign in.
    """
    require_manager(actor, None)
    take_turn()
    taken = InvalidError(errors={"username": [_("Somebody has this user name.")]})
    if User.objects.filter(username__iexact=username).exists():
        raise taken
    try:
        with transaction.atomic():
            user, _outcome = save_person(actor, username=username, name=name, email=email)
    except IntegrityError as error:  # made by another request in this moment
        raise taken from error
    if role is not None:
        grant_role(actor, user=user, role=role, unit=unit, until=until)
    return user


@transaction.atomic
def change_person(actor: User, *, user: User, name: str, email: str) -> User:
    """Say anew what somebody is called and their address. Raises what ``save_person`` raises."""
    require_manager(actor, None)
    return save_person(actor, username=user.username, name=name, email=email)[0]


@transaction.atomic
def bring_back_person(actor: User, *, user: User) -> User:
    """Let somebody in again who has left, with no role. Raises NotFoundError for who is here."""
    require_manager(actor, None)
    if User.objects.select_for_update(no_key=True).get(pk=user.pk).is_active:
        raise NotFoundError
    return save_person(actor, username=user.username, name=user.name, email=user.email, reinstate=True)[0]


def _require_own_address(email: str, user: User | None = None) -> None:
    others = User.objects.exclude(pk=user.pk) if user else User.objects.all()
    if email and others.filter(email__iexact=email).exists():
        raise InvalidError(errors={"email": [_("Somebody else has this address.")]})


def _reinstate(actor: User, user: User, *, is_said: bool) -> None:
    """Let somebody in again who had left. What they held until then stays over, and so does what was given meanwhile.

    Raises ConflictError unless it was said in so many words.
    """
    if not is_said:
        text = _(
            "They have left, and stay out. If they are to come back, say so: `state: active` in a document, "
            "`reinstate: true` at the API."
        )
        raise ConflictError(text, code="has_left")
    end_sessions_of(actor, user=user)
    for token in user.tokens.filter(revoked_at=None):
        revoke_token(actor, token=token)
    for grant in RoleGrant.objects.select_related("role", "unit", "user").filter(live_grants(), user=user):
        revoke_role(actor, grant=grant)
    # Whoever brings them back answers for it: what the directory said before ends with it.
    DirectoryAccount.objects.filter(user=user).update(ended=False)
    user.is_active = True
    user.save(update_fields=["is_active"])
    record(actor, user, "user.reinstated")
