"""Opening a campaign, which freezes its rights with the evidence of their use, and closing it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.selectors import unit_ids_below
from apps.access.services import require_manager
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError
from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User, database_now
from apps.core.rules import digest_of
from apps.oversight.models import AccessReview, AccessReviewLine
from apps.oversight.rules.access_reviews import (
    MAX_DAYS,
    MAX_LINES,
    AtDue,
    LineState,
    ReviewState,
    RightKind,
    Use,
    due_problem,
)
from apps.oversight.selectors.access_reviews import TAKES, evidence_json, evidence_of_review, takers
from apps.oversight.selectors.rights import Right, evidence_of, rights_within

NAME_MAX = 120
MAX_REVIEWERS = 50


@transaction.atomic
def open_access_review(
    actor: User, *, name: str, due_at: datetime, unit: BusinessUnit | None = None,
    kinds: Sequence[str] = tuple(RightKind), reviewers: Sequence[str] = (), next_at: datetime | None = None,
    at_due: str = AtDue.REPORT,
) -> AccessReview:  # fmt: skip
    """Open a campaign over the rights of these kinds in ``unit`` and below (everywhere without one).

    ``reviewers``: usernames of those who decide; none: everybody who could take the right away. Nobody decides about
    their own. ``next_at``: the next review, until when at most a kept right can be given an end.
    Raises InvalidError by field, and where there is nothing to review or too much.
    """
    require_human(actor)
    require_manager(actor, unit)
    now = database_now()
    wanted, named = sorted(set(kinds)), sorted(set(reviewers))
    if errors := _errors(name, due_at, wanted, named, next_at, at_due, now):
        raise InvalidError(errors=errors)
    units = None if unit is None else unit_ids_below(unit.slug)
    rights = rights_within(wanted, units)
    if not rights:
        raise InvalidError(errors={"kinds": [_("There is nothing of this kind to review there.")]})
    if len(rights) > MAX_LINES:
        said = _("%(n)d rights are more than the %(max)d that one campaign has at most: choose a unit below.")
        raise InvalidError(errors={"unit": [said % {"n": len(rights), "max": MAX_LINES}]})
    if named and (idle := _idle(named, rights)):
        raise InvalidError(errors={"reviewers": [_("%s could take none of these rights away.") % idle[0]]})
    review = AccessReview.objects.create(
        name=name.strip(), unit=unit, kinds=wanted, reviewers=named, due_at=due_at, next_at=next_at, at_due=at_due,
        opened_by=actor,
    )  # fmt: skip
    review.refresh_from_db()
    evidence = evidence_of(rights, now)
    AccessReviewLine.objects.bulk_create(
        [
            AccessReviewLine(
                review=review, kind=right.kind, right=right.key, unit_id=right.unit_id, holder=right.holder,
                what=right.what, granted_at=right.granted_at, granted_by=right.granted_by, until=right.until,
                frozen=right.frozen, evidence=found.as_json(), use=found.use, last_used_at=found.last_used_at,
            )
            for right in rights
            for found in [evidence[right.kind, right.key]]
        ],
        batch_size=500,
    )  # fmt: skip
    told = {"name": review.name, "unit": unit and unit.slug, "due_at": due_at, "items": len(rights), "at_due": at_due}
    record(actor, review, "access.review.opened", payload={**told, "kinds": wanted, "reviewers": named})
    return review


def _errors(
    name: str, due_at: datetime, kinds: list[str], reviewers: list[str], next_at: datetime | None, at_due: str,
    now: datetime,
) -> dict[str, list[str]]:  # fmt: skip
    errors: dict[str, list[str]] = {}
    if not 1 <= len(name.strip()) <= NAME_MAX or "\x00" in name:
        errors["name"] = [_("From 1 to %d characters.") % NAME_MAX]
    words = {
        "no_zone": _("A time with its zone."),
        "over": _("This time is over."),
        "too_far": _("At most %d days ahead.") % MAX_DAYS,
    }
    if problem := due_problem(due_at, now):
        errors["due_at"] = [words[problem]]
    elif next_at is not None and (next_at.tzinfo is None or next_at <= due_at):
        errors["next_at"] = [_("A time with its zone, after the due date.")]
    if not kinds or not set(kinds) <= set(RightKind):
        errors["kinds"] = [_("At least one of: %s.") % ", ".join(RightKind)]
    if at_due not in list(AtDue):
        errors["at_due"] = [_("One of: %s.") % ", ".join(AtDue)]
    if len(reviewers) > MAX_REVIEWERS:
        errors["reviewers"] = [_("At most %d.") % MAX_REVIEWERS]
    elif unknown := _unknown(reviewers):
        errors["reviewers"] = [_("There is no active person called %s.") % unknown[0]]
    return errors


def _unknown(usernames: list[str]) -> list[str]:
    if odd := [name for name in usernames if "\x00" in name]:
        return [name.replace("\x00", "") for name in odd]
    known = User.objects.filter(username__in=usernames, kind="human", is_active=True)
    return sorted(set(usernames) - set(known.values_list("username", flat=True)))


def _idle(usernames: list[str], rights: list[Right]) -> list[str]:
    """Who of these could decide nothing of it."""
    holders: dict[tuple[str, UUID | None], set[UUID]] = {}
    for right in rights:
        holders.setdefault((TAKES[right.kind], right.unit_id), set()).add(right.holder.pk)
    able = {
        person.username
        for (perm, unit_id), held in holders.items()
        for person in takers(perm, unit_id)
        if held != {person.pk}
    }
    return sorted(set(usernames) - able)


@transaction.atomic
def close_access_review(actor: User, *, review: AccessReview) -> AccessReview:
    """End a campaign before its due date: nothing more is decided, and what was not is reported as left.

    Raises ConflictError where it is closed already.
    """
    require_human(actor)
    require_manager(actor, review.unit)
    return close(actor, review_id=review.pk)


def close(actor: User, *, review_id: UUID) -> AccessReview:
    """The same, whoever asks: the clock too. Call inside a transaction."""
    review = AccessReview.objects.select_for_update(of=("self",)).select_related("unit").get(pk=review_id)
    if review.state != ReviewState.OPEN:
        raise ConflictError(_("It is closed already."), state=str(review.state))
    review.lines.filter(state=LineState.WAITING).update(state=LineState.LEFT, decided_at=ClockTimestamp())
    digest = digest_of([evidence_json(line) for line in evidence_of_review(review)])
    AccessReview.objects.filter(pk=review.pk).update(
        state=ReviewState.CLOSED, closed_at=ClockTimestamp(), closed_by=actor, digest=digest
    )
    review.refresh_from_db()
    counts = {f"{state}": review.lines.filter(state=state).count() for state in LineState if state != "waiting"}
    told: dict[str, Any] = {"name": review.name, "items": sum(counts.values()), "digest": digest, "counts": counts}
    told["unused"] = review.lines.filter(use=Use.UNUSED).count()
    record(actor, review, "access.review.closed", payload=told)
    return review
