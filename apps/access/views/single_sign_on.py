"""Sign in by an identity provider, and confirm by it that it is you."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import structlog
from allauth.account import views as account
from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import get_next_redirect_url, perform_login
from allauth.core.internal import ratelimit
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.access.accounts import AnyProvider, all_providers
from apps.access.forms import EmergencyForm
from apps.access.models import Identity
from apps.access.oidc import AGE_S, Provider, SignedOn, SignOnError, begin, finish, providers
from apps.access.services import find_signed_on, note_account, note_failed_sign_in
from apps.core.errors import NotFoundError
from apps.core.http import caller_address

log = structlog.get_logger(__name__)
MOST = 5
"""How many sign-ins that it began a session keeps, by method: a few tabs, each answered once."""


class SignIn(account.LoginView):  # type: ignore[misc] # allauth is untyped
    """The door, with the providers' names on it."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Those that are configured, and whether a lost password is set anew by mail."""
        found = {"providers": all_providers(), "sends_mail": bool(settings.MAIL["host"])}
        return {**super().get_context_data(**kwargs), **found}


class LostPassword(account.PasswordResetView):  # type: ignore[misc] # as above
    """A lost password is set anew by mail. Where none leaves here the page says so, and whom to ask."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Whether mail leaves here."""
        return {**super().get_context_data(**kwargs), "sends_mail": bool(settings.MAIL["host"])}


class EmergencySignIn(account.LoginView):  # type: ignore[misc] # as above
    """The door of emergency accounts. It asks no provider and sends no mail."""

    template_name = "account/emergency.html"

    def get_form_class(self) -> Any:
        """With the field for the reason."""
        return EmergencyForm


def _provider(slug: str) -> Provider:
    if found := providers().get(slug):
        return found
    raise NotFoundError


def _callback(request: HttpRequest, slug: str) -> str:
    return request.build_absolute_uri(reverse("single-sign-on-callback", args=[slug]))


def are_too_many(request: HttpRequest) -> bool:
    """Whether this is one sign-on too many from one address."""
    return not ratelimit.consume(request, app="allauth.account", action="single_sign_on", limit_get=True)


def too_many(request: HttpRequest) -> HttpResponse | None:
    """The refusal of one sign-on too many; None while there are not too many."""
    refusal: HttpResponse | None = ratelimit.respond_429(request) if are_too_many(request) else None
    return refusal


@login_not_required
@require_GET
def begin_sign_on(request: HttpRequest, slug: str) -> HttpResponse:
    """Send the browser to the provider; of somebody signed in, to ask again who they are."""
    provider = _provider(slug)

    def begun(again: bool) -> tuple[str, str, dict[str, Any]]:
        address, kept = begin(provider, redirect_uri=_callback(request, slug), again=again)
        return address, kept["state"], kept

    return sent_away(request, provider, begun)


def sent_away(
    request: HttpRequest, provider: AnyProvider, begun: Callable[[bool], tuple[str, str, dict[str, Any]]]
) -> HttpResponse:
    """To the provider. ``begun``: told whether it asks again, says to where, under which name what is kept waits."""
    if refusal := too_many(request):
        return refusal
    if request.headers.get("Sec-Fetch-Site") == "cross-site":  # another site begins nothing here
        return HttpResponseRedirect(reverse("account_login"))
    again, onwards = request.user.is_authenticated, get_next_redirect_url(request) or "/"
    try:
        address, name, kept = begun(again)
    except SignOnError as error:
        return refused(request, provider, error.why, onwards=onwards)
    own = {"slug": provider.slug, "onwards": onwards, "who": str(request.user.pk) if again else ""}
    waiting = list(request.session.get(provider.method, {}).items())[-(MOST - 1) :]
    request.session[provider.method] = {**dict(waiting), name: {**kept, **own}}
    return HttpResponseRedirect(address)


@login_not_required
@require_GET
def end_sign_on(request: HttpRequest, slug: str) -> HttpResponse:
    """The browser comes back: once for each time that this session sent it away, and soon."""
    provider = _provider(slug)
    if refusal := too_many(request):
        return refusal
    kept = waiting_for(request, provider, request.GET.get("state", ""))
    if kept is None:
        return refused(request, provider, "state")
    if wrong := _wrong_with(request, provider):
        return refused(request, provider, wrong)

    def proven() -> SignedOn:
        return finish(provider, code=request.GET["code"], kept=kept, redirect_uri=_callback(request, slug))

    return concluded(request, provider, proven, kept)


