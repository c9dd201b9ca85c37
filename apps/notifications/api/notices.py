"""Endpoints of notifications: what one was told, what one wants to be told, where chats are."""

from typing import Any
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.models import Queue
from apps.access.selectors import people_for, queues_for
from apps.core.api import EmptyBody, PlaneView, StrictSerializer, Text, known_params, page_of
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.gate import holds, require_human
from apps.core.models import User
from apps.core.rules import Risk
from apps.core.schema import PROBLEMS
from apps.notifications import services
from apps.notifications.models import Browser, ChatTarget, Delivery
from apps.notifications.rules import CHOICES, Channel
from apps.notifications.selectors import (
    browsers_for,
    chat_target_for,
    chat_targets_for,
    notices_for,
    quiet_hours_for,
    wishes_for,
)

MANAGE = "access.manage_access"
CLOCK = ["%H:%M", "%H:%M:%S"]


def _timings(channel: Channel) -> serializers.Serializer[Any]:
    fields: dict[str, Any] = {
        risk.value: serializers.ChoiceField([timing.value for timing in CHOICES[channel]], required=False)
        for risk in Risk
    }
    made = type(f"{channel.name.title().replace('_', '')}Timings", (StrictSerializer,), fields)
    return made(required=False)  # type: ignore[no-any-return] # made of StrictSerializer


class QuietSerializer(StrictSerializer):
    """Hours in which everything outside the app waits, but for critical risk."""

    def get_fields(self) -> dict[str, Any]:
        """``from`` is a word of Python, so the fields are named here."""
        return {
            "from": serializers.TimeField(input_formats=CLOCK),
            "to": serializers.TimeField(input_formats=CLOCK),
            "timezone": Text(max_length=60),
        }


class WishesBody(StrictSerializer):
    """The whole of what one wants; what is left out is the default. ``quiet`` null: never left alone."""

    in_app = _timings(Channel.IN_APP)
    email = _timings(Channel.EMAIL)
    chat = _timings(Channel.CHAT)
    push = _timings(Channel.PUSH)
    quiet = QuietSerializer(required=False, allow_null=True)


class WishesSerializer(serializers.Serializer[Any]):
    """What one is told, when, defaults included; and whether mail can leave at all.

    ``push_key``: the plane's public key (P-256, base 64) with which a browser begins; null: it pushes nothing.
    """

    in_app = _timings(Channel.IN_APP)
    email = _timings(Channel.EMAIL)
    chat = _timings(Channel.CHAT)
    push = _timings(Channel.PUSH)
    quiet = QuietSerializer(allow_null=True)
    mail_is_set_up = serializers.BooleanField()
    push_key = serializers.CharField(allow_null=True)


class NoticeSerializer(serializers.Serializer[Any]):
    """One thing that one was told in the app."""

    id = serializers.UUIDField()
    event = serializers.CharField()
    title = serializers.CharField()
    risk = serializers.CharField()
    escalation = serializers.UUIDField(allow_null=True)
    halt = serializers.UUIDField(allow_null=True)
    agent = serializers.CharField(allow_null=True)
    trail = serializers.UUIDField(allow_null=True, help_text="Whose words somebody asked to erase.")
    proposal = serializers.UUIDField(allow_null=True, help_text="The change of rules that waits for a release.")
    review = serializers.UUIDField(allow_null=True, help_text="The access review with rights that wait, or that ended.")
    connector = serializers.CharField(allow_null=True, help_text="The system some of whose operations are quarantined.")
    waiver = serializers.UUIDField(allow_null=True, help_text="The waiver that somebody asks for, or that was decided.")
    emergency = serializers.UUIDField(allow_null=True, help_text="The opening of an emergency account.")
    at = serializers.DateTimeField()
    seen_at = serializers.DateTimeField(allow_null=True)
    is_open = serializers.BooleanField()


class NoticePage(serializers.Serializer[Any]):
    """A page of them."""

    results = NoticeSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class ChatBody(StrictSerializer):
    """A chat of a queue or of a person. Without ``url`` the present one stays."""

    slug = serializers.SlugField(max_length=63)
    queue = Text(max_length=63, required=False, allow_null=True)
    user = Text(max_length=150, required=False, allow_null=True)
    url = Text(max_length=1000, required=False, write_only=True)
    allow_internal = serializers.BooleanField(required=False)


