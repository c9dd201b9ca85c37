"""In production, what documents bring takes two people by name wherever one alone may not do it elsewhere."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.agents.models import Agent, AgentVersion
from apps.audit.models import Entry
from apps.configuration.services import Applied, ConfigurationError, apply_texts
from apps.connectors.models import Connector
from apps.core.models import User
from apps.core.services import system_user
from apps.policies.models import Policy
from apps.policies.rules import PolicyState
from apps.policies.rules.budgets import BudgetTerms, Measure
from apps.policies.services.budgets import save_budget
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.agents import make_agent
from tests.factories.policies import make_policy, make_rule

pytestmark = pytest.mark.django_db
MANAGE = "agents.manage_agent"
NAMED = "approval_named"


@pytest.fixture(autouse=True)
def production(settings: Any) -> None:
    settings.IN_PRODUCTION = True


def agent_text(agent: Agent, **more: str) -> str:
    said = {"unit": agent.unit.slug, "owner": agent.owner.username, "risk": agent.risk, "name": agent.name, **more}
    return f"kind: Agent\nslug: {agent.slug}\n" + "".join(f"{key}: {value}\n" for key, value in said.items())


def apply(by: User, text: str, second: User | None = None) -> list[Applied]:
    return apply_texts(by, texts={"a.yaml": text}, approved_by=second)


def refused(by: User, text: str, second: User | None = None) -> str:
    """What is said, once it is clear that nothing happened."""
    entries = Entry.objects.count()
    with pytest.raises(ConfigurationError) as caught:
        apply(by, text, second)
    assert Entry.objects.count() == entries
    return "\n".join(str(trouble) for trouble in caught.value.troubles)


def takes_two(text: str, key: str, right: Callable[[], User]) -> None:
    """The console alone, one person, one twice, who may not, and who left do not do it; two people by name do."""
    console, first, second = system_user("console"), make_admin(), right()
    gone = right()
    User.objects.filter(pk=gone.pk).update(is_active=False)
    gone.refresh_from_db()
    for by, other, words in (
        (console, None, "--as"),
        (console, second, "--as"),
        (first, None, "--approved-by"),
        (first, first, "another person"),
        (first, make_user(), "may not agree"),
        (first, gone, "who is active"),
    ):
        said = refused(by, text, other)
        assert words in said
        assert f": {key}: " in said
    apply(first, text, second)
    entry = Entry.objects.filter(name__endswith=f".{NAMED}").get()
    assert entry.actor == first
    assert entry.payload == {"approved_by": second.username, "named_by": first.username, "of": key}


def manager_of(agent: Agent) -> Callable[[], User]:
    return lambda: make_holder(MANAGE, unit=agent.unit)


def owned(**fields: Any) -> Agent:
    agent = make_agent(**fields)
    grant(agent.owner, make_role("agents.view_agent"), agent.unit)
    return agent


@pytest.mark.parametrize("risk", ["high", "critical"])
def test_a_grave_agent_is_put_to_work(risk: str) -> None:
    agent = owned(risk=risk, state="draft")
    takes_two(agent_text(agent, state="pilot"), "state", manager_of(agent))
    agent.refresh_from_db()
    assert agent.state == "pilot"


def test_what_does_not_pass_the_gate_becomes_active() -> None:
    agent = owned(risk="low", state="pilot")
    takes_two(agent_text(agent, state="active"), "state", manager_of(agent))
    agent.refresh_from_db()
    assert agent.state == "active"


def test_a_grave_agent_goes_for_good() -> None:
    agent = owned(risk="high")
    takes_two(f"kind: Agent\nslug: {agent.slug}\nstate: absent\n", "state", manager_of(agent))
    agent.refresh_from_db()
    assert agent.state == "retired"


def test_a_grave_agent_is_called_less_of_a_risk() -> None:
    agent = owned(risk="high")
    takes_two(agent_text(agent, risk="low"), "risk", manager_of(agent))
    agent.refresh_from_db()
    assert agent.risk == "low"


def test_an_agent_that_works_comes_to_the_high_tiers() -> None:
    agent = owned(risk="medium")
    takes_two(agent_text(agent, risk="critical"), "risk", manager_of(agent))
    agent.refresh_from_db()
    assert agent.risk == "critical"


def test_a_grave_agent_gets_another_version() -> None:
    agent = owned(risk="high")
    takes_two(agent_text(agent, version="{instructions: Pay everybody.}"), "version", manager_of(agent))
    assert AgentVersion.objects.get(agent=agent, state="active").instructions == "Pay everybody."


@pytest.mark.parametrize("to", ["suspended", "pilot"])
def test_stopping_and_narrowing_wait_for_nobody(to: str) -> None:
    agent = owned(risk="critical")
    apply(system_user("console"), agent_text(agent, state=to))
    agent.refresh_from_db()
    assert agent.state == to
    assert not Entry.objects.filter(name__endswith=NAMED).exists()


@pytest.mark.parametrize("key", ["allow_internal", "test_allow_internal"])
def test_an_inside_address(key: str) -> None:
    unit = make_unit()
    address = "base_url: https://bank.example\ntest_base_url: https://trial.example\n"
    text = f"kind: Connector\nslug: bank\nunit: {unit.slug}\n{address}{key}: true\n"
    assert "--as" in refused(system_user("console"), text)
    second = make_holder("connectors.manage_connector", unit=unit)
    apply(make_admin(), text, second)
    assert getattr(Connector.objects.get(), key) is True
    assert Entry.objects.get(name=f"connector.{NAMED}").payload["approved_by"] == second.username
    apply(system_user("console"), text)  # what was agreed with stays


def test_a_person_alone_asks_for_an_inside_address_and_somebody_else_allows_it() -> None:
    first = make_admin()
    apply(first, "kind: Connector\nslug: bank\nbase_url: https://bank.example\nallow_internal: true\n")
    bank = Connector.objects.get()
    assert (bank.allow_internal, bank.inside_asked_by) == (False, first)
    assert "may not agree" in refused(
        first, "kind: Connector\nslug: other\nbase_url: https://x.example\nallow_internal: true\n", make_user()
    )


def test_a_policy_that_does_not_only_tighten() -> None:
    text = "kind: Policy\nslug: payments\nrules:\n  - {slug: all, when: 'true', effect: allow}\n"
    takes_two(text, "rules", lambda: make_holder("policies.publish_policy"))
    assert Policy.objects.get().state == PolicyState.IN_FORCE
    more = text + "  - {slug: never, when: 'true', effect: deny}\n"
    apply(system_user("console"), more)  # it only denies more


def test_a_policy_goes() -> None:
    make_policy(make_rule(effect="deny"), slug="payments")
    right = ("policies.publish_policy", "policies.lower_enforcement")
    takes_two("kind: Policy\nslug: payments\nstate: absent\n", "state", lambda: make_holder(*right))
    assert Policy.objects.get().state == PolicyState.RETIRED


def test_a_budget_rises_in_the_name_of_whoever_was_named() -> None:
    unit, first, second = make_unit(), make_admin(), make_admin()
    terms = BudgetTerms(cap=100, measure=Measure.CALLS, period="day")
    save_budget(first, slug="calls", scope="unit", target=unit.slug, unit=unit, owner=first, terms=terms)
    text = f"kind: Budget\nslug: calls\nscope: {{unit: {unit.slug}}}\ncap_calls: 200\nperiod: day\n"
    text += f"owner: {first.username}\nname: calls\n"
    assert "--as" in refused(system_user("console"), text, second)
    apply(first, text, second)
    changed = Entry.objects.get(name="budget.changed")
    named = Entry.objects.get(name=f"budget.{NAMED}")
    assert changed.actor == second
    assert (named.actor, named.payload["approved_by"], named.payload["of"]) == (first, second.username, "change")


def test_everything_that_misses_a_second_person_is_said_at_its_line() -> None:
    one, two = owned(risk="high"), owned(risk="high", state="draft")
    said = refused(make_admin(), agent_text(one, risk="low") + "---\n" + agent_text(two, state="pilot"))
    assert [line.split(": ")[1] for line in said.splitlines()] == ["risk", "state"]
    assert [line.split(":")[1] for line in said.splitlines()] == ["5", "14"]


def test_outside_production_documents_count_as_reviewed(settings: Any) -> None:
    settings.IN_PRODUCTION = False
    agent = owned(risk="high", state="draft")
    apply(system_user("console"), agent_text(agent, risk="low", state="active"))
    agent.refresh_from_db()
    assert (agent.state, agent.risk) == ("active", "low")
    assert not Entry.objects.filter(name__endswith=NAMED).exists()
