"""The doors as people use them: the API with a token, the pages with a session."""

import json
from typing import Any

from django.test import Client

from apps.access.models import Queue
from apps.access.services import create_token
from apps.agents.models import Agent
from apps.core.models import User
from apps.notifications.services import save_chat_target
from apps.oversight.models import Escalation
from tests.factories.access import make_admin
from tests.workflows.actions import Desk, make_desk

WEBHOOK = "/services/T0/B0/canary"
FRAGMENT = {"HX-Request": "true", "HX-Target": "detail"}


class Person:
    """Somebody at both doors. Make them before you count: a token leaves an entry, a session a row."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.api = Client(headers={"Authorization": f"Bearer {create_token(user, user=user)}"})
        self.pages = Client()
        self.pages.force_login(user)

    def post(self, path: str, body: Any, **headers: str) -> Any:
        """What the API answers."""
        return self.api.post(f"/api/v1{path}", json.dumps(body), content_type="application/json", headers=headers)

    def get(self, path: str) -> Any:
        """What the API answers."""
        return self.api.get(f"/api/v1{path}")

    def decide(self, item: Escalation, verdict: str = "approve", *, key: str = "", **said: Any) -> Any:
        """A decision by the API, on the item's first version unless another is named."""
        headers = {"Idempotency-Key": key} if key else {}
        return self.post(f"/escalations/{item.pk}/decision/", {"verdict": verdict, "version": 1, **said}, **headers)

    def decide_on_page(self, item: Escalation, verdict: str = "approve", **typed: Any) -> Any:
        """A decision by the page's form, as htmx sends it."""
        form = {"verdict": verdict, "version": item.version, "view_hash": "", "shown": str(item.pk), **typed}
        return self.pages.post(f"/inbox/{item.pk}/decision/", form, headers=FRAGMENT)

    def page(self, path: str) -> str:
        """The page's text."""
        answer = self.pages.get(path)
        assert answer.status_code == 200, answer.status_code
        return str(answer.content.decode())


def make_reachable(person: User, queue: Queue, chat: str) -> None:
    """Who serves a queue has an address, and the queue a chat at ``chat``."""
    User.objects.filter(pk=person.pk).update(email=f"{person.username}@example.com")
    save_chat_target(make_admin(), slug=queue.slug, queue=queue, url=f"{chat}{WEBHOOK}", allow_internal=True)


def make_reachable_desk(chat: str, *, risk: str = "high") -> Desk:
    """A desk whose people can be told by mail and by chat: at once, or of medium risk in a digest."""
    desk = make_desk()
    Agent.objects.filter(pk=desk.agent.pk).update(risk=risk)
    make_reachable(desk.approver, desk.queue, chat)
    return desk
