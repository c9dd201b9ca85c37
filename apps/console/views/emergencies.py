"""Accounts for emergencies: which there are, how they stand, what they were used for; made, re-armed, withdrawn."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.access.accounts import signed_in_recently
from apps.access.models import EmergencyAccess
from apps.access.selectors import emergency_account_for, emergency_accounts_for, emergency_uses_for
from apps.access.services import arm_emergency, withdraw_emergency
from apps.console.forms import EmergencyAccountForm
from apps.console.views.issued_keys import keep_token, take_token
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.gate import holds, scope_for
from apps.core.http import Request
from apps.core.pages import page_of

PERM, ISSUED = "access.manage_access", "issued_emergency"


def _page(request: Request, form: EmergencyAccountForm, *, status: int = 200) -> HttpResponse:
    accounts = list(emergency_accounts_for(request.user))
    standing = EmergencyAccess.waiting() | EmergencyAccess.open()
    now = EmergencyAccess.objects.filter(standing, user__in=accounts).select_related("made_by").order_by("created_at")
    latest = {row.user_id: row for row in now}
    page: Any = page_of(request, emergency_uses_for(request.user), order=("-id",))
    context = {
        "accounts": [(account, latest.get(account.pk)) for account in accounts],
        "uses": page.rows,
        "next_url": page.next_url,
        "form": form,
        "may_arm": scope_for(request.user, PERM).everywhere,
        "issued": "" if form.is_bound else take_token(request, ISSUED),
    }
    return render(request, "console/emergency.html", context, status=status)


def _confirm_first(request: Request) -> HttpResponse | None:
    """To where one says again who one is; None where that was just now."""
    if signed_in_recently(request):
        return None
    back = urlencode({"next": reverse("console:emergency")})
    return redirect(f"{reverse('account_reauthenticate')}?{back}")


@require_http_methods(["GET", "POST"])
@never_cache
def emergency(request: Request) -> HttpResponse:
    """The accounts; POST makes one. Its credential is shown once, on the page that comes next."""
    if not holds(request.user, PERM):
        raise NotAllowedError
    if request.method == "GET":
        return _page(request, EmergencyAccountForm())
    form = EmergencyAccountForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)
    if answer := _confirm_first(request):
        return answer
    return _armed(request, form, form.cleaned_data["username"])


def _armed(request: Request, form: EmergencyAccountForm, username: str) -> HttpResponse:
    try:
        _row, text = arm_emergency(request.user, username=username)
    except InvalidError as error:
        for said in error.errors.get("username", [str(error.message)]):
            form.add_error("username", said)
        return _page(request, form, status=422)
    keep_token(request, text, ISSUED)
    return redirect("console:emergency")


@require_POST
def arm(request: Request, username: str) -> HttpResponse:
    """A new credential for one that is there; the old one opens nothing any more."""
    account = emergency_account_for(request.user, username)
    form = EmergencyAccountForm({"username": account.username})
    return _confirm_first(request) or _armed(request, form, account.username)


@require_POST
def withdraw(request: Request, username: str) -> HttpResponse:
    """Void its credential and sign out whoever is in it."""
    withdraw_emergency(request.user, user=emergency_account_for(request.user, username))
    messages.success(request, _("Withdrawn. Nothing opens it until it gets a new credential."))
    return redirect("console:emergency")
