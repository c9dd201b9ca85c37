"""Simulations: begun by a person, done batch by batch, resumed where a worker died, seen as far as one may."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.utils import timezone

from apps.agents.models import Action
from apps.agents.services import erase_actions
from apps.audit.models import Entry
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.oversight.models import Escalation
from apps.policies import tasks
from apps.policies.models import Simulation
from apps.policies.selectors.results import result_of, steps_of
from apps.policies.services import evaluate_action, save_policy
from apps.policies.services import simulations as services
from apps.policies.services.simulations import cancel_simulation, start_simulation
from tests.factories.access import make_admin, make_approver, make_holder, make_queue, make_unit
from tests.factories.agents import make_action, make_agent
from tests.factories.oversight import make_escalation
from tests.factories.policies import make_facts, make_policy, make_rule
from tests.factories.waivers import make_waiver
from tests.notifications.test_in_app import signed_in

pytestmark = pytest.mark.django_db
UP_TO = {"slug": "small", "when": "action.amount_minor <= 10000", "effect": "allow"}
BEYOND = {"slug": "large", "when": "action.amount_minor > 10000", "effect": "require_approval"}


class World:
    """A policy that asks about more than 100.00, and what was asked under it."""

    def __init__(self):
        self.queue = make_queue()
        self.asking = [UP_TO, {**BEYOND, "queue": self.queue.slug}]
        self.policy = make_policy(*self.asking)
        self.agent = make_agent(unit=self.queue.unit)
        self.admin = make_admin()

    def asked(self, amount: int, state: str = "succeeded", **fields: Any) -> Action:
        facts = make_facts(amount_minor=amount, unit_id=self.agent.unit_id)
        verdict = evaluate_action(self.agent.user, facts=facts).as_json()
        return make_action(
            agent=self.agent, verdict=verdict, amount_minor=amount, currency="EUR", state=state, **fields
        )

    def start(self, actor=None, **fields: Any) -> Simulation:
        wanted = {"rules": [make_rule()]} if not fields.keys() & {"version", "lever", "rules"} else {}
        since = timezone.now() - timedelta(days=10)
        ahead = timezone.now() + timedelta(days=1)
        return start_simulation(
            actor or self.admin, policy=self.policy, **{"since": since, "until": ahead, **wanted, **fields}
        )

    def finish(self, simulation: Simulation) -> Simulation:
        while tasks.judge_past():
            pass
        simulation.refresh_from_db()
        return simulation


@pytest.fixture
def world():
    return World()


def test_says_what_would_have_come_out_otherwise(world):
    world.asked(5_000)
    large = [world.asked(20_000), world.asked(30_000, "rejected")]
    done = world.finish(world.start())
    assert (done.state, done.done, done.total, done.gaps, done.judged_otherwise) == ("done", 3, 3, {}, 0)
    told = result_of(world.admin, done)
    (change,) = [each for each in told.transitions if each.is_change and each.n]
    assert (change.before, change.after, change.n, change.money) == ("require_approval", "allow", 2, {"EUR": 50_000})
    assert {action.pk for action in change.samples} == {action.pk for action in large}
    assert told.agents == ((world.agent.slug, 2),)
    assert told.units == ((world.agent.unit.slug, 2),)
    assert (round(told.asked[0], 3), told.asked[1]) == (2, 0), "Nothing was asked before: a day, not ten."
    (load,) = told.loads
    assert (load.queue, load.after, load.hours_after) == (world.queue.slug, 0, 0)
    assert load.hours_before == pytest.approx(2 * 45 / 3600 / done.days)


def test_its_past_begins_with_the_first_that_was_asked(world):
    first = world.asked(20_000)
    Action.objects.filter(pk=first.pk).update(created_at=F("created_at") - timedelta(days=4))
    world.asked(20_000)
    made = world.start()
    assert (round(made.days), made.total) == (4, 2)


def test_compares_with_what_people_decided_and_found_afterwards(world):
    approved, rejected = world.asked(20_000), world.asked(30_000, "rejected")
    for action, state in ((approved, "approved"), (rejected, "rejected")):
        item = make_escalation(kind="action", queue=world.queue, action=action)
        Escalation.objects.filter(pk=item.pk).update(
            state=state, decided_by=make_approver(world.queue), decided_at=timezone.now(), ended_at=timezone.now()
        )
    review = make_escalation(kind="review", queue=world.queue, action=approved)
    Escalation.objects.filter(pk=review.pk).update(
        state="answered",
        answer={"verdict": "wrong"},
        decided_by=world.admin,
        decided_at=timezone.now(),
        ended_at=timezone.now(),
    )
    told = result_of(world.admin, world.finish(world.start())).agreement
    assert (told.allowed.part, told.allowed.whole) == (1, 2)
    assert (told.went_wrong.part, told.went_wrong.whole) == (1, 1)


def test_what_cannot_be_replayed_is_counted_apart(world):
    erased, edited, bare = (world.asked(20_000) for _ in range(3))
    erase_actions(world.admin, ids=[erased.pk])
    item = make_escalation(kind="action", queue=world.queue, action=edited)
    Escalation.objects.filter(pk=item.pk).update(edited=True)
    Action.objects.filter(pk=bare.pk).update(verdict={})
    done = world.finish(world.start())
    assert (done.done, done.gaps) == (3, {"erased": 1, "edited": 1, "facts": 1})
    assert result_of(world.admin, done).replayed == 0


def test_tests_other_times_and_units_that_the_policy_does_not_cover_are_left_out():
    unit, other = make_unit(), make_unit()
    policy = make_policy(unit=unit)
    for where, fields in ((unit, {}), (other, {}), (unit, {"environment": "test"})):
        agent = make_agent(unit=where)
        verdict = evaluate_action(agent.user, facts=make_facts(unit_id=where.pk)).as_json()
        make_action(agent=agent, verdict=verdict, **fields)
    now, admin = timezone.now() + timedelta(minutes=1), make_admin()
    made = start_simulation(
        admin, policy=policy, rules=[make_rule(effect="deny")], since=now - timedelta(days=1), until=now
    )
    assert made.total == 1
    cancel_simulation(admin, simulation=made)
    old = {"since": now - timedelta(days=9), "until": now - timedelta(days=2)}
    assert start_simulation(admin, policy=policy, rules=[make_rule()], **old).total == 0


def test_a_worker_that_dies_loses_nothing_and_counts_nothing_twice(world, monkeypatch):
    monkeypatch.setattr(services, "BATCH", 2)
    for _ in range(5):
        world.asked(20_000)
    made = world.start()
    assert tasks.judge_past() == 2

    class Killed(BaseException):
        pass

    def die(*_args):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(services, "_write", die)
        with pytest.raises(Killed):
            tasks.judge_past()
    made.refresh_from_db()
    assert (made.state, made.done) == ("running", 2)
    assert tasks.judge_past() == 0  # it is held for the one that died, until the claim lapses
    Simulation.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    stale = Simulation.objects.select_related("base", "policy").get(pk=made.pk)
    done = world.finish(made)
    assert (done.state, done.done) == ("done", 5)
    assert result_of(world.admin, done).replayed == 5
    past = services.next_past_of(stale, limit=2)
    services._write(stale, past, services.trial_of(stale.pk))  # whoever held the old claim wakes up after all
    made.refresh_from_db()
    assert result_of(world.admin, made).replayed == 5


def test_one_at_a_time_for_each_person(world):
    made = world.start()
    with pytest.raises(ConflictError) as caught:
        world.start()
    assert caught.value.members["simulation"] == made.pk
    world.start(make_admin())
    world.finish(made)
    world.start()


def test_cancelled_it_goes_no_further(world, monkeypatch):
    monkeypatch.setattr(services, "BATCH", 1)
    for _ in range(2):
        world.asked(20_000)
    made = world.start()
    tasks.judge_past()
    made.refresh_from_db()
    cancel_simulation(world.admin, simulation=made)
    assert tasks.judge_past() == 0
    made.refresh_from_db()
    assert (made.state, made.done) == ("cancelled", 1)
    with pytest.raises(ConflictError):
        cancel_simulation(world.admin, simulation=made)


def test_nobody_else_cancels_it_but_who_publishes_the_policy(world):
    made = world.start()
    with pytest.raises(NotAllowedError):
        cancel_simulation(make_holder("policies.view_policy"), simulation=made)
    assert cancel_simulation(make_admin(), simulation=made).state == "cancelled"


def test_no_agent_starts_one_whatever_it_was_granted(world):
    with pytest.raises(NotAllowedError):
        world.start(world.agent.user)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"rules": [{"slug": "a", "when": "action.amount >", "effect": "allow"}]}, "rules.0.when"),
        ({"rules": [make_rule()], "lever": "large"}, "version"),
        ({"lever": "nowhere"}, "lever"),
        ({"since": timezone.now() - timedelta(days=500)}, "since"),
        ({"until": timezone.now() - timedelta(days=400)}, "until"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_place_and_leaves_nothing(world, fields, where):
    with pytest.raises(InvalidError) as caught:
        world.start(**fields)
    assert where in caught.value.errors
    assert not Simulation.objects.exists()


def test_more_than_may_be_looked_at_is_refused_not_cut(world, monkeypatch):
    monkeypatch.setattr(services, "MAX_ACTIONS", 1)
    world.asked(1)
    world.asked(1)
    with pytest.raises(InvalidError, match="fit"):
        world.start()


def test_rules_that_compile_no_more_end_it(world):
    made = world.start()
    Simulation.objects.filter(pk=made.pk).update(rules=[{"slug": "a", "when": "nothing ==", "effect": "allow"}])
    assert world.finish(made).state == "failed"


def test_it_changes_nothing_but_its_own_row(world):
    action = world.asked(20_000)
    entries = Entry.objects.count()
    world.finish(world.start(rules=[make_rule(effect="deny")]))
    assert Action.objects.get(pk=action.pk).state == "succeeded"
    assert not Escalation.objects.exists()
    assert list(Entry.objects.order_by("id").values_list("name", flat=True))[entries:] == [
        "simulation.running",
        "simulation.done",
    ]


def test_samples_and_agents_are_only_those_that_the_reader_may_see(world):
    world.asked(20_000)
    done = world.finish(world.start())
    told = result_of(make_holder("policies.view_policy"), done)
    (change,) = [each for each in told.transitions if each.is_change and each.n]
    assert (change.n, change.samples, told.agents) == (1, (), (("", 1),))


def test_what_an_earlier_release_made_of_it_is_counted(world):
    world.asked(20_000)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE agents_action SET verdict = jsonb_set(verdict, '{effect}', '\"deny\"')")
    assert world.finish(world.start()).judged_otherwise == 1


def test_a_version_that_is_not_in_force_is_tried(world):
    world.asked(20_000)
    policy, _ = save_policy(world.admin, slug=world.policy.slug, name="", rules=[make_rule(effect="deny")])
    told = result_of(world.admin, world.finish(world.start(version=policy.latest)))
    assert [(each.before, each.after) for each in told.transitions if each.n] == [("require_approval", "deny")]


def test_a_lever_says_of_each_amount_who_is_asked_and_what_nobody_looks_at(world):
    for amount in (5_000, 12_000, 18_000, 60_000):
        world.asked(amount)
    done = world.finish(world.start(lever="large"))
    steps = {step.amount_minor: step for step in steps_of(world.admin, done)}
    assert steps[10_000].is_present
    assert steps[10_000].unwatched == {}
    assert steps[10_000].asked * done.days == pytest.approx(3)
    assert (steps[15_000].unwatched, steps[15_000].newly_unasked) == ({"EUR": 12_000}, 1)
    assert steps[20_000].unwatched == {"EUR": 30_000}
    assert steps[100_000].asked == 0
    assert (steps[0].newly_asked, steps[0].denied) == (1, 0)
    assert steps[0].workdays == pytest.approx(4 * 45 / 3600 / done.days * 30 / 8)


class TestApi:
    BASE = "/api/v1/policies"

    def client(self, who):
        client = Client()
        client.force_login(who, backend="allauth.account.auth_backends.AuthenticationBackend")
        return client

    def post(self, who, path, body):
        return self.client(who).post(f"{self.BASE}/{path}", data=json.dumps(body), content_type="application/json")

    def test_starts_tells_how_far_it_is_and_what_it_says(self, world):
        world.asked(20_000)
        answer = self.post(world.admin, f"{world.policy.slug}/simulate/", {"rules": [make_rule()], "days": 10})
        assert (answer.status_code, answer.json()["state"], answer.json()["done"]) == (202, "running", 0)
        while tasks.judge_past():
            pass
        told = self.client(world.admin).get(f"{self.BASE}/simulations/{answer.json()['id']}/").json()
        assert (told["state"], told["done"], told["result"]["changed"], told["steps"]) == ("done", 1, 1, [])
        assert {cell["n"] for cell in told["result"]["transitions"]} == {0, 1}
        assert told["result"]["agreement"]["allowed"]["n"] == 0
        listed = self.client(world.admin).get(f"{self.BASE}/simulations/?policy={world.policy.slug}").json()["results"]
        assert [one["id"] for one in listed] == [told["id"]]

    def test_cancels(self, world):
        made = world.start()
        answer = self.post(world.admin, f"simulations/{made.pk}/cancel/", {})
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")

    @pytest.mark.parametrize(
        "body", [{"version": 99}, {"days": 0}, {"days": 5, "since": "2026-01-01T00:00:00Z"}, {"rule": "x"}, {}]
    )
    def test_a_body_that_does_not_fit_is_refused(self, world, body):
        answer = self.post(world.admin, f"{world.policy.slug}/simulate/", body)
        assert answer.status_code == 422
        assert not Simulation.objects.exists()

    def test_who_may_not_see_the_policy_sees_no_simulation(self, world):
        made, stranger = world.start(), make_holder("policies.view_policy", unit=make_unit())
        assert self.client(stranger).get(f"{self.BASE}/simulations/{made.pk}/").status_code == 404
        assert self.client(stranger).get(f"{self.BASE}/simulations/").json()["results"] == []
        assert self.post(stranger, f"simulations/{made.pk}/cancel/", {}).status_code == 404


def test_a_waiver_that_was_used_lifts_its_rule_while_the_draft_leaves_it_as_it_was(world):
    waiver = make_waiver(world.policy, "large", scope="agent", target=world.agent.slug, times=5)
    assert world.asked(20_000).verdict["effect"] == "require_approval"
    action = world.asked(30_000, state="approved")
    told = {"id": str(waiver.pk), "policy": world.policy.slug, "rule": "large", "effect": "require_approval"}
    lifting = {**UP_TO, "slug": "any", "when": "true"}
    world.policy = world.policy.__class__.objects.get(pk=world.policy.pk)
    Action.objects.filter(pk=action.pk).update(verdict={**action.verdict, "effect": "allow", "waivers": [told]})
    same = [*world.asking, make_rule(**lifting)]
    done = world.finish(world.start(rules=[make_rule(**UP_TO), make_rule(**world.asking[1]), same[2]]))
    cells = {key: cell["n"] for key, cell in done.tallies[0]["cells"].items()}
    assert (done.waived, cells) == (1, {"require_approval>require_approval": 1, "require_approval>allow": 1})
    other = make_rule(**{**world.asking[1], "when": "action.amount_minor > 15000"})
    done = world.finish(world.start(rules=[make_rule(**UP_TO), other, same[2]]))
    assert (done.waived, set(done.tallies[0]["cells"])) == (0, {"require_approval>require_approval"})
    assert "used a waiver" not in signed_in(world.admin).get(f"/simulations/{done.pk}/").content.decode()
