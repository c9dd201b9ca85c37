"""What the pages of things that two people change answer to a button."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from apps.core.errors import ConflictError, InvalidError
from apps.core.http import Request, refusal_of


def answered(
    request: Request,
    page: str,
    slug: str,
    command: Callable[[], object],
    said: str,
    *,
    show: Callable[..., HttpResponse],
    at: str = "",
    of: object = "",
) -> HttpResponse:
    """Carry it out and say so on the ``page`` of ``slug``; or ``show`` why not, at the field ``at`` of ``of``."""
    try:
        command()
    except (ConflictError, InvalidError) as error:
        typed = request.POST.get("reason", "")
        return show(status=error.status, **refusal_of(error, typed=typed, at=at, of=of))
    messages.success(request, said)
    return redirect(page, slug=slug)
