"""What the endpoints that only people use have in common."""

from rest_framework.request import Request

from apps.core.api import PlaneView
from apps.core.gate import require_human


class PersonView(PlaneView):
    """An endpoint that only people use."""

    def check_permissions(self, request: Request) -> None:
        """Agents and systems are refused before their bodies are read."""
        super().check_permissions(request)
        require_human(self.actor)
