"""The page on how far the figures can be trusted."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.core.gate import scope_for
from apps.core.http import Request
from apps.kpis.selectors.data_quality import DAYS, data_quality_for
from apps.kpis.selectors.reading import VIEW


@require_GET
def data_quality(request: Request) -> HttpResponse:
    """How late the figures are, and what is missing from them; as things stand, whatever the period."""
    found = data_quality_for(request.user)
    context = {"quality": found, "days": DAYS, "sees_all": scope_for(request.user, VIEW).everywhere}
    return render(request, "kpis/data_quality.html", context)
