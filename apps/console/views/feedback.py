"""What people said of an agent's work: the page, and the same as a file."""

import csv
from collections.abc import Iterator

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.agents.models import Agent
from apps.agents.selectors import agent_for
from apps.core.gate import remembering
from apps.core.http import Request
from apps.core.pages import SIZE, page_from, place_of
from apps.core.rules import as_cell
from apps.oversight.rules.feedback import FILTERS, MAX_FEEDBACK, FeedbackFilter, Said, feedback_filter_of
from apps.oversight.selectors.feedback import all_feedback_for, feedback_for, lines_of
from apps.oversight.selectors.words import SAID, reason_words

ORDER = ("-at", "-id")
COLUMNS = (
    "at", "kind", "said", "operation", "version", "environment", "action", "run", "step", "task", "workflow",
    "reference", "reason_code", "reason", "retry", "fields", "question", "expect", "id",
)  # fmt: skip


class _Echo:
    """Where a writer of CSV writes a line: it gives it back."""

    def write(self, line: str) -> str:
        """The line."""
        return line


def _asked(request: Request) -> tuple[dict[str, str], FeedbackFilter]:
    asked = {name: request.GET.get(name, "").strip() for name in FILTERS}
    return asked, feedback_filter_of(asked)[0]


@require_GET
def feedback(request: Request, slug: str) -> HttpResponse:
    """What was said of it that one may see, newest first; filters are in the address."""
    found = agent_for(request.user, slug)
    asked, wanted = _asked(request)
    place = place_of(request, len(ORDER))
    with remembering(request.user):
        lines = feedback_for(request.user, found, wanted, behind_of=place, limit=SIZE + 1)
    page = page_from(request, lines, order=ORDER, is_first=place is None)
    query = request.GET.copy()
    query.pop("after", None)
    context = {
        "agent": found,
        "page": page,
        "rows": [(one, SAID.get(one.told["said"], ""), reason_words(one.told["reason_code"])) for one in page.rows],
        "said": [(said.value, SAID[said]) for said in Said],
        "versions": found.versions.order_by("-number").values_list("number", flat=True),
        "asked": asked,
        "filtered": any(asked.values()),
        "query": query.urlencode(),
        "most": MAX_FEEDBACK,
    }
    return render(request, "console/feedback.html", context)


@require_GET
def export(request: Request, slug: str, form: str) -> StreamingHttpResponse:
    """The same, up to ``MAX_FEEDBACK`` lines, as ``csv`` or ``jsonl``."""
    found, (_words, wanted) = agent_for(request.user, slug), _asked(request)
    lines = _cells(request, found, wanted) if form == "csv" else lines_of(all_feedback_for(request.user, found, wanted))
    kind = "text/csv; charset=utf-8" if form == "csv" else "application/x-ndjson"
    name = f'attachment; filename="{found.slug}-feedback.{form}"'
    return StreamingHttpResponse(lines, content_type=kind, headers={"Content-Disposition": name})


def _cells(request: Request, agent: Agent, wanted: FeedbackFilter) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for one in all_feedback_for(request.user, agent, wanted):
        told = {**one.told, "at": one.at.isoformat(), "fields": " ".join(one.told["fields"])}
        yield writer.writerow(as_cell("" if told[name] is None else told[name]) for name in COLUMNS)
