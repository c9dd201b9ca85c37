"""Stopping and letting go on."""

import pytest

from apps.audit.models import Entry
from apps.core.errors import ConflictError, HaltedError, InvalidError, NotAllowedError
from apps.core.services import system_user
from apps.halts.models import Halt
from apps.halts.selectors import require_running
from apps.halts.services import engage_halt, lift_halt
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.agents import make_agent

pytestmark = pytest.mark.django_db
ENGAGE, LIFT = "halts.engage_halt", "halts.lift_halt"


def test_everything_stops_and_goes_on_when_somebody_else_lifts_it():
    first, second = make_admin(), make_admin()
    halt = engage_halt(first, scope="everything", reason="strange payments")
    with pytest.raises(HaltedError) as refusal:
        require_running(agent="any")
    assert refusal.value.members["scope"] == "everything"
    assert refusal.value.members["reason"] == "strange payments"
    lift_halt(second, halt_id=halt.pk, reason="found it")
    require_running(agent="any")
    assert list(Entry.objects.order_by("id").values_list("name", flat=True)) == ["halt.engaged", "halt.lifted"]


def test_nobody_lifts_their_own_halt():
    admin = make_admin()
    halt = engage_halt(admin, scope="everything", reason="x")
    with pytest.raises(NotAllowedError):
        lift_halt(admin, halt_id=halt.pk, reason="y")
    assert Halt.objects.filter(lifted_at=None).exists()


@pytest.mark.parametrize("who", ["agent", "console", "stranger", "engager only"])
def test_only_a_person_with_the_right_lifts(who):
    halt = engage_halt(make_admin(), scope="everything", reason="x")
    agent = make_agent().user
    grant(agent, make_role(LIFT))
    actor = {
        "agent": agent,
        "console": system_user("console"),
        "stranger": make_user(),
        "engager only": make_holder(ENGAGE),
    }[who]
    with pytest.raises(NotAllowedError):
        lift_halt(actor, halt_id=halt.pk, reason="y")
    assert Halt.objects.filter(lifted_at=None).exists()


def test_a_halt_in_a_unit_needs_the_right_there():
    unit, other = make_unit(), make_unit()
    with pytest.raises(NotAllowedError):
        engage_halt(make_holder(ENGAGE, unit=other), scope="agent", target="payer", unit=unit, reason="x")
    with pytest.raises(NotAllowedError):
        engage_halt(make_holder(ENGAGE, unit=unit), scope="everything", reason="x")
    engage_halt(make_holder(ENGAGE, unit=unit), scope="agent", target="payer", unit=unit, reason="x")
    assert Halt.objects.count() == 1


@pytest.mark.parametrize(
    ("scope", "target", "reason"),
    [("everything", "x", "r"), ("agent", "", "r"), ("agent", "payer", "  "), ("moon", "x", "r")],
)
def test_a_halt_that_names_nothing_or_says_nothing_is_refused(scope, target, reason):
    with pytest.raises(InvalidError):
        engage_halt(make_admin(), scope=scope, target=target, reason=reason)
    assert not Halt.objects.exists()


def test_the_same_halt_twice_is_a_conflict():
    engage_halt(make_admin(), scope="everything", reason="x")
    with pytest.raises(ConflictError):
        engage_halt(make_admin(), scope="everything", reason="y")
    assert Entry.objects.count() == 1


def test_a_halted_unit_stops_what_is_below_it_and_nothing_beside():
    top = make_unit(slug="top")
    below, beside = make_unit(parent=top), make_unit()
    engage_halt(make_admin(), scope="unit", target="top", unit=top, reason="x")
    with pytest.raises(HaltedError):
        require_running(units=[below.pk])
    require_running(units=[beside.pk], agent="payer", workflow="w", connector="c", operation="o")


@pytest.mark.parametrize("scope", ["workflow", "agent", "version", "connector", "operation"])
def test_each_scope_stops_its_target_alone(scope):
    engage_halt(make_admin(), scope=scope, target="this", reason="x")
    with pytest.raises(HaltedError):
        require_running(**{scope: "this"})
    require_running(**{scope: "other"})
