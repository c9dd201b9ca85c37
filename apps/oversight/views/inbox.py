"""The list and the item beside it. Each fragment lives at the address of its page."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_GET

from apps.core.gate import remembering, require
from apps.core.http import Request, is_prefetch, wants_fragment
from apps.core.models import User
from apps.core.pages import Page, page_from, page_of
from apps.oversight.forms import FATES, PICKED, InboxFilter, SavedViewForm, uuid_of
from apps.oversight.models import Escalation
from apps.oversight.rules import EscalationState, InboxView
from apps.oversight.selectors import (
    INBOX_ORDER,
    Counts,
    choices_for,
    counts_for,
    drill_plans_for,
    escalation_for,
    escalations_for,
    fates_for,
    first_for,
    likes_for,
    lines_for,
    saved_views_for,
)
from apps.oversight.services import note_view
from apps.oversight.views.detail import detail_context, query_of, why_of
from apps.oversight.views.focus import focus_context, in_focus
from apps.oversight.views.lists import VIEW, reading, rows_of

NEWEST_FIRST = ("-said",)
MAX_SHOWN = 200
MAX_GROUPS = 100
MAX_ARRIVED = 99
LATE_COMMIT = timedelta(seconds=3)


@require_GET
def inbox(request: Request) -> HttpResponse:
    """What waits; the most urgent item stands open beside it."""
    require(request.user, VIEW)
    filters = InboxFilter(request.GET)
    if wants_fragment(request):
        return _fragment(request, filters)
    return inbox_page(request, filters)


def inbox_page(request: Request, filters: InboxFilter, *, status: int = 200, **extra: Any) -> HttpResponse:
    """The whole page: the list, and its first item."""
    page = _page(request, filters, path=reverse("oversight:inbox"))
    first = escalation_for(request.user, page.rows[0].pk) if page.rows else None
    _offer_choices(request, filters)
    context = {**list_context(request, filters, page), **_open_one(request, first), "is_open": False, **extra}
    return _vary(render(request, "oversight/inbox.html", context, status=status))


@require_GET
def item(request: Request, escalation_id: UUID) -> HttpResponse:
    """One item: the detail alone for htmx, else the page with its list."""
    found = escalation_for(request.user, escalation_id)
    if not is_prefetch(request):
        note_view(request.user, item=found)
    return item_page(request, found)


def item_page(request: Request, found: Escalation, *, status: int = 200, **extra: Any) -> HttpResponse:
    """The item as fragment or as page, with what a decision left to say."""
    with remembering(request.user):
        return _item_page(request, found, status, extra)


def _item_page(request: Request, found: Escalation, status: int, extra: dict[str, Any]) -> HttpResponse:
    filters = InboxFilter(request.GET)
    context = {**_open_one(request, found, **extra), "filters": filters, "is_open": True}
    if wants_fragment(request):
        return _vary(render(request, "oversight/_detail.html", context, status=status))
    if in_focus(request):
        return _vary(render(request, "oversight/focus_item.html", {**context, **focus_context(request)}, status=status))
    page = _page(request, filters, path=reverse("oversight:inbox"))
    _offer_choices(request, filters)
    return _vary(
        render(request, "oversight/inbox.html", {**list_context(request, filters, page), **context}, status=status)
    )


def _open_one(request: Request, chosen: Escalation | None, **extra: Any) -> dict[str, Any]:
    if chosen is None:
        return {"sheet": None, "item": None, "selected": None}
    return {**detail_context(request, chosen, **extra), "selected": chosen.pk}


def _fragment(request: Request, filters: InboxFilter) -> HttpResponse:
    """What htmx asked for, by its target: what changed since, further rows, or the list anew."""
    if request.htmx.target == "arrivals":
        return _vary(render(request, "oversight/_arrivals.html", _changes(request, filters)))
    context = list_context(request, filters, _page(request, filters))
    if request.htmx.target == "more":
        return _vary(render(request, "oversight/_rows.html", context))
    _offer_choices(request, filters)
    return _vary(render(request, "oversight/_list.html", {**context, "selected": uuid_of(request.GET.get("selected"))}))


def list_context(request: Request, filters: InboxFilter, page: Page[Escalation]) -> dict[str, Any]:
    """What the list shows, and the state of the page that its links carry on."""
    is_past = filters.wanted["view"] == InboxView.DECIDED
    fates = fates_for(request.user, [row.pk for row in page.rows]) if is_past and page.rows else {}
    for row in page.rows:
        row.why = why_of(row)  # type: ignore[attr-defined] # what the row's second line says
        row.fate = fates.get(row.pk)  # type: ignore[attr-defined] # what became of it
    return {
        "filters": filters,
        "wanted": filters.wanted,
        "fate_words": dict(FATES),
        "page": page,
        "counts": counts_on(request),
        "list_query": query_of(request),
        "saved_views": saved_views_for(request.user),
        "view_form": SavedViewForm(),
        "drill_plans": drill_plans_for(request.user),
        "group_of": page.rows[0] if filters.group_key and page.rows else None,
    }


def _offer_choices(request: Request, filters: InboxFilter) -> None:
    """Fill the fields that filters are picked from: where they are drawn, not where only rows or news are."""
    if filters.wanted.get("pick"):
        filters.offer(choices_for(request.user, rows_of(request.user, filters, without=PICKED)))


def counts_on(request: Request, counts: Counts | None = None) -> Counts:
    """What waits for the person, counted once: the menu beside the list shows the same."""
    known: dict[str, Counts] = getattr(request, "navigation_counts", {})
    found = counts or known.get("inbox") or counts_for(request.user)
    request.navigation_counts = {"inbox": found}  # type: ignore[attr-defined] # read by core.context
    return found


def _page(request: Request, filters: InboxFilter, path: str = "") -> Page[Escalation]:
    if filters.folds and filters.wanted["view"] != InboxView.DECIDED:
        return _folded(request.user, filters)
    if filters.wanted["view"] == InboxView.MINE and not filters.is_filtered and "after" not in request.GET:
        first = first_for(request.user)
        counts_on(request, Counts.of(first))  # what the menu counts begins with this page
        found: Page[Any] = page_from(request, first, order=INBOX_ORDER)
    else:
        order = _order(filters)
        names = dict.fromkeys(["id", *(name.lstrip("-") for name in order)])
        keys = rows_of(request.user, filters).values_list(*names, named=True)
        with reading(filters):
            found = page_of(request, keys, order=order)
    rows = lines_for(request.user, [key.id for key in found.rows])
    next_url = f"{path}?{found.next_url.partition('?')[2]}" if path and found.next_url else found.next_url
    return Page(rows, next_url, found.is_first)


def _folded(actor: User, filters: InboxFilter) -> Page[Escalation]:
    """The most urgent item of each group of like ones, with how many stand behind it."""
    likes = likes_for(actor, rows_of(actor, filters))[:MAX_GROUPS]
    heads = {row.pk: row for row in lines_for(actor, [like.ids[0] for like in likes])}
    found = []
    for like in likes:
        if head := heads.get(like.ids[0]):  # else it was decided between the two queries
            head.like = like  # type: ignore[attr-defined] # what its row says below
            found.append(head)
    return Page(found, None, is_first=True)


def _order(filters: InboxFilter) -> tuple[str, ...]:
    return NEWEST_FIRST if filters.wanted["view"] == InboxView.DECIDED else INBOX_ORDER


def _changes(request: Request, filters: InboxFilter) -> dict[str, Any]:
    """What is new behind the rows on the screen, and which of them ended meanwhile. Nothing on the screen moves."""
    shown = [key for key in map(uuid_of, request.GET.getlist("shown")[:MAX_SHOWN]) if key]
    arrived = _arrived(request, filters, shown)
    selected = uuid_of(request.GET.get("selected"))
    seen = [*shown, *([selected] if selected else [])]
    ended = list(escalations_for(request.user).filter(pk__in=seen).exclude(state=EscalationState.PENDING))
    for row in ended:
        row.why = why_of(row)  # type: ignore[attr-defined] # as above
    open_one = next((row for row in ended if row.pk == selected), None)
    return {
        **list_context(request, filters, Page([], None, is_first=True)),
        "arrived": len(arrived),
        "grave": sum(risk in {"high", "critical"} for risk in arrived),
        "ended": [row for row in ended if row.pk in set(shown)],
        "oob": True,
        **_open_one(request, open_one),
        "selected": selected,
    }


def _arrived(request: Request, filters: InboxFilter, shown: list[UUID]) -> list[str]:
    """The risks of what came since the list was drawn; a transaction may commit a little after its row was born."""
    try:
        since = parse_datetime(request.GET.get("since", ""))
    except ValueError:  # well formed, and no such day
        since = None
    if since is None or filters.wanted["view"] == InboxView.DECIDED:
        return []
    rows = rows_of(request.user, filters).filter(created_at__gt=since - LATE_COMMIT).exclude(pk__in=shown)
    return list(rows.values_list("risk", flat=True)[:MAX_ARRIVED])


def _vary(response: HttpResponse) -> HttpResponse:
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response
