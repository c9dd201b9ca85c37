"""A policy that would cover another unit covers what it does until it is released, by whoever may in both."""

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.utils import timezone

from apps.access.models import BusinessUnit
from apps.audit.models import Entry
from apps.configuration.services import ConfigurationError, apply_texts
from apps.core.errors import ConflictError, NotAllowedError, NotFoundError
from apps.core.models import User
from apps.policies import tasks
from apps.policies.models import Policy, Release, Simulation
from apps.policies.rules import Effect
from apps.policies.selectors import may_release, policies_for, releasers_for
from apps.policies.selectors.results import result_of
from apps.policies.selectors.simulations import simulation_for, simulations_for
from apps.policies.services import evaluate_action, publish_policy, retire_policy, save_policy
from apps.policies.services.simulations import start_simulation
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit
from tests.factories.agents import make_action, make_agent
from tests.factories.policies import make_facts, make_policy, make_rule
from tests.factories.waivers import make_waiver
from tests.notifications.test_in_app import signed_in

PUBLISH, VIEW, LOWER = "policies.publish_policy", "policies.view_policy", "policies.lower_enforcement"
ALL, NO = make_rule(slug="all"), make_rule(slug="no", effect="deny", when="action.amount_minor > 100")


class World:
    """A policy of everything that denies. Mia publishes everywhere, Cleo publishes and lowers in one unit only."""

    def __init__(self) -> None:
        self.here, self.there = make_unit(name="Here"), make_unit()
        self.mia = make_holder(PUBLISH, VIEW, name="Mia")
        self.cleo = make_holder(PUBLISH, VIEW, LOWER, unit=self.here, name="Cleo")
        self.olga = make_holder(PUBLISH, VIEW, LOWER, name="Olga")
        self.base = make_policy(ALL)
        self.policy = make_policy(ALL, NO, slug="payments", name="Payments")

    def move(self, unit: BusinessUnit | None, by: User | None = None) -> Policy:
        return save_policy(by or self.mia, slug="payments", name="Payments", unit=unit, rules=[ALL, NO])[0]

    def effect(self, unit: BusinessUnit) -> Effect:
        return evaluate_action(self.mia, facts=make_facts(unit_id=unit.pk)).effect

    def start(self, by: User, **fields: Any) -> Simulation:
        since, until = timezone.now() - timedelta(days=5), timezone.now() + timedelta(days=1)
        return start_simulation(by, policy=self.policy, since=since, until=until, **fields)


@pytest.fixture
def world(db: None) -> World:
    return World()


def test_a_draft_moves_nothing_and_shows_nobody_more(world: World) -> None:
    moved = world.move(world.here)
    assert moved.unit is None
    assert moved.latest is not None
    assert moved.latest.unit == world.here.slug
    assert not policies_for(world.cleo).filter(slug="payments").exists()


def test_whoever_may_only_in_the_new_unit_releases_nothing(world: World) -> None:
    moved = world.move(world.here)
    entries, releases = Entry.objects.count(), Release.objects.count()
    with pytest.raises(NotAllowedError):
        publish_policy(world.cleo, policy=moved)
    assert (Entry.objects.count(), Release.objects.count()) == (entries, releases)
    assert world.effect(world.there) is Effect.DENY
    assert moved.latest is not None
    assert not may_release(world.cleo, moved, moved.latest)
    assert releasers_for(world.mia, moved, moved.latest) == [world.olga]


def test_who_may_lower_in_both_releases_it_and_then_it_covers_the_other(world: World) -> None:
    publish_policy(world.olga, policy=world.move(world.here))
    world.policy.refresh_from_db()
    assert world.policy.unit == world.here
    assert (world.effect(world.here), world.effect(world.there)) == (Effect.DENY, Effect.ALLOW)
    assert policies_for(world.cleo).filter(slug="payments").exists()


def test_from_one_unit_to_another_takes_both(world: World) -> None:
    policy = make_policy(ALL, NO, slug="local", unit=world.here)
    author = make_holder(PUBLISH)
    save_policy(author, slug="local", name="Local", unit=world.there, rules=[ALL, NO])
    there = make_holder(PUBLISH, LOWER, unit=world.there)
    for who in (world.cleo, there):
        with pytest.raises(NotAllowedError):
            publish_policy(who, policy=policy)
    grant(there, make_role(PUBLISH), world.here)
    with pytest.raises(NotAllowedError) as refusal:
        publish_policy(there, policy=policy)
    assert refusal.value.members["why"] == "lowers_enforcement"
    grant(there, make_role(LOWER), world.here)
    publish_policy(there, policy=policy)
    policy.refresh_from_db()
    assert policy.unit == world.there


def test_a_draft_of_another_unit_does_not_say_who_retires_the_policy(world: World) -> None:
    moved = world.move(world.here)
    with pytest.raises(NotAllowedError):
        retire_policy(world.cleo, policy=moved, reason="Over.")
    made = retire_policy(world.mia, policy=moved, reason="Over.")
    with pytest.raises(NotAllowedError):
        publish_policy(world.cleo, policy=moved, version=made.version.number)
    assert world.effect(world.there) is Effect.DENY


