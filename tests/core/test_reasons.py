"""Every word by which the plane says why is a sentence on pages."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.template import Context, Template

from apps.core.reasons import SENTENCES, judge_of, sentence_of
from apps.oversight.rules import EXCLUDE_WORDS

APPS = Path(__file__).resolve().parents[2] / "apps"
SAID = re.compile(r"""\b(?:why|reason)=["']([a-z_.]+)["']|["']why["']: ["']([a-z_.]+)["']""")
SECRET = "confidential"
NOT_SHOWN = {"not_the_decider", "step_up"}
"""Words of refusals that have messages of their own."""


def words_in_code() -> set[str]:
    """What commands pass as ``why`` or ``reason``."""
    rooms = [path for path in APPS.rglob("*.py") if {"services", "selectors", "tasks"} & {*path.parts, path.stem}]
    return {first or second for path in rooms for first, second in SAID.findall(path.read_text())}


def test_every_word_of_a_command_has_its_sentence() -> None:
    found = words_in_code()
    assert {"operation_changed", "halted", "agent_retired"} <= found
    assert sorted(found - SENTENCES.keys() - NOT_SHOWN) == []


def test_so_has_every_reason_why_somebody_may_not_decide() -> None:
    assert [word for word in EXCLUDE_WORDS if not sentence_of(word)] == []


@pytest.mark.parametrize("word", SENTENCES)
def test_a_sentence_is_one(word: str) -> None:
    text = sentence_of(word)
    assert re.fullmatch(r"[A-Z].*\.", text)
    assert "_" not in text


def test_people_s_words_stay_as_they_are() -> None:
    page = Template("{% load acp %}{{ own|reason_word }}|{{ own|reason_sentence }}|{{ word|reason_word }}")
    shown = page.render(Context({"own": "<b>Wrong supplier", "word": "agent_retired"}))
    assert shown == "&lt;b&gt;Wrong supplier||The agent was retired."


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"rules": [{"policy": "p", "rule": "r", "effect": "allow"}], "effect": "allow"}, "Rule r of p"),
        ({"rules": [{"policy": "p", "rule": SECRET, "effect": "deny"}], "effect": "deny"}, "A confidential rule"),
        ({"rules": [], "effect": "deny", "reason": "no_matching_allow"}, "Policy: no rule allows it"),
        ({"rules": [{"policy": "p", "rule": "r", "effect": "allow"}], "effect": "deny", "reason": "budget"}, "Policy"),
        ({"rules": [], "effect": "require_approval", "standing": 7}, "What a person approved in advance"),
    ],
)
def test_who_judged_is_the_rule_and_not_who_asked(told: dict[str, Any], words: str) -> None:
    assert judge_of({"from": "proposed", **told}) == words
    assert judge_of({"from": "pending_approval", **told}) == ""
