"""What runs by the clock: rights that end meanwhile, reminders, and what is due."""

from collections import defaultdict
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.audit.services import record
from apps.core.errors import DomainError
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user
from apps.oversight.models import AccessReview, AccessReviewLine
from apps.oversight.rules.access_reviews import MAX_AT_ONCE, REMIND_DAYS, AtDue, LineState, ReviewState
from apps.oversight.selectors.rights import Right, rights_now
from apps.oversight.services.access_reviews.campaigns import close
from apps.oversight.services.access_reviews.deciding import revoke_now, settle


def sweep_access_reviews() -> int:
    """Note rights that have ended, remind once before the due date, and end what is due; how many."""
    return _note_gone() + _remind() + _end_due()


def _note_gone() -> int:
    """Lines whose rights ended without the campaign: nobody need look at them any more."""
    done = 0
    for review in AccessReview.objects.filter(state=ReviewState.OPEN):
        waiting = list(review.lines.filter(state=LineState.WAITING).only("pk", "kind", "right"))
        held = rights_now(_by_kind(waiting))
        for line in waiting:
            if (line.kind, line.right) not in held:
                done += _gone(line.pk)
    return done


def _by_kind(lines: list[AccessReviewLine]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        found[line.kind].append(line.right)
    return found


@transaction.atomic
def _gone(line_id: UUID) -> int:
    rows = AccessReviewLine.objects.select_for_update(of=("self",)).select_related("holder", "unit")
    line = rows.filter(pk=line_id, state=LineState.WAITING).first()
    if line is None:
        return 0
    settle(system_user("plane"), line, LineState.GONE, reason="")
    return 1


@transaction.atomic
def _remind() -> int:
    soon = AccessReview.objects.select_for_update(of=("self",)).select_related("unit")
    soon = soon.filter(state=ReviewState.OPEN, reminded_at=None, due_at__gt=ClockTimestamp())
    found = list(soon.filter(due_at__lt=ClockTimestamp() + timedelta(days=REMIND_DAYS)))
    for review in found:
        AccessReview.objects.filter(pk=review.pk).update(reminded_at=ClockTimestamp())
        waiting = review.lines.filter(state=LineState.WAITING).count()
        told = {"name": review.name, "due_at": review.due_at, "items": waiting}
        record(system_user("plane"), review, "access.review.due_soon", payload=told)
    return len(found)


def _end_due() -> int:
    """End what is due; where it was told to revoke what nobody decided, some of that first."""
    done = 0
    for review in AccessReview.objects.filter(state=ReviewState.OPEN, due_at__lte=ClockTimestamp()):
        if review.at_due == AtDue.REVOKE and (some := _revoke_some(review)):
            done += some
            continue
        done += _close(review.pk)
    return done


@transaction.atomic
def _close(review_id: UUID) -> int:
    if not AccessReview.objects.select_for_update().filter(pk=review_id, state=ReviewState.OPEN).exists():
        return 0
    close(system_user("plane"), review_id=review_id)
    return 1


def _revoke_some(review: AccessReview) -> int:
    """Revoke undecided rights in the name of whoever opened the campaign so; how many. What cannot be is left."""
    lines = review.lines.filter(state=LineState.WAITING).select_related("holder", "unit", "review").order_by("id")
    opener = User.objects.get(pk=review.opened_by_id)
    return sum(_revoke_one(opener, line) for line in lines[:MAX_AT_ONCE])


def _revoke_one(opener: User, line: AccessReviewLine) -> int:
    """Revoke one, unless it is the opener's own or was changed since."""
    try:
        with transaction.atomic():
            AccessReview.objects.select_for_update().filter(pk=line.review_id, state=ReviewState.OPEN).get()
            now = rights_now({line.kind: [line.right]}).get((line.kind, line.right))
            if now is None:
                settle(system_user("plane"), line, LineState.GONE, reason="")
            elif why_not := _why_not(opener, line, now):
                settle(system_user("plane"), line, LineState.LEFT, reason=why_not)
            else:
                reason = _("Nobody reviewed it in time.")
                revoke_now(opener, now, reason)
                settle(opener, line, LineState.REVOKED, reason=reason)
    except DomainError as error:
        with transaction.atomic():
            settle(system_user("plane"), line, LineState.LEFT, reason=str(error.message)[:500])
    return 1


def _why_not(opener: User, line: AccessReviewLine, now: Right) -> str:
    """The opener's own stay: so somebody who manages access there is left, whatever is revoked in their name."""
    if line.holder_id == opener.pk:
        return _("It is held by whoever opened the review.")
    return "" if now.seen == line.seen else _("It was changed since the opening.")
