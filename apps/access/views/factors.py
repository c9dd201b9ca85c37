"""Passwords, codes of an app and recovery codes, as allauth builds their doors, each with its entry in the ledger.

The change and its entry are one transaction.
"""

from typing import Any, ClassVar
from urllib.parse import urlencode

from allauth.account import views as account
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from allauth.mfa.base import views as mfa
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.utils import is_mfa_enabled
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator

from apps.access.accounts import is_last_factor, signed_in_recently
from apps.access.services import note_account
from apps.core.gate import refuse_emergency
from apps.core.http import caller_address


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


class Confirmed(Recorded):
    """One that takes a fresh sign-in, also of whoever has neither password nor second factor here.

    allauth asks nobody whom it cannot ask itself.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """To the identity provider and back, where only that can say who it is."""
        person = request.user
        if person.is_authenticated:
            refuse_emergency(person)
        if person.is_authenticated and not get_reauthentication_flows(person) and not signed_in_recently(request):
            back = urlencode({"next": request.get_full_path()})
            return HttpResponseRedirect(f"{reverse('account_reauthenticate')}?{back}")
        answer: HttpResponse = super().dispatch(request, *args, **kwargs)  # type: ignore[misc] # of the view beside it
        return answer


class PasswordAgain(Recorded, account.ReauthenticateView):  # type: ignore[misc] # allauth is untyped
    """Step-up by password."""

    does, told = "stepped_up", {"method": "password"}


class CodeAgain(Recorded, mfa.ReauthenticateView):  # type: ignore[misc] # as above
    """Step-up by a code."""

    does, told = "stepped_up", {"method": "code"}


class SetUpApp(Confirmed, totp.ActivateTOTPView):  # type: ignore[misc] # as above
    """Set an authenticator app up."""

    does, told = "second_factor_added", {"method": "totp"}


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
