"""What the pages of things that two people change answer to a button."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from apps.core.errors import ConflictError, InvalidError
from apps.core.http import Request


def answered(request: Request, page: str, slug: str, command: Callable[[], object], said: str) -> HttpResponse:
    """Carry it out and say so, or why not, on the ``page`` of ``slug``."""
    try:
        command()
        messages.success(request, said)
    except (ConflictError, InvalidError) as error:
        texts = [text for texts in error.errors.values() for text in texts]
        messages.error(request, " ".join(texts) or str(error.message))
    return redirect(page, slug=slug)
