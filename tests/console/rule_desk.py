"""Somebody before the page on which rules and tests are edited."""

import json
import re
from html import unescape
from typing import Any

from django.test import Client

from apps.core.models import User
from tests.factories.access import make_holder, make_queue, make_unit
from tests.factories.connectors import make_operation
from tests.factories.policies import make_policy, make_rule

PUBLISH, VIEW = "policies.publish_policy", "policies.view_policy"
SMALL = make_rule(slug="small", when="action.amount_minor <= 100000", scope={"operations": ["bank.pay"]})
ODD = make_rule(slug="odd", when='history.count("bank.pay", "1d", "agent") > 3', effect="deny")
WHOLE = {"reason", "tests", "rules", "seen", "open", "new-operation"}
"""Fields that belong to no rule."""
URL = "/policies/payments/edit/"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


class Desk:
    """A person before the page: presses its buttons with what the page has in its fields, as a browser would."""

    def __init__(self, **fields: Any) -> None:
        self.unit = make_unit(currency="EUR")
        make_queue(slug="finance", unit=self.unit)
        make_operation(slug="bank.pay")
        self.ada, self.ben = (make_holder(PUBLISH, VIEW, unit=self.unit, name=name) for name in ("Ada", "Ben"))
        tests = [
            {
                "name": "small",
                "action": {"operation": "bank.pay", "amount_minor": 5, "currency": "EUR"},
                "expect": "allow",
            }
        ]
        self.policy = make_policy(SMALL, ODD, unit=self.unit, slug="payments", name="Payments", tests=tests)
        self.client = signed_in(self.ada)
        self.page = ""
        self.status = 0

    def look(self, query: str = "") -> str:
        return self._took(self.client.get(f"{URL}{query}"))

    def _took(self, answer: Any) -> str:
        self.status, self.answer = answer.status_code, answer
        self.page = answer.content.decode()
        return self.page

    def fields(self) -> dict[str, Any]:
        """What the page would send."""
        form = re.search(r'<form method="post" [^>]*class="stack" novalidate>(.*?)</form>', self.page, re.DOTALL)
        assert form is not None
        found: dict[str, Any] = {}
        for tag in re.findall(r"<input[^>]*>", form[1]):
            attributes = {name: unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}
            if attributes.get("type") == "checkbox":
                if " checked" in tag:
                    found.setdefault(attributes["name"], []).append(attributes.get("value", "on"))
            elif "name" in attributes:
                found[attributes["name"]] = attributes.get("value", "")
        for name, text in re.findall(r'<textarea[^>]*name="([^"]+)"[^>]*>(.*?)</textarea>', form[1], re.DOTALL):
            found[name] = unescape(text).removeprefix("\n")
        for name, options in re.findall(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', form[1], re.DOTALL):
            chosen = re.search(r'<option value="([^"]*)" selected', options) or re.search(
                r'<option value="([^"]*)"', options
            )
            found[name] = unescape(chosen[1]) if chosen else ""
        return found

    def press(self, do: str, **typed: Any) -> str:
        named = {name if name in WHOLE else f"rule-{name}": value for name, value in typed.items()}
        return self._took(self.client.post(URL, {**self.fields(), **named, "do": do}))

    def fill(self, do: str, **typed: Any) -> str:
        """Press a button with words in the fields of the open test; ``p_`` is for its parameters."""
        named = {f"case-{name.replace('p_', 'p-', 1) if name.startswith('p_') else name}": value
                 for name, value in typed.items()}  # fmt: skip
        return self._took(self.client.post(URL, {**self.fields(), **named, "do": do}))

    def tests(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.fields()["cases"])
        return found

    def rules(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.fields()["rules"])
        return found
