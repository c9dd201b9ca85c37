"""Rules that do not fit, by a page's rows, its text, and documents; ``test_bad_input`` has those of the API."""

import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.cache import cache
from django.core.management import CommandError, call_command

from apps.audit.models import Entry, Payload
from apps.core.models import User
from apps.core.services import system_user
from apps.policies.models import Policy, PolicyVersion, Proposal, Release
from tests.console.rule_desk import Desk
from tests.factories.access import make_admin, make_user
from tests.factories.policies import make_rule
from tests.security.test_bad_input import OTHERS

pytestmark = pytest.mark.django_db
EDIT = "/policies/payments/edit/"


@pytest.fixture(autouse=True)
def nobody_was_written_down() -> None:
    cache.clear()


def refused() -> list[tuple[User, str, str]]:
    """Who was refused, where and why, as the ledger has it; nothing else is in it of what was sent."""
    found = list(Entry.objects.filter(name="request.refused").order_by("id"))
    assert all(set(entry.payload) == {"code", "status", "method", "path", "request_id"} for entry in found)
    return [(entry.actor, entry.payload["path"], entry.payload["code"]) for entry in found]


def what_there_is() -> list[int]:
    return [kind._default_manager.count() for kind in (Policy, PolicyVersion, Proposal, Release)]


class TestOnThePage:
    @pytest.fixture
    def desk(self) -> Desk:
        return Desk()

    @pytest.mark.parametrize(
        ("typed", "said"),
        [
            ({"value_0": "a lot"}, "An amount is wanted"),
            ({"operations": "bank.pai"}, "Did you mean bank.pay?"),
            ({"rest": "limit: [1"}, "This is not YAML"),
        ],
    )
    def test_rows_that_do_not_fit(self, desk: Desk, typed: dict[str, Any], said: str) -> None:
        there = what_there_is()
        desk.look("?rule=small")
        page = unescape(desk.press("done", **typed))
        assert (desk.status, said in page) == (422, True)
        assert refused() == [(desk.ada, EDIT, "invalid")]
        assert what_there_is() == there

    @pytest.mark.parametrize("do", ["done", "propose"])
    def test_text_that_does_not_compile(self, desk: Desk, do: str) -> None:
        there = what_there_is()
        desk.look("?rule=small")
        desk.press("text")
        page = unescape(desk.press(do, when='true &&\nagent.risc == "low"', reason="So it is."))
        assert desk.status == 422
        assert "line 2, column 6: There is no “agent.risc”. Did you mean agent.risk?" in page
        assert refused() == [(desk.ada, EDIT, "invalid")]
        assert what_there_is() == there

    def test_a_test_that_does_not_fit(self, desk: Desk) -> None:
        desk.look()
        desk.press("case:0")
        desk.fill("case-done", name="")
        assert desk.status == 422
        assert refused() == [(desk.ada, EDIT, "invalid")]

    def test_who_types_it_again_and_again_leaves_one_line(self, desk: Desk) -> None:
        desk.look("?rule=small")
        for text in ("a", "b", "c"):
            desk.press("done", value_0=text)
            assert desk.status == 422
        assert len(refused()) == 1

    def test_who_only_looks_or_adds_a_row_leaves_none(self, desk: Desk) -> None:
        desk.look("?rule=small")
        desk.press("row")
        desk.press("check", value_0="a lot")
        assert desk.status == 422
        desk.look()
        desk.press("check", rules=json.dumps([make_rule(when="action.amount >")]))
        assert desk.status == 422
        assert refused() == []

    @pytest.mark.parametrize("field", ["rule-when", "rule-message", "rules", "reason", "cases"])
    def test_a_pasted_secret(self, desk: Desk, field: str) -> None:
        there, secret = what_there_is(), OTHERS["Stripe"]
        desk.look("?rule=small")
        desk.press("text")
        fields = {**desk.fields(), field: f'[{{"slug": "x {secret} "}}]', "do": "done"}
        answer = desk.client.post(EDIT, fields)
        assert answer.status_code == 422
        assert "Nothing of it was kept" in answer.content.decode()
        assert refused() == [(desk.ada, EDIT, "invalid")]
        assert secret not in answer.content.decode() + str(list(Payload.objects.values_list("content", flat=True)))
        assert what_there_is() == there

    def test_a_new_policy_without_a_name(self, desk: Desk) -> None:
        there = what_there_is()
        answer = desk.client.post("/new-policy/", {"name": "", "slug": "No slug", "unit": desk.unit.slug})
        assert answer.status_code == 422
        assert refused() == [(desk.ada, "/new-policy/", "invalid")]
        assert what_there_is() == there


class TestInADocument:
    """``manage.py apply`` is the one door of documents."""

    def apply(self, folder: Path, *rules: dict[str, Any], **options: Any) -> str:
        path = folder / "rules.yaml"
        path.write_text(yaml.safe_dump({"kind": "Policy", "slug": "p", "name": "P", "rules": list(rules)}))
        with pytest.raises(CommandError) as said:
            call_command("apply", str(path), **options)
        return str(said.value)

    @pytest.mark.parametrize(
        ("when", "said"),
        [
            ("action.amount_minor <=", "line 1, column "),
            ("true && action.amont_minor <= 5", "line 1, column 15: There is no “action.amont_minor”. "
             "Did you mean action.amount_minor?"),
            ("action.amount_minor <= 'five'", "“<=” does not take a whole number with a text."),
        ],
    )  # fmt: skip
    def test_rules_that_do_not_compile(self, tmp_path: Path, when: str, said: str) -> None:
        there, console = what_there_is(), system_user("console")
        told = self.apply(tmp_path, make_rule(), make_rule(when=when))
        assert told.startswith(f"{tmp_path / 'rules.yaml'}:")
        assert said in told
        assert "rules[1].when" in told
        assert "Nothing was changed" in told
        assert refused() == [(console, "apply", "invalid")]
        assert what_there_is() == there
        self.apply(tmp_path, make_rule(when=when))
        assert len(refused()) == 1, "once in a minute"

    def test_it_stands_under_the_name_of_the_person_in_whose_name_it_was(self, tmp_path: Path) -> None:
        admin, stranger = make_admin(username="boss"), make_user(username="stranger")
        self.apply(tmp_path, make_rule(when="nonsense"), username="boss")
        self.apply(tmp_path, make_rule(), username="stranger")
        assert [who for who, _where, _why in refused()] == [admin, stranger]
        assert not Policy.objects.exists()

    def test_a_document_that_cannot_be_read(self, tmp_path: Path) -> None:
        path = tmp_path / "rules.yaml"
        path.write_text("kind: [")
        with pytest.raises(CommandError, match=r"rules\.yaml:\d"):
            call_command("apply", str(path))
        assert [where for _who, where, _why in refused()] == ["apply"]