def waiting_for(request: HttpRequest, provider: AnyProvider, name: str) -> dict[str, Any] | None:
    """What this session kept of one time that it sent the browser away, lately; given once."""
    waiting = dict(request.session.get(provider.method, {}))
    kept: dict[str, Any] | None = waiting.pop(name, None)
    if kept:
        request.session[provider.method] = waiting  # what is answered is answered, whatever happens next
    return kept if kept and kept["slug"] == provider.slug and time.time() - kept["at"] <= AGE_S else None


def _wrong_with(request: HttpRequest, provider: Provider) -> str:
    """Why nobody is asked who came back; empty where nothing is wrong so far."""
    if request.GET.get("iss", provider.issuer) != provider.issuer:  # RFC 9207
        return "issuer"
    return "" if request.GET.get("code") and "error" not in request.GET else "cancelled"


def concluded(
    request: HttpRequest, provider: AnyProvider, proven: Callable[[], SignedOn], kept: dict[str, Any]
) -> HttpResponse:
    """Whoever came back is in, or has confirmed that it is them; or is refused."""
    try:
        who = proven()
        return _confirmed(request, provider, who, kept) if kept["who"] else _in(request, provider, who, kept)
    except SignOnError as error:
        return refused(request, provider, error.why, onwards=kept["onwards"])


def _in(request: HttpRequest, provider: AnyProvider, who: SignedOn, kept: dict[str, Any]) -> HttpResponse:
    if request.user.is_authenticated:  # another tab was faster
        return HttpResponseRedirect(kept["onwards"])
    person = find_signed_on(issuer=provider.issuer, subject=who.subject, email=who.email)
    if person is None:
        raise SignOnError("nobody")
    _remember(request, person, provider, who)
    answer: HttpResponse = perform_login(request, person, email_verification="none", redirect_url=kept["onwards"])
    return answer


def _confirmed(request: HttpRequest, provider: AnyProvider, who: SignedOn, kept: dict[str, Any]) -> HttpResponse:
    """Only the same person, whom the provider asked just now for more than a password, and says so."""
    own = Identity.objects.filter(issuer=provider.issuer, subject=who.subject, user=request.user.pk)
    if str(request.user.pk) != kept["who"] or not own.exists():
        raise SignOnError("somebody_else")
    if not who.is_fresh:
        raise SignOnError("not_fresh")
    told = {"method": provider.method, "issuer": provider.issuer, "address": caller_address(request)}
    note_account(request.user, name="stepped_up", told=told)  # type: ignore[arg-type] # somebody signed in
    _remember(request, request.user, provider, who, reauthenticated=True)
    return HttpResponseRedirect(kept["onwards"])


def _remember(request: HttpRequest, person: Any, provider: AnyProvider, who: SignedOn, **more: bool) -> None:
    said = {"provider": provider.slug, "is_strong": who.is_strong, "is_fresh": who.is_fresh, **more}
    record_authentication(request, person, provider.method, **said)


def refused(request: HttpRequest, provider: AnyProvider, why: str, *, onwards: str = "/") -> HttpResponse:
    """Back to the door, which still leads ``onwards``, or to one's settings; the log says why, the page what to do."""
    log.warning("single_sign_on_refused", provider=provider.slug, why=why)
    person = request.user if request.user.is_authenticated else None
    if why != "cancelled":
        named = person.username if person else ""
        note_failed_sign_in(named=named, user=person, address=caller_address(request), method=provider.method)
    words = {
        "cancelled": _("%s signed nobody in."),
        "unreachable": _("%s does not answer. Sign in another way, or try again."),
        "nobody": _("%s says who you are, but nobody here is known by that. Ask whoever manages access."),
        "not_fresh": _("%s did not say that it asked you just now for more than a password. Confirm another way."),
    }
    text = words.get(why, _("What came back from %s proves nothing. Try again."))
    get_account_adapter().add_message(request, messages.ERROR, message=text % provider.name)
    if person:
        return HttpResponseRedirect(reverse("console:settings"))
    back = f"?{urlencode({'next': onwards})}" if onwards != "/" else ""
    return HttpResponseRedirect(reverse("account_login") + back)
