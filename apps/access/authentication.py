"""People's tokens at the API's door."""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication

from apps.access.models import PersonalToken
from apps.access.services import authenticate_token
from apps.access.services.tokens import PREFIX
from apps.core.authentication import bearer_of
from apps.core.errors import NotAllowedError, NotAuthenticatedError
from apps.core.models import User

READING = {"GET", "HEAD", "OPTIONS"}


class PersonalTokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer acp_pat_...``: a person's script."""

    def authenticate(self, request: Any) -> tuple[User, PersonalToken] | None:
        """The token's holder. Any other bearer that reached us is nobody's."""
        token = bearer_of(request)
        if token is None:
            return None
        if not token.startswith(f"{PREFIX}_"):
            raise NotAuthenticatedError(_("This is not a key of ours."))
        found = authenticate_token(token)
        if found.read_only and request.method not in READING:
            request.user = found.user  # so that the refusal is recorded as theirs
            raise NotAllowedError(_("This token only reads."), code="token_reads_only")
        return found.user, found

    def authenticate_header(self, request: Any) -> str:
        """So that a missing credential is 401, not 403."""
        return "Bearer"