def test_what_was_never_in_force_is_written_for_another_unit_at_once(world: World) -> None:
    policy = make_policy(ALL, unit=world.there, in_force=False, slug="new")
    save_policy(world.mia, slug="new", name="New", unit=world.here, rules=[ALL])
    policy.refresh_from_db()
    assert policy.unit == world.here


def test_a_unit_that_is_gone_is_covered_by_nothing(world: World) -> None:
    gone = make_unit()
    moved = world.move(gone)
    gone.delete()
    with pytest.raises(ConflictError, match="is gone"):
        publish_policy(world.olga, policy=moved)
    assert world.effect(world.there) is Effect.DENY


def test_documents_ask_the_second_person_where_enforcement_is_lost(world: World, settings: Any) -> None:
    settings.IN_PRODUCTION = True
    head = f"kind: Policy\nslug: payments\nunit: {world.here.slug}\n"
    text = head + "rules:\n  - {slug: all, when: 'true', effect: allow}"
    for second in (world.cleo, None):
        with pytest.raises(ConfigurationError):
            apply_texts(world.mia, texts={"a.yaml": text}, approved_by=second)
        assert world.effect(world.there) is Effect.DENY
    apply_texts(world.mia, texts={"a.yaml": text}, approved_by=world.olga)
    assert world.effect(world.there) is Effect.ALLOW


def test_the_page_and_the_api_say_where_it_would_hold(world: World) -> None:
    world.move(world.here)
    page = signed_in(world.olga).get("/policies/payments/?version=2").content.decode()
    assert "Once it is released, it covers instead: Here." in page
    told = signed_in(world.olga).get("/api/v1/policies/payments/").json()
    assert (told["unit"], told["latest_unit"]) == (None, world.here.slug)


def test_what_a_draft_moved_before_is_put_back(world: World) -> None:
    Policy.objects.filter(slug="payments").update(unit=world.here)
    other = make_policy(ALL, unit=world.there)
    import_module("apps.policies.migrations.0016_cover_what_is_in_force").mend(apps, None)
    assert Policy.objects.get(slug="payments").unit is None
    assert Policy.objects.get(pk=other.pk).unit == world.there


class TestSimulations:
    def test_of_a_wider_version_is_for_those_who_see_there(self, world: World) -> None:
        publish_policy(world.olga, policy=world.move(world.here))
        world.policy.refresh_from_db()
        wide = world.policy.versions.get(number=1)
        with pytest.raises(NotAllowedError):
            world.start(world.cleo, version=wide)
        assert not Simulation.objects.exists()
        made = world.start(world.olga, version=wide)
        assert not simulations_for(world.cleo).exists()
        with pytest.raises(NotFoundError):
            simulation_for(world.cleo, made.pk)
        assert simulation_for(world.olga, made.pk) == made

    def test_of_its_own_unit_is_for_its_viewer(self, world: World) -> None:
        publish_policy(world.olga, policy=world.move(world.here))
        world.policy.refresh_from_db()
        made = world.start(world.cleo, rules=[ALL])
        assert simulation_for(world.cleo, made.pk) == made

    def test_names_no_unit_that_moved_away_since(self, world: World) -> None:
        admin, below = make_admin(), make_unit(parent=world.here)
        publish_policy(world.olga, policy=world.move(world.here))
        world.policy.refresh_from_db()
        agent = make_agent(unit=below)
        facts = make_facts(unit_id=below.pk)
        verdict = evaluate_action(agent.user, facts=facts).as_json()
        make_action(agent=agent, verdict=verdict, amount_minor=50_000, currency="EUR")
        made = world.start(world.cleo, rules=[ALL])
        while tasks.judge_past():
            pass
        made.refresh_from_db()
        assert result_of(world.cleo, made).units == ((below.slug, 1),)
        BusinessUnit.objects.filter(pk=below.pk).update(parent=world.there)
        assert result_of(world.cleo, made).units == (("", 1),)
        assert result_of(admin, made).units == ((below.slug, 1),)


@pytest.mark.parametrize("approved", [True, False])
def test_a_waiver_ends_where_its_policy_comes_to_cover_other_units(world: World, approved: bool) -> None:
    publish_policy(world.olga, policy=world.move(world.here))
    world.policy.refresh_from_db()
    about: dict[str, Any] = {"scope": "operation", "target": make_facts().operation, "approved": approved}
    waiver = make_waiver(world.policy, "no", by=world.cleo, **about)
    more: dict[str, Any] = {"name": "Payments", "unit": world.here, "rules": [ALL, NO, make_rule(effect="flag")]}
    publish_policy(world.olga, policy=save_policy(world.mia, slug="payments", **more)[0])
    waiver.refresh_from_db()
    assert waiver.state == ("live" if approved else "asked")
    publish_policy(world.olga, policy=world.move(None))
    waiver.refresh_from_db()
    assert (waiver.state, waiver.ended_by) == ("ended", world.olga)
    assert "covers other units" in waiver.answer
    asked = make_facts(unit_id=world.there.pk)
    assert evaluate_action(world.mia, facts=asked, is_fresh=True).effect is Effect.DENY
