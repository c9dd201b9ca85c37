"""Commands on agents' tokens: asked for with a key or a signature, used for a quarter of an hour, ended at once."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from apps.access.services import require_manager
from apps.agents.models import AccessToken, Agent, AgentCredential, SpentAssertion
from apps.agents.rules.assertions import (
    MAX_AGE_S,
    MAX_ASSERTION,
    SKEW_S,
    claims_problem,
    header_of,
    subject_of,
    verified_claims,
)
from apps.agents.selectors import require_working
from apps.agents.services.agents import MANAGE
from apps.agents.services.credentials import ALARM_EVERY, COARSE, authenticate_agent, use_credential
from apps.agents.services.rates import count_request
from apps.audit.services import record
from apps.core.errors import ConflictError, NotAuthenticatedError, RateLimitedError
from apps.core.keys import make_key, read_key
from apps.core.models import ClockTimestamp, User, database_now
from apps.core.prepared import Prepared, Slot
from apps.core.rules import ValueProblem

PREFIX = "acp_tok"
LASTS_S = 900
MOST_A_MINUTE = 30
"""So many tokens a credential is given in a minute: one lasts for fifteen of them."""
KEPT = timedelta(days=1)
"""So long after its end a token is still known, and its use told apart from that of what never was one."""
NO_CLIENT = _lazy("There is no such agent, or what it sent is not its own.")
PROBLEMS = {
    "wrong_subject": _lazy("The assertion's iss and sub are not the agent's short name."),
    "wrong_audience": _lazy("The assertion's aud is not this server alone."),
    "jti_missing": _lazy("The assertion has no jti, or one that is too long."),
    "exp_missing": _lazy("The assertion's exp, iat and nbf are numbers, and exp is there."),
    "assertion_expired": _lazy("The assertion has expired."),
    "not_yet": _lazy("The assertion is from the future."),
    "too_long": _lazy("The assertion is older than five minutes, or lives longer."),
    "assertion_replayed": _lazy("The assertion was used before: sign a new one for each token."),
}


class WrongClaimsError(NotAuthenticatedError):
    """Signed by the agent, and not for us, not now or not for the first time: the ledger says so as the agent's own."""


class IssuedToken(NamedTuple):
    """A new token and its text, which is shown once."""

    token: AccessToken
    text: str


def authenticate_by_secret(*, client: str, secret: str, address: str) -> AgentCredential:
    """The live credential of the agent ``client`` whose key this is. Raises NotAuthenticatedError."""
    credential = authenticate_agent(secret, address=address)
    if credential.agent.slug != client:
        raise NotAuthenticatedError(NO_CLIENT)
    return credential


def authenticate_by_assertion(
    *, assertion: str, client: str, audiences: tuple[str, ...], address: str
) -> AgentCredential:
    """The live credential whose key signed ``assertion``, which is spent. Raises NotAuthenticatedError.

    ``client``: the agent's slug where the request names it; empty otherwise. What is wrong is told only to whoever
    signed with a key of the agent; to others every refusal is the same.
    """
    if len(assertion) > MAX_ASSERTION:
        raise NotAuthenticatedError(NO_CLIENT)
    try:
        _alg, kid = header_of(assertion)
        slug = subject_of(assertion)
        found, claims = _signer(slug, kid, assertion)
    except ValueProblem as problem:
        raise NotAuthenticatedError(str(problem)) from problem
    if client not in {"", slug}:
        raise NotAuthenticatedError(NO_CLIENT)
    credential = use_credential(found, address=address)
    wrong = claims_problem(claims, client=slug, audiences=audiences, now=database_now().timestamp())
    if not wrong and not _spend(credential, claims["jti"], float(claims["exp"])):
        wrong = "assertion_replayed"
    if wrong:
        _note(credential, wrong, address)
        raise WrongClaimsError(PROBLEMS[wrong])
    return credential


def _signer(slug: str, kid: str, assertion: str) -> tuple[Any, dict[str, Any]]:
    """The credential, dead or alive, that signed, and the claims. An agent has few: all of them are tried."""
    rows = AgentCredential.objects.filter(agent__slug=slug, public_key__isnull=False).order_by("-id")
    rows = rows.select_related("agent__user", "agent__unit", "agent__version", "agent__owner", "version")
    rows = rows.annotate(is_live=Q(AgentCredential.live()), is_unused=Q(AgentCredential.unused_for(COARSE)))
    for credential in rows.filter(Q(public_key__kid=kid) | Q(key_id=kid)) if kid else rows:
        assert credential.public_key
        claims = verified_claims(assertion, credential.public_key)
        if claims is not None:
            return credential, claims
    raise NotAuthenticatedError(NO_CLIENT)


def _spend(credential: AgentCredential, jti: str, exp: float) -> bool:
    """Whether this assertion comes for the first time; whoever comes second, however close, is told so."""
    until = datetime.fromtimestamp(exp, UTC) + timedelta(seconds=SKEW_S)
    digest = hashlib.sha256(jti.encode()).hexdigest()
    try:
        with transaction.atomic():
            SpentAssertion.objects.create(credential=credential, digest=digest, until=until)
    except IntegrityError:
        return False
    return True


def _note(credential: AgentCredential, code: str, address: str) -> None:
    """Count an assertion that was signed and does not hold; record it once in ``ALARM_EVERY`` for each reason."""
    with transaction.atomic():
        AgentCredential.objects.filter(pk=credential.pk).update(refusals=F("refusals") + 1)
        if cache.add(f"assertion:{credential.pk}:{code}", 1, ALARM_EVERY.total_seconds()):
            told = {"code": code, "key_id": credential.key_id, "address": address}
            record(credential.agent.user, credential, "refused", payload=told)


