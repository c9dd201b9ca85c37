"""A person's own tokens for scripts: made, shown once, revoked."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.access.selectors import own_tokens_for, token_for
from apps.access.services import create_token, revoke_token
from apps.console import selectors
from apps.console.forms import TokenForm
from apps.console.views.issued_keys import keep_token, take_token
from apps.core.errors import ConflictError
from apps.core.http import Request

SHOWN = 20


def _page(request: Request, form: TokenForm, *, status: int = 200) -> HttpResponse:
    tokens = own_tokens_for(request.user, dead=SHOWN)
    context = {"tokens": tokens, "form": form, "issued": "" if form.is_bound else take_token(request)}
    return render(request, "console/tokens.html", context, status=status)


@require_http_methods(["GET", "POST"])
@never_cache
def tokens(request: Request) -> HttpResponse:
    """One's tokens; a new one is shown once, on the page that comes next."""
    held = [right.permission for right in selectors.rights_held_by(request.user)]
    if request.method == "GET":
        return _page(request, TokenForm(held=held))
    form = TokenForm(request.POST, held=held)
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        text = create_token(request.user, user=request.user, **form.cleaned_data)
    except ConflictError as error:
        form.add_error(None, str(error.message))
        return _page(request, form, status=error.status)
    keep_token(request, text)
    return redirect("console:own-tokens")


@require_POST
def end_token(request: Request, token_id: UUID) -> HttpResponse:
    """Revoke one."""
    revoke_token(request.user, token=token_for(request.user, token_id))
    messages.success(request, _("Revoked. Whoever uses it from now on is refused and recorded."))
    return redirect("console:own-tokens")
