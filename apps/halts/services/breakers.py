"""Making, changing and ending breakers. What lets more through one is proposed, and released by somebody else.

Lifting what a breaker stopped takes another person than who stopped it; so does letting it stop less.
"""

from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.services import require_manager
from apps.access.services.units import write_if_changed
from apps.audit.services import advance, record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import holds, require_human
from apps.core.models import ClockTimestamp, User
from apps.core.rules import ProposalState
from apps.halts.models import Breaker, BreakerChange
from apps.halts.rules import MAX_REASON, BreakerChangeKind, BreakerTerms, BreakerWatch, HaltScope, problems_of
from apps.halts.selectors import breaker_releasers_of
from apps.halts.selectors.breakers import LIFT, LOWER, breakers_for

PROPOSED = "proposed"


@transaction.atomic
def save_breaker(
    actor: User,
    *,
    slug: str,
    terms: BreakerTerms,
    target: str = "",
    unit: BusinessUnit | None = None,
    name: str = "",
    reason: str = "",
) -> tuple[Breaker, str]:
    """Make or change a breaker; it and what happened to it. Who may let things go on says when they stop by themselves.

    What might let anything go on that it would stop now (``BreakerWatch.loosens``) changes nothing yet but the name:
    it is ``proposed``, with the ``reason``, and somebody else releases it. ``unit`` is that of the target (looked up by
    the door). Raises InvalidError; NotFoundError where one of this name is somebody else's.
    """
    require_manager(actor, unit, LIFT)
    if errors := problems_of(terms):
        raise InvalidError(errors=errors)
    found = Breaker.objects.select_for_update(of=("self",)).select_related("unit").filter(slug=slug).first()
    if found:
        if not breakers_for(actor).filter(pk=found.pk).exists():
            raise NotFoundError  # as for who asks for it
        require_manager(actor, found.unit, LIFT)
    wanted = BreakerWatch(**asdict(terms), target=target)
    if found and found.ended_at is None and wanted.loosens(found.watch):
        write_if_changed(actor, found, is_new=False, values={"name": name or slug})
        _propose(actor, found, BreakerChangeKind.CHANGE, wanted, to_unit=unit, reason=reason)
        return found, PROPOSED
    is_other = found is None or found.watch != wanted
    breaker = found or Breaker(slug=slug)
    values = {"name": name or slug, "unit": unit, "ended_at": None, **asdict(wanted)}
    outcome = write_if_changed(actor, breaker, is_new=found is None, values=values)
    if is_other:
        _supersede(actor, breaker)
    return breaker, outcome


@transaction.atomic
def end_breaker(actor: User, *, breaker: Breaker, reason: str) -> BreakerChange:
    """Propose that it opens no more; somebody else releases that. What it stopped stays stopped.

    Raises ConflictError where it has ended, InvalidError at ``reason``.
    """
    require_manager(actor, breaker.unit, LIFT)
    found = _locked(breaker)
    if found.ended_at is not None:
        raise ConflictError(_("It has ended already."))
    return _propose(actor, found, BreakerChangeKind.END, found.watch, to_unit=found.unit, reason=reason)


@transaction.atomic
def release_breaker_change(actor: User, *, change: BreakerChange) -> BreakerChange:
    """Let a change of a breaker count from now on. A person other than its author, who may lower enforcement.

    Raises NotAllowedError ``not_eligible`` with who may; ConflictError once it is decided, or ``stale`` where the
    breaker says something else since.
    """
    require_human(actor)
    breaker = _locked(change.breaker)
    require_manager(actor, breaker.unit, LIFT)
    change = BreakerChange.objects.select_related("breaker__unit", "to_unit", "author").get(pk=change.pk)
    _refuse_ineligible(actor, change)
    if change.state == ProposalState.OPEN and (breaker.ended_at or breaker.watch != change.breaker_before.watch):
        raise ConflictError(_("The breaker is another since; propose it anew."), code="stale")
    _decide(actor, change, ProposalState.RELEASED)
    told = {"name": breaker.slug, "by": change.author.username}
    if change.is_end:
        Breaker.objects.filter(pk=breaker.pk).update(ended_at=ClockTimestamp())
        record(actor, breaker, "breaker.ended", payload=told)
    else:
        stays = change.wanted["target"] == breaker.target  # it may have moved since this was proposed
        unit = breaker.unit if stays else change.to_unit
        Breaker.objects.filter(pk=breaker.pk).update(unit=unit, **change.wanted)
        record(actor, breaker, "breaker.changed", payload={**told, **change.wanted})
    _supersede(actor, breaker)
    return change