def issue_token(credential: AgentCredential, *, resource: str) -> IssuedToken:
    """Make a token of fifteen minutes for ``resource``. Raises NotAllowedError for an agent that may not act now.

    It carries what the credential carries: version, environment, networks. Raises RateLimitedError.
    """
    count_request(credential.agent)  # committed by itself, whatever comes of the rest
    require_working(credential.agent, tests=True)
    return _issue(credential, resource)


@transaction.atomic
def _issue(credential: AgentCredential, resource: str) -> IssuedToken:
    rows = AccessToken.objects.filter(credential=credential, created_at__gt=ClockTimestamp() - timedelta(minutes=1))
    if rows.count() >= MOST_A_MINUTE:
        raise RateLimitedError(_("Use a token until it ends: it lasts fifteen minutes."), retry_after_s=60)
    key = make_key(PREFIX)
    token = AccessToken.objects.create(
        credential=credential, key_id=key.key_id, digest=key.digest, resource=resource, epoch=credential.agent.epoch,
        expires_at=ClockTimestamp() + timedelta(seconds=LASTS_S),
    )  # fmt: skip
    agent = credential.agent
    told = {
        "agent": agent.slug, "key_id": credential.key_id, "token": key.key_id, "resource": resource,
        "environment": credential.environment,
    }  # fmt: skip
    record(agent.user, token, "created", payload=told)
    return IssuedToken(token, key.text)


_token: Prepared[Any] = Prepared(
    lambda: (
        AccessToken.objects.select_related(
            "credential__agent__user", "credential__agent__unit", "credential__agent__version",
            "credential__agent__owner", "credential__version",
        )
        .annotate(
            is_over=Q(expires_at__lte=ClockTimestamp()),
            is_credential_live=Q(credential__revoked_at=None, credential__expires_at__gt=ClockTimestamp()),
            is_unused=Q(credential__last_used_at=None)
            | Q(credential__last_used_at__lt=ClockTimestamp() - COARSE),
        )
        .filter(key_id=Slot("key_id"), digest=Slot("digest"))
    )
)  # fmt: skip


def authenticate_access_token(text: str, *, resource: str, address: str) -> AgentCredential:
    """The credential behind a live token for ``resource``, with its agent. Raises NotAuthenticatedError.

    Asked anew at each request: a credential that was revoked, or an agent whose epoch moved, ends its tokens at once.
    """
    key = read_key(text, PREFIX)
    token = key and _token.first(key_id=key.key_id, digest=key.digest)
    if not token:
        raise NotAuthenticatedError
    credential = token.credential
    credential.is_live, credential.is_unused = token.is_credential_live, token.is_unused
    found = use_credential(credential, address=address)
    if token.resource != resource:
        _note_token(token, "wrong_resource", address)
        raise NotAuthenticatedError(_("This token is for another server: ask for one here."), code="wrong_resource")
    if token.revoked_at or token.epoch != found.agent.epoch:
        _note_token(token, "credential_revoked", address)
        raise NotAuthenticatedError(_("This token was revoked: ask for another one."), code="credential_revoked")
    if token.is_over:
        _note_token(token, "credential_expired", address)
        raise NotAuthenticatedError(_("This token has expired: ask for another one."), code="credential_expired")
    return found


def _note_token(token: AccessToken, code: str, address: str) -> None:
    """Record that a token was used elsewhere or too late, once in ``ALARM_EVERY`` for each key that gets tokens.

    Nobody is called for it: a token that ended while an agent was at work is an ordinary thing.
    """
    if cache.add(f"token:{token.credential_id}:{code}", 1, ALARM_EVERY.total_seconds()):
        told = {"code": code, "key_id": token.credential.key_id, "token": token.key_id, "address": address}
        with transaction.atomic():
            record(token.credential.agent.user, token, "refused", payload=told)


@transaction.atomic
def hand_back_token(credential: AgentCredential, *, text: str) -> None:
    """End a token as the agent that got it (RFC 7009). What is none of its own, or is over, is nobody's concern."""
    key = read_key(text, PREFIX)
    token = key and AccessToken.objects.filter(
        key_id=key.key_id, digest=key.digest, credential__agent=credential.agent
    ).first()  # fmt: skip
    if token:
        _end(credential.agent.user, token)


@transaction.atomic
def revoke_access_token(actor: User, *, token: AccessToken) -> None:
    """End one token of an agent; it acts on the next request. Its credential may ask for another one."""
    require_manager(actor, token.credential.agent.unit, MANAGE)
    if not _end(actor, token):
        raise ConflictError(_("It was revoked already."))


def _end(actor: User, token: AccessToken) -> bool:
    if not AccessToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=ClockTimestamp()):
        return False
    agent: Agent = token.credential.agent
    told = {"agent": agent.slug, "key_id": token.credential.key_id, "token": token.key_id}
    record(actor, token, "revoked", payload=told)
    return True


def forget_tokens() -> int:
    """Delete tokens a day after their end, and assertions that are too old to be taken; how many."""
    SpentAssertion.objects.filter(until__lt=ClockTimestamp() - timedelta(seconds=MAX_AGE_S)).delete()
    return AccessToken.objects.filter(expires_at__lt=ClockTimestamp() - KEPT).delete()[0]
