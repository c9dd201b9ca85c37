"""Passwords, codes of an app and recovery codes, as allauth builds their doors, each with its entry in the ledger.

The change and its entry are one transaction.
"""

from typing import Any, ClassVar
from urllib.parse import urlencode

from allauth.account import views as account
from allauth.account.internal.flows.login import record_authentication
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from allauth.account.utils import get_next_redirect_url
from allauth.mfa.base import views as mfa
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.utils import is_mfa_enabled
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.access.accounts import all_providers, came_just_now, is_last_factor, known_at, signed_in_recently
from apps.access.services import note_account
from apps.core.gate import refuse_emergency
from apps.core.http import caller_address

TOTP, WEBAUTHN = Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN


def no_such_page(request: HttpRequest) -> HttpResponse:
    """Nobody gives themselves another address, such as a colleague's: who manages access does."""
    raise Http404


class Recorded:
    """A form of allauth's; what it does is ``user.<does>`` in the ledger."""

    does: ClassVar[str]
    told: ClassVar[dict[str, Any]] = {}
    request: HttpRequest

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        """Do it and record it."""
        told = {**self.told, "address": caller_address(self.request)}
        note_account(self.request.user, name=self.does, told=told)  # type: ignore[arg-type] # somebody signed in
        answer: HttpResponse = super().form_valid(form)  # type: ignore[misc] # of the view beside it
        return answer


class Enrols:
    """A page on which a second factor is set up. Where one is demanded it shows no menu, which would lead nowhere."""

    request: HttpRequest

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """In which frame it stands."""
        shell = "allauth/layouts/entrance.html" if is_led_here(self.request) else "allauth/layouts/manage.html"
        return {**super().get_context_data(**kwargs), "shell": shell}  # type: ignore[misc] # of the view beside it

    def form_valid(self, form: Any) -> HttpResponse:
        """What was set up was proven: this session need not ask for it."""
        answer: HttpResponse = super().form_valid(form)  # type: ignore[misc] # as above
        record_authentication(self.request, self.request.user, "mfa", type=self.does_prove, reauthenticated=True)
        return answer

    does_prove: ClassVar[str]


def is_led_here(request: HttpRequest) -> bool:
    """Whether a second factor is demanded in this session, and it proved none so far."""
    return bool(getattr(request, "lacks_factor", False))


class Confirmed(Recorded):
    """One that takes a fresh sign-in, also of whoever has neither password nor second factor here.

    allauth asks nobody whom it cannot ask itself.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """To the identity provider and back, where only that can say who it is."""
        person = request.user
        if person.is_authenticated:
            refuse_emergency(person)
        is_unasked = person.is_authenticated and not get_reauthentication_flows(person)
        if is_unasked and not (signed_in_recently(request) or (is_led_here(request) and came_just_now(request))):
            back = urlencode({"next": request.get_full_path()})
            return HttpResponseRedirect(f"{reverse('account_reauthenticate')}?{back}")
        answer: HttpResponse = super().dispatch(request, *args, **kwargs)  # type: ignore[misc] # of the view beside it
        return answer


class SignOut(account.LogoutView):  # type: ignore[misc] # allauth is untyped
    """Leave, and leave nothing behind in the browser: what was typed and not sent, and what a script kept."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Cookies stay: by one of them this browser is known again, by another its theme."""
        answer: HttpResponse = super().post(request, *args, **kwargs)
        answer["Clear-Site-Data"] = '"storage"'
        return answer


class PasswordAgain(Recorded, account.ReauthenticateView):  # type: ignore[misc] # allauth is untyped
    """Step-up by password."""

    does, told = "stepped_up", {"method": "password"}


class CodeAgain(Recorded, mfa.ReauthenticateView):  # type: ignore[misc] # as above
    """Step-up by a code."""

    does, told = "stepped_up", {"method": "code"}


class SetUpApp(Confirmed, Enrols, totp.ActivateTOTPView):  # type: ignore[misc] # as above
    """Set an authenticator app up."""

    does, told = "second_factor_added", {"method": "totp"}
    does_prove = "totp"


class RemoveApp(Confirmed, totp.DeactivateTOTPView):  # type: ignore[misc] # as above
    """Remove it again."""

    does, told = "second_factor_removed", {"method": "totp"}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Whether a password is all that is left."""
        return {**super().get_context_data(**kwargs), "is_last": is_last_factor(self.authenticator)}


class NewCodes(Confirmed, codes.GenerateRecoveryCodesView):  # type: ignore[misc] # as above
    """Make new recovery codes; the old ones are void."""

    does, told = "second_factor_added", {"method": "recovery_codes"}


@method_decorator(login_not_required, name="dispatch")
class Code(mfa.AuthenticateView):  # type: ignore[misc] # as above
    """The second factor after the password: a code, or a passkey of whoever has one."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Whether to offer passkeys."""
        has_one = is_mfa_enabled(self.stage.login.user, [Authenticator.Type.WEBAUTHN])
        return {**super().get_context_data(**kwargs), "passkeys": has_one}


@require_GET
@never_cache
def second_factor(request: HttpRequest) -> HttpResponse:
    """Why nothing else opens, and what to do: set one up, prove the one that there is, or sign out."""
    onwards = get_next_redirect_url(request) or "/"
    if not is_led_here(request):
        return HttpResponseRedirect(onwards)
    person: Any = request.user
    has_app, has_passkey = (is_mfa_enabled(person, [kind]) for kind in (TOTP, WEBAUTHN))
    context = {
        "has_app": has_app,
        "has_passkey": has_passkey,
        "onwards": onwards,
        "may_set_up": bool(get_reauthentication_flows(person)) or came_just_now(request),
        "providers": [one for one in all_providers() if one.strong and known_at(person, one)],
    }
    return render(request, "account/second_factor.html", context)
