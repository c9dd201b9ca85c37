"""Documents are applied, or only tried, while agents work: neither holds up the other."""

import re
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, transaction
from psycopg.errors import DeadlockDetected

from apps.audit.models import Entry
from apps.configuration.management.commands import apply
from apps.configuration.rules import KINDS
from apps.configuration.selectors import export_for
from apps.configuration.services import apply_texts
from apps.configuration.services.kinds import APPLY
from apps.configuration.services.reading import Document
from apps.core.models import User
from apps.core.services import system_user
from tests.together import at_once
from tests.workflows.actions import make_desk

HANGS_S = 30
APPS = Path(__file__).parents[2] / "apps"


@pytest.mark.usefixtures("real_db")
def test_an_agent_is_answered_while_all_that_concerns_it_is_applied() -> None:
    desk = make_desk()
    texts = {"all.yaml": export_for(system_user("console"), kinds=KINDS)}
    done, is_over = Event(), Event()

    def applying() -> bool:
        try:
            with transaction.atomic():
                assert apply_texts(system_user("console"), texts=texts)
                done.set()
                return is_over.wait(HANGS_S / 3)
        finally:
            done.set()

    def asking() -> Any:
        assert done.wait(HANGS_S)
        try:
            return desk.ask(50_000)
        finally:
            is_over.set()

    answered_meanwhile, answer = at_once(applying, asking)
    assert answer.status_code == 202
    assert answered_meanwhile is True


@pytest.mark.usefixtures("real_db")
def test_what_others_do_meanwhile_is_no_part_of_what_a_document_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, before = make_desk(), APPLY["Role"]

    def while_an_agent_asks(actor: User, document: Document) -> str:
        [answer] = at_once(lambda: desk.ask(50_000))
        assert answer.status_code == 202
        return before(actor, document)

    monkeypatch.setitem(APPLY, "Role", while_an_agent_asks)
    text = "kind: Role\nslug: reader\nname: Reader\npermissions: [workflows.view_run]\n"
    [applied] = apply_texts(system_user("console"), texts={"a.yaml": text})
    assert applied.fields == ("role.created",)
    assert Entry.objects.filter(name__startswith="action.").exists()


def test_whoever_locks_an_object_of_the_configuration_holds_up_nobody_who_only_names_it() -> None:
    kinds = "Agent|BusinessUnit|Budget|Connector|DataClass|Operation|Policy|Queue|Role|User|Workflow"
    lock = re.compile(rf"\b(?:{kinds})\.objects\.select_for_update\(((?:\(.*?\)|[^()])*)\)")
    found = [(path.name, options) for path in APPS.rglob("*.py") for options in lock.findall(path.read_text())]
    assert len(found) > 40
    assert [one for one in found if "no_key=True" not in one[1]] == []


def deadlocked(*_args: Any, **_more: Any) -> None:
    raise OperationalError from DeadlockDetected


@pytest.mark.django_db
class TestMetInAnotherOrder:
    def test_it_is_tried_again(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: Any) -> None:
        tries = iter([deadlocked, apply_texts])
        monkeypatch.setattr(apply, "apply_texts", lambda *args, **more: next(tries)(*args, **more))
        file = tmp_path / "unit.yaml"
        file.write_text("kind: BusinessUnit\nslug: finance\nname: Finance\n")
        call_command("apply", str(file))
        assert "created" in capsys.readouterr().out
        assert next(tries, None) is None

    def test_whoever_never_gets_it_hears_that_nothing_was_changed(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
    ) -> None:
        monkeypatch.setattr(apply, "apply_texts", deadlocked)
        file = tmp_path / "unit.yaml"
        file.write_text("")
        with pytest.raises(CommandError, match="Nothing was changed"):
            call_command("apply", str(file))

    def test_another_fault_of_the_database_is_not_hidden(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        def lost(*_args: Any, **_more: Any) -> None:
            raise OperationalError

        monkeypatch.setattr(apply, "apply_texts", lost)
        file = tmp_path / "unit.yaml"
        file.write_text("")
        with pytest.raises(OperationalError):
            call_command("apply", str(file))
