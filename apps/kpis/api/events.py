"""The runs behind a number as an event log."""

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from apps.core.api import PlaneView, known_params
from apps.core.errors import InvalidError
from apps.core.schema import PROBLEMS
from apps.kpis.api.kpis import AGENT_VERSION, FILTERS, PARAMS, PARTS_ASKED, seen_in
from apps.kpis.rules.eventlogs.writing import TYPES, LogKind, written
from apps.kpis.rules.filters import PARTS
from apps.kpis.selectors import definition_for
from apps.kpis.selectors.events import TOLD, traces_for


class _AnyRenderer(JSONRenderer):
    """Refusals, to whoever asked for a file by its type."""

    media_type = "*/*"


class KpiEvents(PlaneView):
    """``/kpis/{kpi}/events/``."""

    renderer_classes = [JSONRenderer, _AnyRenderer]

    @extend_schema(
        operation_id="export_kpi_events",
        parameters=[
            *FILTERS,
            AGENT_VERSION,
            *PARTS_ASKED,
            OpenApiParameter("as", str, enum=list(LogKind), description="csv unless asked."),
        ],
        responses={(200, one.split(";")[0]): OpenApiTypes.BINARY for one in TYPES.values()} | PROBLEMS,
    )
    def get(self, request: Request, kpi: str) -> StreamingHttpResponse:
        """The runs behind a number or a part of it as an event log: an event is a round of a step, a case is a run."""
        known_params(request, *PARAMS, "agent_version", *PARTS, "as")
        definition = definition_for(self.actor, kpi)
        asked = request.query_params.get("as", LogKind.CSV)
        if asked not in list(LogKind):
            raise InvalidError(errors={"as": [f"One of {', '.join(LogKind)}."]})
        query = {name: value for name, value in request.query_params.dict().items() if name != "as"}
        kind = LogKind(asked)
        traces = traces_for(self.actor, definition, seen_in(self.actor, query))
        return StreamingHttpResponse(written(traces, kind, TOLD), content_type=TYPES[kind])
