"""People's tokens at the API's door."""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication

from apps.access.services import find_token_holder
from apps.access.services.people import PREFIX
from apps.core.authentication import bearer_of
from apps.core.errors import NotAuthenticatedError
from apps.core.models import User


class PersonalTokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer acp_pat_...``: a person's script."""

    def authenticate(self, request: Any) -> tuple[User, str] | None:
        """The token's holder. Any other bearer that reached us is nobody's."""
        token = bearer_of(request)
        if token is None:
            return None
        if not token.startswith(f"{PREFIX}_"):
            raise NotAuthenticatedError(_("This is not a key of ours."))
        return find_token_holder(token), "token"

    def authenticate_header(self, request: Any) -> str:
        """So that a missing credential is 401, not 403."""
        return "Bearer"
