"""What somebody was told in the app, where chats are, and what does not arrive."""

from datetime import timedelta
from uuid import UUID

from django.db.models import QuerySet

from apps.core.errors import NotFoundError
from apps.core.gate import refuse_limited, scope_for, visible
from apps.core.models import ClockTimestamp, User
from apps.notifications.models import Browser, ChatTarget, Delivery
from apps.notifications.rules import Channel, DeliveryState

MANAGE = "access.manage_access"
UNSEEN_CAP = 99


def notices_for(actor: User) -> QuerySet[Delivery]:
    """What ``actor`` was told in the app, newest first. Raises NotAllowedError for a token with only some rights."""
    refuse_limited(actor)
    rows = Delivery.objects.filter(recipient=actor, channel=Channel.IN_APP, state=DeliveryState.DELIVERED)
    about = (
        "notice__entry__actor",
        "notice__escalation__unit",
        "notice__escalation__agent",
        "notice__halt__engaged_by",
        "notice__agent",
        "notice__erasure__asked_by",
        "notice__budget",
        "notice__proposal__policy",
        "notice__proposal__version__author",
        "notice__review",
        "notice__connector",
        "notice__waiver__policy",
        "notice__waiver__maker",
        "notice__emergency__user",
        "notice__workflow",
        "notice__breaker_change__breaker",
        "notice__rule_flag__agent",
        "notice__rule_flag__policy",
        "notice__rule_fault__policy",
    )
    return rows.select_related(*about).order_by("-id")


def notice_for(actor: User, delivery_id: UUID) -> Delivery:
    """One thing that ``actor`` was told in the app. Raises NotFoundError."""
    if found := notices_for(actor).filter(pk=delivery_id).first():
        return found
    raise NotFoundError


def unseen_count_for(actor: User) -> int:
    """How much of it still asks for attention; stops counting beyond ``UNSEEN_CAP``."""
    if not actor.is_human:
        return 0
    rows = Delivery.objects.filter(
        recipient=actor, channel=Channel.IN_APP, state=DeliveryState.DELIVERED, closed_at=None
    )
    return len(rows.values_list("pk")[: UNSEEN_CAP + 1])


def chat_targets_for(actor: User) -> QuerySet[ChatTarget]:
    """The chats of queues in the units in which ``actor`` manages access; people's too where that is everywhere."""
    rows = ChatTarget.objects.filter(removed_at=None).select_related("queue__unit", "user", "set_by")
    return visible(actor, MANAGE, rows).order_by("slug")


def chat_target_for(actor: User, slug: str) -> ChatTarget:
    """One of them. Raises NotFoundError."""
    if found := chat_targets_for(actor).filter(slug=slug).first():
        return found
    raise NotFoundError


def browsers_for(actor: User) -> QuerySet[Browser]:
    """The browsers in which ``actor`` is told, newest first."""
    return Browser.objects.filter(user=actor, gone_at=None).order_by("-id")


def browser_for(actor: User, browser_id: UUID) -> Browser:
    """One of them. Raises NotFoundError."""
    if found := browsers_for(actor).filter(pk=browser_id).first():
        return found
    raise NotFoundError


def failing_for(actor: User) -> list[Delivery]:
    """The newest messages that failed for good within a day, for those who manage access; at most a hundred."""
    scope = scope_for(actor, MANAGE)
    if not (scope.everywhere or scope.units):
        return []
    day = ClockTimestamp() - timedelta(days=1)
    rows = Delivery.objects.filter(state=DeliveryState.FAILED, finished_at__gt=day)
    return list(visible(actor, MANAGE, rows).order_by("-finished_at")[:100])