class ChatSerializer(serializers.Serializer[Any]):
    """A chat: never its address."""

    slug = serializers.CharField()
    queue = serializers.CharField(allow_null=True)
    user = serializers.CharField(allow_null=True)
    host = serializers.CharField()
    fingerprint = serializers.CharField()
    allow_internal = serializers.BooleanField()


class ChatPage(serializers.Serializer[Any]):
    """A page of chats."""

    results = ChatSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class BrowserBody(StrictSerializer):
    """What the browser's own ``PushSubscription`` says; ``key``: the plane's, with which it began."""

    endpoint = Text(max_length=1000)
    p256dh = Text(max_length=100)
    auth = Text(max_length=40)
    key = Text(max_length=100)


class BrowserSerializer(serializers.Serializer[Any]):
    """A browser in which one is told: never its address or its keys."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    host = serializers.CharField()
    added_at = serializers.DateTimeField()
    last_success_at = serializers.DateTimeField(allow_null=True)


class BrowserPage(serializers.Serializer[Any]):
    """A page of browsers."""

    results = BrowserSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class TriedSerializer(serializers.Serializer[Any]):
    """What became of a test: ``outcome`` is empty when the push service took it."""

    ok = serializers.BooleanField()
    outcome = serializers.CharField(allow_blank=True)


def wishes_json(actor: User) -> dict[str, Any]:
    """What ``actor`` wants, as ``WishesSerializer`` describes it."""
    quiet = quiet_hours_for(actor)
    hours = {"from": quiet.begins, "to": quiet.ends, "timezone": quiet.timezone} if quiet else None
    timings: dict[str, Any] = {channel.value: dict(risks) for channel, risks in wishes_for(actor).items()}
    ways = {"mail_is_set_up": bool(settings.MAIL["host"]), "push_key": services.push_key() or None}
    return {**timings, "quiet": hours, **ways}


def notice_json(row: Delivery) -> dict[str, Any]:
    """The row as ``NoticeSerializer`` describes it."""
    return {
        "id": row.pk,
        "event": row.notice.event,
        "title": row.notice.title,
        "risk": row.risk,
        "escalation": row.notice.escalation_id,
        "halt": row.notice.halt_id,
        "agent": row.notice.agent.slug if row.notice.agent else None,
        "trail": row.notice.erasure.trail_id if row.notice.erasure else None,
        "proposal": row.notice.proposal_id,
        "review": row.notice.review_id,
        "connector": row.notice.connector.slug if row.notice.connector else None,
        "waiver": row.notice.waiver_id,
        "emergency": row.notice.emergency_id,
        "at": row.created_at,
        "seen_at": row.seen_at,
        "is_open": row.closed_at is None,
    }


def browser_json(browser: Browser) -> dict[str, Any]:
    """The browser as ``BrowserSerializer`` describes it."""
    return {
        "id": browser.pk,
        "name": browser.name,
        "host": browser.host,
        "added_at": browser.created_at,
        "last_success_at": browser.last_success_at,
    }


def chat_json(target: ChatTarget) -> dict[str, Any]:
    """The chat as ``ChatSerializer`` describes it."""
    return {
        "slug": target.slug,
        "queue": target.queue.slug if target.queue else None,
        "user": target.user.username if target.user else None,
        "host": target.host,
        "fingerprint": target.fingerprint,
        "allow_internal": target.allow_internal,
    }


class MyNotifications(PlaneView):
    """``/me/notifications/``."""

    @extend_schema(operation_id="get_my_notifications", responses={200: WishesSerializer, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """What you are told, when, by which channel."""
        require_human(self.actor)
        return Response(wishes_json(self.actor))

    @extend_schema(
        operation_id="set_my_notifications", request=WishesBody, responses={200: WishesSerializer, **PROBLEMS}
    )
    def put(self, request: Request) -> Response:
        """Say what you want to be told: the whole of it, from the next message on."""
        require_human(self.actor)
        body = self.body(WishesBody)

        def answer() -> tuple[int, Any]:
            quiet = body.pop("quiet", None)
            hours = (quiet["from"], quiet["to"], quiet["timezone"]) if quiet else None
            services.save_wishes(self.actor, timings=body, quiet=hours)
            return 200, wishes_json(self.actor)

        return self.once(answer)


class MyBrowsers(PlaneView):
    """``/me/browsers/``."""

    @extend_schema(operation_id="list_my_browsers", responses={200: BrowserPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """The browsers in which you are told, newest first."""
        require_human(self.actor)
        known_params(request)
        return page_of(request, browsers_for(self.actor), browser_json)

    @extend_schema(operation_id="add_my_browser", request=BrowserBody, responses={201: BrowserSerializer, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """Be told in a browser, in ten at most; the same again changes nothing."""
        require_human(self.actor)
        body, agent = self.body(BrowserBody), request.headers.get("User-Agent", "")
        return self.once(lambda: (201, browser_json(services.add_browser(self.actor, **body, user_agent=agent))))


class MyBrowser(PlaneView):
    """``/me/browsers/{id}/``."""

    @extend_schema(operation_id="remove_my_browser", responses={204: None, **PROBLEMS})
    def delete(self, request: Request, browser_id: UUID) -> Response:
        """Be told there no more."""

        def answer() -> tuple[int, Any]:
            services.remove_browser(self.actor, browser_id=browser_id)
            return 204, None

        return self.once(answer)


class TryMyBrowser(PlaneView):
    """``/me/browsers/{id}/test/``."""

    @extend_schema(operation_id="try_my_browser", request=None, responses={200: TriedSerializer, **PROBLEMS})
    def post(self, request: Request, browser_id: UUID) -> Response:
        """Push a test there now; at most one in ten seconds."""
        require_human(self.actor)
        self.only(EmptyBody)
        sent = services.try_browser(self.actor, browser_id=browser_id)
        return Response({"ok": sent.ok, "outcome": sent.text})


class Notices(PlaneView):
    """``/notifications/``."""

    @extend_schema(
        operation_id="list_notifications",
        responses={200: NoticePage, **PROBLEMS},
        parameters=[OpenApiParameter("open", bool), OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
    )
    def get(self, request: Request) -> Response:
        """What you were told in the app, newest first; ``open=true``: what still asks for your attention."""
        require_human(self.actor)
        known_params(request, "open")
        rows = notices_for(self.actor)
        if request.query_params.get("open") == "true":
            rows = rows.filter(closed_at=None)
        return page_of(request, rows, notice_json)


class NoticesSeen(PlaneView):
    """``/notifications/seen/``."""

    @extend_schema(
        operation_id="see_notifications",
        request=None,
        responses={200: inline_serializer("Seen", {"seen": serializers.IntegerField()}), **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        """Mark everything as seen that still asks for your attention, at most 200 at once; how many."""
        return self.once(lambda: (200, {"seen": services.mark_all_seen(self.actor)}))


class Chats(PlaneView):
    """``/chat-targets/``."""

    @extend_schema(operation_id="list_chat_targets", responses={200: ChatPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """The chats of queues whose access you manage."""
        known_params(request)
        return page_of(request, chat_targets_for(self.actor), chat_json, order=("slug",))

    @extend_schema(
        operation_id="save_chat_target",
        request=ChatBody,
        responses={200: ChatSerializer, 201: ChatSerializer, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        """Add the incoming webhook of a chat, or change the one with this slug. The address is sealed at once."""
        if not holds(self.actor, MANAGE):
            raise NotAllowedError
        body = self.body(ChatBody)

        def answer() -> tuple[int, Any]:
            queue, user = body.pop("queue", None), body.pop("user", None)
            target, outcome = services.save_chat_target(
                self.actor, **body, queue=_queue(self.actor, queue), user=_person(self.actor, user)
            )
            return (201 if outcome == "created" else 200), chat_json(target)

        return self.once(answer)


def _queue(actor: User, slug: str | None) -> Queue | None:
    if slug is None:
        return None
    if found := queues_for(actor).filter(slug=slug).first():
        return found
    raise InvalidError(errors={"queue": [f"There is no queue {slug}."]})


def _person(actor: User, username: str | None) -> User | None:
    if username is None:
        return None
    if found := people_for(actor).filter(username=username).first():
        return found
    raise InvalidError(errors={"user": [f"There is no person {username}."]})


class ChatDetail(PlaneView):
    """``/chat-targets/{slug}/``."""

    @extend_schema(operation_id="remove_chat_target", responses={204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str) -> Response:
        """Destroy a chat's address; nothing is posted there any more."""
        target = chat_target_for(self.actor, slug)

        def answer() -> tuple[int, Any]:
            services.remove_chat_target(self.actor, target=target)
            return 204, None

        return self.once(answer)
