"""How long one's own decisions are held."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import StrictInteger, StrictSerializer
from apps.core.schema import PROBLEMS
from apps.oversight.api.people import PersonView
from apps.oversight.rules import MAX_HOLD_S
from apps.oversight.selectors import own_hold_for
from apps.oversight.services import set_own_hold


class DecidingBody(StrictSerializer):
    """Seconds from a decision of yours to its taking effect."""

    hold_s = StrictInteger(min_value=0, max_value=MAX_HOLD_S)


class Deciding(PersonView):
    """``/me/deciding/``."""

    @extend_schema(operation_id="get_deciding", responses={200: DecidingBody, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """How long your decisions are held before they take effect."""
        return Response({"hold_s": own_hold_for(self.actor)})

    @extend_schema(operation_id="set_deciding", request=DecidingBody, responses={200: DecidingBody, **PROBLEMS})
    def put(self, request: Request) -> Response:
        """Hold your decisions for 0 to 60 seconds, so that you can take them back. A rule's own hold stands."""
        return Response({"hold_s": set_own_hold(self.actor, hold_s=self.body(DecidingBody)["hold_s"])})
