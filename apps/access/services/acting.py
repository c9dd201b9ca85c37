"""Who acts when ``manage.py`` runs: the system user ``console``, or the person whom ``--as`` names."""

from apps.core.errors import NotFoundError
from apps.core.models import User
from apps.core.services import system_user


def acting_user(username: str | None) -> User:
    """``console``, or the active person of this name. Raises NotFoundError. Whoever runs it owns the machine."""
    if not username:
        return system_user("console")
    if found := User.objects.filter(username=username, kind="human", is_active=True).first():
        return found
    raise NotFoundError(f"There is no active person called {username}.")
