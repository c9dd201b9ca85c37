"""What stands for an agent or a workflow alone goes along with it: its new unit's people answer for that."""

from typing import Any

import pytest

from apps.access.services import save_unit
from apps.agents.services import save_agent
from apps.audit.models import Entry
from apps.core.errors import NotAllowedError, NotFoundError
from apps.core.services import system_user
from apps.halts.models import Breaker, BreakerChange
from apps.halts.rules import BreakerTerms
from apps.halts.services import engage_halt, lift_halt, release_breaker_change, save_breaker
from apps.policies.models import Budget
from apps.policies.rules.budgets import BudgetTerms
from apps.policies.services.budgets import save_budget
from apps.workflows.services import publish_version
from tests.agents.test_moves import LOWER, World, drafted
from tests.factories.access import make_holder
from tests.factories.budgets import make_budget
from tests.factories.workflows import make_workflow

pytestmark = pytest.mark.django_db
RIGHTS = ("halts.lift_halt", "halts.engage_halt", "policies.publish_policy", "policies.view_policy", LOWER)


@pytest.fixture
def world() -> World:
    return World()


def watch(world: World, slug: str = "own", target: str = "payer", scope: str = "agent", threshold: int = 3) -> Breaker:
    terms = BreakerTerms(kind="denied", scope=scope, threshold=threshold, window_s=60)
    return save_breaker(system_user("console"), slug=slug, terms=terms, target=target, unit=world.here)[0]


def tighten(by: Any, world: World, cap: int, unit: Any) -> None:
    save_budget(
        by, slug="b", scope="agent", target="payer", unit=unit, owner=world.agent.owner,
        terms=BudgetTerms(cap=cap, period="day", currency="EUR"),
    )  # fmt: skip


@pytest.mark.parametrize("door", ["change", "document"])
def test_budgets_and_breakers_of_an_agent_are_its_new_units(world: World, door: str) -> None:
    make_budget(world.agent, cap=100, slug="b")
    watch(world)
    watch(world, slug="of-version", target="payer@1", scope="version")
    others = make_budget(world.agent, cap=100, scope="unit", target="top", unit=world.top, slug="c")
    mine, theirs = (make_holder(*RIGHTS, unit=unit) for unit in (world.here, world.there))
    with pytest.raises(NotFoundError):
        tighten(theirs, world, 50, world.there)
    if door == "change":
        assert world.ask() is None
    else:
        world.save(world.there)
    assert world.unit() == "there"
    tighten(theirs, world, 50, world.there)
    with pytest.raises(NotAllowedError):
        tighten(mine, world, 40, world.there)
    assert Budget.objects.get(slug="b").cap == 50
    assert {one.slug: one.unit for one in Breaker.objects.filter(slug__in=["own", "of-version"])} == {
        "own": world.there,
        "of-version": world.there,
    }
    others.refresh_from_db()
    assert others.unit == world.top
    told = Entry.objects.filter(name__in=["budget.changed", "breaker.changed"])
    assert sorted(one.name for one in told if one.payload.get("unit") == str(world.there)) == [
        "breaker.changed",
        "breaker.changed",
        "budget.changed",
    ]


def test_a_name_that_begins_alike_stays(world: World) -> None:
    """An agent called ``payer`` is no ``payer-two``, whose breaker stays where it was."""
    other = watch(world, slug="other", target="payer-two@1", scope="version")
    assert world.ask() is None
    other.refresh_from_db()
    assert other.unit == world.here


def test_a_change_that_waits_is_released_in_the_new_unit_and_leads_nowhere_else(world: World) -> None:
    breaker = watch(world)
    author, mine, theirs = (make_holder(*RIGHTS, unit=unit) for unit in (world.here, world.here, world.there))
    terms = BreakerTerms(kind="denied", scope="agent", threshold=9, window_s=60)
    save_breaker(author, slug="own", terms=terms, target="payer", unit=world.here, reason="Too soon.")
    assert world.ask() is None
    change = BreakerChange.objects.get(breaker=breaker)
    with pytest.raises(NotAllowedError):
        release_breaker_change(mine, change=change)
    release_breaker_change(theirs, change=BreakerChange.objects.get(pk=change.pk))
    breaker.refresh_from_db()
    assert (breaker.threshold, breaker.unit) == (9, world.there)


def test_a_halt_is_lifted_where_it_was_engaged(world: World) -> None:
    """Moving is no way to find somebody else who lifts it."""
    mine, theirs = (make_holder(*RIGHTS, unit=unit) for unit in (world.here, world.there))
    halt = engage_halt(make_holder(*RIGHTS), scope="agent", target="payer", unit=world.here, reason="Odd.")
    assert world.ask() is None
    with pytest.raises((NotAllowedError, NotFoundError)):
        lift_halt(theirs, halt_id=halt.pk, reason="Fine.")
    assert lift_halt(mine, halt_id=halt.pk, reason="Looked at.").lifted_by == mine


def test_budgets_of_a_workflow_are_its_new_units(world: World) -> None:
    flow = make_workflow({"unit": "here", "steps": {"check": {"agent": "order.check"}}})
    budget = make_budget(world.agent, cap=100, scope="workflow", target=flow.slug, unit=world.here)
    publish_version(world.ann, version=drafted(world.ann, flow, "there"))
    budget.refresh_from_db()
    assert budget.unit == world.there


def test_what_changes_no_unit_writes_nothing_about_budgets(world: World) -> None:
    make_budget(world.agent, cap=100, slug="b")
    before = Entry.objects.filter(name="budget.changed").count()
    save_agent(world.ann, slug="payer", name="Pays", unit=world.here, owner=world.agent.owner)
    save_unit(world.ann, slug="here", name="Here", parent=world.top)
    assert Entry.objects.filter(name="budget.changed").count() == before
