"""Tools that agents used without asking the plane, and saying why that is right."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.console.forms import ReasonForm
from apps.core.errors import NotAllowedError
from apps.core.gate import holds
from apps.core.http import Request
from apps.core.pages import page_of
from apps.telemetry.rules.tools import FindingState
from apps.telemetry.selectors import (
    COVERAGE_DAYS,
    coverage_of_all_for,
    dismissible_for,
    examples_for,
    finding_for,
    findings_for,
)
from apps.telemetry.services import dismiss_finding

ORDER = ("-last_at", "-id")


@require_GET
def findings(request: Request) -> HttpResponse:
    """Every finding of the agents that one may see or owns; filters are in the address."""
    return _page(request)


def _page(
    request: Request, *, form: ReasonForm | None = None, of: UUID | None = None, status: int = 200
) -> HttpResponse:
    agent, state = request.GET.get("agent", "").strip(), request.GET.get("state", FindingState.OPEN)
    state = state if state in list(FindingState) else ""
    if not (holds(request.user, "agents.view_agent") or findings_for(request.user).exists()):
        raise NotAllowedError
    page = page_of(request, findings_for(request.user, agent=agent, state=state), order=ORDER)
    examples = examples_for(request.user, page.rows)
    context = {
        "page": page,
        "lines": [(finding, examples.get(finding.pk, [])) for finding in page.rows],
        "dismissible": dismissible_for(request.user),
        "coverage": coverage_of_all_for(request.user),
        "days": COVERAGE_DAYS,
        "agent": agent,
        "state": state,
        "states": list(FindingState),
        "form": form or ReasonForm(),
        "of": of,
    }
    return render(request, "console/tool_findings.html", context, status=status)


@require_POST
def dismiss(request: Request, finding_id: UUID) -> HttpResponse:
    """Dismiss one, with a reason."""
    finding = finding_for(request.user, finding_id)
    form = ReasonForm(request.POST, auto_id=f"dismiss-{finding.pk}-%s")
    if not form.is_valid():
        return _page(request, form=form, of=finding.pk, status=422)
    dismiss_finding(request.user, finding=finding, reason=form.cleaned_data["reason"])
    messages.success(request, _("Dismissed. Its calls still count as calls that the plane was not asked about."))
    return redirect("console:tool-findings")
