"""Commands on people."""

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.services.units import require_manager, write_if_changed
from apps.audit.services import record
from apps.core.errors import InvalidError
from apps.core.models import User
from apps.core.rules import UserKind


@transaction.atomic
def save_person(
    actor: User, *, username: str, name: str, email: str, password: str | None = None, is_staff: bool = False
) -> tuple[User, str]:
    """Make or change a person. Without ``password`` the present one stays; a new person then cannot sign in by one."""
    require_manager(actor, None)
    found = User.objects.select_for_update().filter(username=username).first()
    if found and found.kind != UserKind.HUMAN:
        raise InvalidError(errors={"username": [_("This name belongs to an agent or a system.")]})
    if found and found.is_emergency:
        raise InvalidError(errors={"username": [_("This is an emergency account: nobody's own.")]})
    user = found or User(username=username, kind=UserKind.HUMAN, password="!")  # noqa: S106 - "!" admits nobody
    values = {"name": name, "email": email, "is_staff": is_staff, "is_active": True}
    outcome = write_if_changed(actor, user, is_new=found is None, values=values)
    if password and not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
        record(actor, user, "user.password_set")
        outcome = "changed" if outcome == "unchanged" else outcome
    return user, outcome
