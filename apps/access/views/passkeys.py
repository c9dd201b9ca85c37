"""Passkeys: add, name, use, remove. allauth keeps and checks them; the pages and what must not be lost are ours."""

from typing import Any
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.account.utils import get_next_redirect_url
from allauth.core.internal import ratelimit
from allauth.mfa.adapter import get_adapter
from allauth.mfa.webauthn import views as webauthn
from allauth.mfa.webauthn.internal import auth
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator

from apps.access.accounts import is_last_factor, ways_in_without
from apps.access.views.factors import Confirmed, Enrols, Recorded
from apps.core.models import User


class Passkeys(webauthn.ListWebAuthnView):  # type: ignore[misc] # allauth is untyped
    """One's own."""

    def get_queryset(self) -> Any:
        """The oldest first."""
        return super().get_queryset().order_by("created_at")


class AddPasskey(Confirmed, Enrols, webauthn.AddWebAuthnView):  # type: ignore[misc] # as above
    """Always one that signs in by itself: it stays in the device and asks for a PIN or a finger."""

    does, told = "second_factor_added", {"method": "webauthn"}
    does_prove = "webauthn"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """With a challenge of its own for each look at the page."""
        context = {**super().get_context_data(**kwargs), **kwargs}
        context["js_data"] = {"creation_options": auth.begin_registration(self.request.user, True)}
        return context

    def get_success_url(self) -> str:
        """To the recovery codes where these are new, else to the list."""
        return reverse("mfa_view_recovery_codes" if self.did_generate_recovery_codes else "mfa_list_webauthn")


class NamePasskey(Confirmed, webauthn.EditWebAuthnView):  # type: ignore[misc] # as above
    """Call it something else."""

    does, told = "passkey_renamed", {"method": "webauthn"}


class RemovePasskey(Confirmed, webauthn.RemoveWebAuthnView):  # type: ignore[misc] # as above
    """Take it away; the only way in stays, and the page says what goes with the last second factor."""

    does, told = "second_factor_removed", {"method": "webauthn"}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """What follows."""
        follows = {
            "is_last": is_last_factor(self.object),
            "may_go": get_adapter().can_delete_authenticator(self.object),
            "is_needed": bool(ways_in_without(self.object)),  # another way in is left, so it stays as a second factor
        }
        return {**super().get_context_data(**kwargs), **follows}

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        """Asked under a lock: of two last ones that are removed at once, one stays."""
        User.objects.select_for_update(no_key=True).get(pk=self.object.user_id)
        if not get_adapter().can_delete_authenticator(self.object):
            form.add_error(None, get_adapter().validation_error("cannot_delete_authenticator"))
            answer: HttpResponse = self.form_invalid(form)
            return answer
        return super().form_valid(form)


class PasskeyAgain(Recorded, webauthn.ReauthenticateWebAuthnView):  # type: ignore[misc] # as above
    """Step-up by a passkey."""

    does, told = "stepped_up", {"method": "webauthn"}

    def form_invalid(self, form: Any) -> HttpResponse:
        """The same page with a new challenge, which says what is wrong."""
        answer: HttpResponse = self.render_to_response(self.get_context_data(form=form))
        return answer

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """With the form as it was sent."""
        return {**super().get_context_data(**kwargs), **kwargs}


@method_decorator(login_not_required, name="dispatch")
class SignInByPasskey(webauthn.LoginWebAuthnView):  # type: ignore[misc] # as above
    """Sign in with nothing else."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """A challenge for the script of the door: each is a row, so they are not for the asking without end."""
        if not ratelimit.consume(request, app="allauth.account", action="passkey_challenge", limit_get=True):
            too_many: HttpResponse = ratelimit.respond_429(request)
            return too_many
        answer: HttpResponse = super().get(request, *args, **kwargs)
        return answer

    def form_invalid(self, form: Any) -> HttpResponse:
        """Back to the door, which says so and still knows where one was going."""
        for error in form.errors.get("credential", []):
            get_account_adapter().add_message(self.request, messages.ERROR, message=error)
        onwards = get_next_redirect_url(self.request)
        query = f"?{urlencode({'next': onwards})}" if onwards else ""
        return HttpResponseRedirect(f"{reverse('account_login')}{query}")
