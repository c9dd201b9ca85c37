"""Sign in by an identity provider that speaks SAML: its answer comes from another site, so it takes two steps."""

import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from apps.access.oidc import SignedOn, SignOnError
from apps.access.saml import Place, SamlProvider, begin_saml, metadata_of, read_saml, saml_providers
from apps.access.services import spend_assertion
from apps.access.views.single_sign_on import are_too_many, concluded, refused, sent_away, too_many, waiting_for
from apps.core.envelope import master_keys, seal, unseal
from apps.core.errors import NotFoundError, UnavailableError
from apps.core.models import database_now

SEALED_FOR, ANSWER_S = b"acp.saml-answer.v1", 60
"""What an answer is sealed for on its way from one step to the next, and how long that way may take."""


def _provider(slug: str) -> SamlProvider:
    if found := saml_providers().get(slug):
        return found
    raise NotFoundError


def _place(request: HttpRequest, slug: str) -> Place:
    entity, acs = (reverse(f"saml-sign-on-{name}", args=[slug]) for name in ("metadata", "acs"))
    return Place(entity=request.build_absolute_uri(entity), acs=request.build_absolute_uri(acs))


@login_not_required
@require_GET
def saml_metadata(request: HttpRequest, slug: str) -> HttpResponse:
    """Who the plane is, for the provider's administrators; nothing of it is secret."""
    if refusal := too_many(request):
        return refusal
    return HttpResponse(
        metadata_of(_provider(slug), _place(request, slug)), content_type="application/samlmetadata+xml"
    )


@login_not_required
@require_GET
def begin_saml_sign_on(request: HttpRequest, slug: str) -> HttpResponse:
    """Send the browser to the provider; of somebody signed in, to ask again who they are."""
    provider = _provider(slug)

    def begun(again: bool) -> tuple[str, str, dict[str, Any]]:
        address, asked = begin_saml(provider, _place(request, slug), again=again)
        return address, asked, {"at": time.time()}

    return sent_away(request, provider, begun)


@csrf_exempt
@login_not_required
@require_POST
def take_saml_answer(request: HttpRequest, slug: str) -> HttpResponse:
    """The provider's answer, brought by the browser: read, and sent on sealed to an address that knows the session.

    It is posted by another site, which has no token of ours, and browsers leave the session's cookie out; what is
    proven is the signature's affair here, and whether this very browser asked is asked by the next step. So nobody is
    signed in here, and no session is read or written: a new one would put whoever is signed in here out.
    """
    provider = _provider(slug)
    told = {"why": "too_many"} if are_too_many(request) else _told(request, provider)
    sealed = seal(master_keys()[0], json.dumps({"slug": slug, "at": time.time(), **told}), SEALED_FOR)
    onwards = f"{reverse('saml-sign-on-done', args=[slug])}?{urlencode({'answer': urlsafe_b64encode(sealed).decode()})}"
    answer = HttpResponseRedirect(onwards)
    answer.status_code = 303  # a GET: browsers send the session's cookie (SameSite=Lax) with it
    answer["Cache-Control"] = "no-store"
    return answer


def _told(request: HttpRequest, provider: SamlProvider) -> dict[str, Any]:
    """What the answer proves, for the first time, or why it proves nothing."""
    text = request.POST.get("SAMLResponse", "")
    try:
        proven = read_saml(provider, _place(request, provider.slug), text, now=database_now())
    except SignOnError as error:
        return {"why": error.why}
    if not spend_assertion(issuer=provider.issuer, assertion=proven.assertion, until=proven.until):
        return {"why": "replayed"}
    return {"request": proven.request, "who": asdict(proven.who)}


@login_not_required
@require_GET
def end_saml_sign_on(request: HttpRequest, slug: str) -> HttpResponse:
    """The browser comes back: once for each time that this session sent it away, and soon."""
    provider = _provider(slug)
    if refusal := too_many(request):
        return refusal
    told = _opened(request.GET.get("answer", ""), slug)
    kept = waiting_for(request, provider, str(told.get("request", "")))
    if "why" in told or kept is None:
        return refused(request, provider, str(told.get("why", "state")))
    return concluded(request, provider, lambda: SignedOn(**told["who"]), kept)


def _opened(answer: str, slug: str) -> dict[str, Any]:
    """What the step before sealed for this provider, a moment ago; else nothing."""
    try:
        told: dict[str, Any] = json.loads(unseal(master_keys(), urlsafe_b64decode(answer), SEALED_FOR))
    except (UnavailableError, ValueError):
        return {}
    return told if told["slug"] == slug and abs(time.time() - told["at"]) <= ANSWER_S else {}
