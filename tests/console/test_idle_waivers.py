"""Waivers that could never be used, since no rule lets through what the rule stops: said before and while they wait."""

from dataclasses import replace
from typing import Any

import pytest

from apps.connectors.selectors.facts import effects_of
from apps.policies.models import Waiver
from apps.policies.rules.clauses import Clause, Comparison, clashes
from apps.policies.selectors.waivers import why_never_used
from tests.console.rule_desk import signed_in
from tests.factories.access import make_admin
from tests.factories.agents import make_agent
from tests.factories.connectors import make_operation
from tests.factories.policies import make_rule
from tests.factories.waivers import make_waiver
from tests.workflows.actions import Desk, make_desk, rules_of

ALL_THE_SAME = "Ask for it all the same"
NOT_LET = "No rule in force let"


@pytest.fixture
def desk(db: None) -> Desk:
    return make_desk()


def never(desk: Desk, rule: str = "large", scope: str = "agent", target: str = "") -> str:
    desk.policy.refresh_from_db()
    about = {"rule": rule, "scope": scope, "target": target or desk.agent.slug}
    return why_never_used(make_admin(), desk.policy, **about, effects_of=effects_of)


@pytest.mark.parametrize(
    ("lifted", "other", "word"),
    [
        ("action.amount_minor > 100", "action.amount_minor <= 100", "not_let_through"),
        ("action.amount_minor >= 100", "action.amount_minor <= 100", ""),
        ("action.amount_minor > 100", "action.amount_minor < 100 || agent.risk == 'low'", ""),
        ("action.amount_minor == 100", "action.amount_minor > 100", "not_let_through"),
        ("agent.risk == 'high'", "agent.risk in ['low', 'medium']", "not_let_through"),
        ("agent.risk == 'high'", "agent.risk in ['low', 'high']", ""),
        ("agent.risk == 'high'", "agent.risk != 'high'", "not_let_through"),
        ("'pay' in agent.capabilities", "'read' in agent.capabilities", ""),
        ("true", "action.amount_minor <= 100", ""),
    ],
)
def test_it_is_said_only_where_it_is_certain(desk: Desk, lifted: str, other: str, word: str) -> None:
    rules_of(desk, make_rule(slug="yes", when=other), make_rule(slug="large", effect="deny", when=lifted))
    assert never(desk) == word


@pytest.mark.parametrize(
    ("allows", "word"), [("read", "not_let_through"), ("write", "not_let_through"), ("irreversible", "")]
)
def test_what_an_operation_does_is_known(desk: Desk, allows: str, word: str) -> None:
    type(desk.operation).objects.filter(pk=desk.operation.pk).update(effect="irreversible")
    other = make_rule(slug="yes", when=f'action.effect == "{allows}"')
    large = make_rule(slug="large", effect="deny", when="action.amount_minor > 100")
    rules_of(desk, {**other, "scope": {}}, large)
    assert never(desk) == word
    rules_of(desk, {**other, "scope": {}}, {**large, "scope": {}})
    assert never(desk) == "", "it stops other operations too"
    assert never(desk, scope="operation", target=desk.operation.slug) == word


def test_of_parameters_nothing_is_certain_since_their_kinds_are_not() -> None:
    one, other = (Clause("action.parameters.n", Comparison.IS, n) for n in (1, 2))
    assert not clashes(one, other)
    assert clashes(*(replace(clause, fact="agent.version") for clause in (one, other)))


@pytest.mark.parametrize(
    ("other", "word"),
    [
        ({"scope": {"operations": ["bank.other"]}}, "not_let_through"),
        ({"scope": {"agents": ["somebody-else"]}}, "not_let_through"),
        ({"mode": "shadow"}, "not_let_through"),
        ({"effect": "flag"}, "not_let_through"),
        ({"currency": "USD", "when": "action.amount_minor <= 100"}, ""),
        ({"when": "action.amount_minor <= 100"}, "not_let_through"),
    ],
)
def test_scopes_shadow_and_currencies_count(desk: Desk, other: dict[str, Any], word: str) -> None:
    make_operation(slug="bank.other")
    make_agent(slug="somebody-else")
    lifted = make_rule(
        slug="large", effect="deny", when="action.amount_minor > 100", scope={"operations": [desk.operation.slug]}
    )
    rules_of(desk, make_rule(slug="yes", **other), lifted)
    assert never(desk) == word


def test_the_form_says_it_before_it_is_asked_for_and_may_be_answered(desk: Desk) -> None:
    person = signed_in(make_admin())
    url = f"/new-waiver/?policy={desk.policy.slug}"
    assert ALL_THE_SAME not in person.get(url).content.decode()
    body = {
        "rule": "large", "scope": "agent", "target": desk.agent.slug, "days": 7, "times": 3, "reason": "Known.",
    }  # fmt: skip
    answer = person.post(url, body)
    page = answer.content.decode()
    assert (answer.status_code, ALL_THE_SAME in page, NOT_LET in page, Waiver.objects.count()) == (422, True, False, 0)
    assert "No rule in force would let through what this one stops here" in page
    assert person.post(url, {**body, "rule": "huge"}).status_code == 302  # people could be asked of that
    assert person.post(url, {**body, "anyway": "on"}).status_code == 302
    assert Waiver.objects.count() == 2


def test_who_approves_and_whoever_looks_at_it_later_is_told(desk: Desk) -> None:
    person = signed_in(make_admin())
    for rule, is_told in (("large", True), ("huge", False)):
        waiver = make_waiver(desk.policy, rule, scope="agent", target=desk.agent.slug, approved=False)
        assert (NOT_LET in person.get(f"/waivers/{waiver.pk}/").content.decode()) is is_told
        person.post(f"/waivers/{waiver.pk}/approve/")
        page = person.get(f"/waivers/{waiver.pk}/").content.decode()
        assert (Waiver.objects.get(pk=waiver.pk).state, NOT_LET in page) == ("live", is_told)
    made = desk.ask(200_000).json()
    assert (made["state"], made["verdict"].get("waivers")) == ("pending_approval", None)  # as the page said


def test_of_a_rule_that_changed_since_its_page_says_that_it_lifts_nothing(desk: Desk) -> None:
    waiver = make_waiver(desk.policy, "huge", scope="agent", target=desk.agent.slug)
    rules = [{**rule, "message": "Other."} if rule["slug"] == "huge" else rule for rule in desk.policy.in_force.rules]
    rules_of(desk, *rules)
    assert "this lifts nothing. Ask anew." in signed_in(make_admin()).get(f"/waivers/{waiver.pk}/").content.decode()