@transaction.atomic
def decline_breaker_change(actor: User, *, change: BreakerChange, reason: str = "") -> BreakerChange:
    """End a change without a release; whoever proposed it may take it back so, all others say why.

    Raises ConflictError once it is decided.
    """
    require_human(actor)
    require_manager(actor, _locked(change.breaker).unit, LIFT)
    change = BreakerChange.objects.select_related("breaker").get(pk=change.pk)
    answer = reason.strip() if change.author_id == actor.pk and not reason.strip() else _checked(reason)
    return _decide(actor, change, ProposalState.DECLINED, answer)


def take_breakers_along(actor: User, *, agent: str, to: BusinessUnit) -> None:
    """Give the breakers of an agent that moves, and of its versions, to the unit to which it goes."""
    of_agent = Q(scope=HaltScope.AGENT, target=agent)
    of_versions = Q(scope=HaltScope.VERSION, target__startswith=f"{agent}@")
    for breaker in Breaker.objects.select_for_update(of=("self",)).filter(of_agent | of_versions).order_by("slug"):
        write_if_changed(actor, breaker, is_new=False, values={"unit": to})


def _locked(breaker: Breaker) -> Breaker:
    """The breaker as it is now, held until the transaction ends: its changes take turns."""
    return Breaker.objects.select_for_update(of=("self",)).select_related("unit").get(pk=breaker.pk)


def _propose(
    actor: User,
    breaker: Breaker,
    kind: BreakerChangeKind,
    wanted: BreakerWatch,
    *,
    to_unit: BusinessUnit | None,
    reason: str,
) -> BreakerChange:
    """Write down what is wanted of a locked breaker; what waits already, whoever proposed it, is not written twice.

    Raises InvalidError at ``reason``; NotAllowedError in production for who is no person, as two people answer for it.
    """
    if settings.IN_PRODUCTION and not actor.is_human:
        raise NotAllowedError(_("It lets more through: name who proposes it with --as; somebody else releases it."))
    about = {"breaker": breaker, "kind": kind, "wanted": asdict(wanted)}
    if same := BreakerChange.objects.filter(state=ProposalState.OPEN, **about).first():
        return same
    said = {"author": actor, "reason": _checked(reason), "was": asdict(breaker.watch), "to_unit": to_unit}
    made = BreakerChange.objects.create(**about, **said)
    record(actor, made, ProposalState.OPEN, payload={**_told(made), "reason": made.reason})
    return made


def _checked(reason: str) -> str:
    text = reason.strip()
    if not text or len(text) > MAX_REASON:
        raise InvalidError(errors={"reason": [_("Say why, in at most %d characters.") % MAX_REASON]})
    return text


def _told(change: BreakerChange) -> dict[str, Any]:
    return {"name": change.breaker.slug, "kind": change.kind, "wanted": change.wanted, "before": change.was}


def _supersede(actor: User, breaker: Breaker) -> None:
    """End what waits on a locked breaker: it says something else now than whoever proposed that had seen."""
    for change in breaker.changes.filter(state=ProposalState.OPEN).select_related("breaker").order_by("id"):
        _decide(actor, change, ProposalState.SUPERSEDED)


def _decide(actor: User, change: BreakerChange, to: ProposalState, answer: str = "") -> BreakerChange:
    told = {**_told(change), **({"reason": answer} if answer else {})}
    at = ClockTimestamp()
    return advance(actor, change, to, payload=told, decided_by=actor, decided_at=at, answer=answer)


def _refuse_ineligible(actor: User, change: BreakerChange) -> None:
    is_own = change.author_id == actor.pk
    if not is_own and holds(actor, LOWER, change):
        return
    words = (
        _("You proposed it, so somebody else releases it: %s.")
        if is_own
        else _("It lets more through, which you may not; these people may: %s.")
    )
    others = breaker_releasers_of(actor, change)
    names = ", ".join(map(str, others)) or _("nobody may")
    why, may = "requester" if is_own else "lowers_enforcement", [person.username for person in others]
    raise NotAllowedError(words % names, code="not_eligible", why=why, may=may)
