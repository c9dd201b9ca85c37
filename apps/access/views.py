"""The doors at which people change how they sign in, as allauth builds them, each with its entry in the ledger.

The change and its entry are one transaction.
"""

from typing import Any, ClassVar

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from apps.access.services import note_account
from apps.core.http import caller_address


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


class PasswordAgain(Recorded, account.ReauthenticateView):  # type: ignore[misc] # allauth is untyped
    """Step-up by password."""

    does, told = "stepped_up", {"method": "password"}


class CodeAgain(Recorded, mfa.ReauthenticateView):  # type: ignore[misc] # as above
    """Step-up by a code."""

    does, told = "stepped_up", {"method": "code"}


class SetUpApp(Recorded, totp.ActivateTOTPView):  # type: ignore[misc] # as above
    """Set an authenticator app up."""

    does, told = "second_factor_added", {"method": "totp"}


class RemoveApp(Recorded, totp.DeactivateTOTPView):  # type: ignore[misc] # as above
    """Remove it again."""

    does, told = "second_factor_removed", {"method": "totp"}


class NewCodes(Recorded, codes.GenerateRecoveryCodesView):  # type: ignore[misc] # as above
    """Make new recovery codes; the old ones are void."""

    does, told = "second_factor_added", {"method": "recovery_codes"}
