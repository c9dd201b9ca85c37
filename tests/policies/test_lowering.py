"""What denies or asks less than before is released by somebody who may lower enforcement, and never by one alone."""

from typing import Any

import pytest
from django.test import Client

from apps.audit.models import Entry
from apps.configuration.services import ConfigurationError, apply_texts
from apps.core.errors import NotAllowedError
from apps.core.models import User
from apps.core.services import system_user
from apps.policies.models import Policy
from apps.policies.rules import Effect, differences_between, lowers
from apps.policies.services import evaluate_action, publish_policy, retire_policy, save_policy
from tests.factories.access import make_admin, make_holder, make_queue, make_unit
from tests.factories.policies import make_facts, make_policy, make_rule

PUBLISH, VIEW, LOWER = "policies.publish_policy", "policies.view_policy", "policies.lower_enforcement"
ALL = make_rule(slug="all")
NO = make_rule(slug="no", when="action.amount_minor > 100", effect="deny")
ASKS = make_rule(slug="asks", effect="require_approval", queue="finance")
TWO = [{"n": 1}, {"n": 2, "queue": "board", "over_minor": 500}]


def demanding(**obligations: Any) -> dict[str, Any]:
    """The rule that asks, with these demands."""
    return {**ASKS, "obligations": obligations}


DOCUMENT = """kind: Policy
slug: payments
name: Payments
unit: {unit}
rules:
  - {{slug: all, when: "true", effect: allow}}
"""


@pytest.mark.parametrize(
    ("before", "after", "does"),
    [
        ([NO], [], True),
        ([NO], [{**NO, "mode": "shadow"}], True),
        ([NO], [{**NO, "effect": "require_approval", "queue": "finance"}], True),
        ([ASKS], [{**ALL, "slug": "asks"}], True),
        ([NO], [{**NO, "effect": "flag"}], True),
        ([NO], [{**NO, "when": "action.amount_minor > 200"}], False),
        ([ASKS], [{**NO, "slug": "asks"}], False),
        ([{**NO, "mode": "shadow"}], [], False),
        ([ALL], [], False),
        ([demanding(quorum=3)], [demanding(quorum=1)], True),
        ([demanding(quorum=1)], [demanding(quorum=2)], False),
        ([demanding(exclude=["agent_owner"])], [ASKS], True),
        ([demanding(step_up=True)], [ASKS], True),
        ([ASKS], [demanding(step_up=True)], False),
        ([demanding(hold="1h")], [demanding(hold="5m")], True),
        ([demanding(quorum=TWO)], [demanding(quorum=TWO[:1])], True),
        ([demanding(quorum=TWO)], [demanding(quorum=[TWO[0], {**TWO[1], "over_minor": 900}])], False),
        ([demanding(quorum=TWO)], [demanding(quorum=[TWO[0], {**TWO[1], "n": 1}])], True),
        ([ASKS], [{**ASKS, "queue": "interns"}], True),
        ([{**ASKS, "risk": "critical"}], [ASKS], True),
        ([NO], [{**NO, "scope": {"agents": ["one"]}}], True),
        ([{**NO, "scope": {"agents": ["one"]}}], [NO], False),
        ([{**ALL, "scope": {"agents": ["one", "two"]}}], [{**ALL, "scope": {"agents": ["one"]}}], False),
        ([{**ALL, "obligations": {"step_up": True}}], [ALL], True),
        (
            [{**ALL, "obligations": {"limit": {"amount_minor": 100}}}],
            [{**ALL, "obligations": {"limit": {"amount_minor": 200}}}],
            False,
        ),
        ([{**ALL, "obligations": {"limit": {"amount_minor": 100}}}], [ALL], True),
        ([demanding(bulk={"items": 10})], [demanding(bulk={"items": 100})], True),
        ([demanding(bulk={"items": 100})], [ASKS], False),
        ([demanding(bulk={"items": 50, "total_minor": 100})], [demanding(bulk=False)], False),
        ([{**ALL, "obligations": {"step_up": True}}], [{**ALL, "slug": "renamed"}], True),
        ([{**ALL, "obligations": {"step_up": True}}], [{**ALL, "mode": "shadow"}], True),
        ([{**ALL, "obligations": {"step_up": True}}], [{**NO, "slug": "all"}], False),
        ([{**ASKS, "obligations": {"no_more": 1}}], [ASKS], True),
        ([], [NO], False),
    ],
)
def test_lower_is_what_denies_or_asks_less(before: list[Any], after: list[Any], does: bool) -> None:
    assert lowers(differences_between(before, after)) is does


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"when": "action.amount_minor > 150000"}, "Above 1,000.00 a person."),
        ({"when": "action.amount_minor > 150000", "message": "Above 1,500.00 a person."}, ""),
        ({"queue": "other"}, ""),
        ({"when": "true", "message": ""}, ""),
    ],
)
def test_a_message_that_stays_while_its_rule_becomes_another_is_pointed_out(change: dict[str, Any], told: str) -> None:
    before = {**ASKS, "message": "Above 1,000.00 a person."}
    (difference,) = differences_between([before], [{**before, **change}])
    assert difference.old_message == told


class World:
    """A policy that denies; Ada writes, Ben may publish, Cleo may lower as well."""

    def __init__(self) -> None:
        self.unit = make_unit(slug="finance-unit")
        make_queue(slug="finance", unit=self.unit)
        self.ada, self.ben = (make_holder(PUBLISH, VIEW, unit=self.unit, name=name) for name in ("Ada", "Ben"))
        self.cleo = make_holder(PUBLISH, VIEW, LOWER, unit=self.unit, name="Cleo")
        self.policy = make_policy(ALL, NO, unit=self.unit, slug="payments", name="Payments")

    def write(self, *rules: dict[str, Any], by: User | None = None) -> Policy:
        return save_policy(by or self.ada, slug="payments", name="Payments", unit=self.unit, rules=list(rules))[0]

    def effect(self) -> Effect:
        return evaluate_action(self.ada, facts=make_facts(unit_id=self.unit.pk)).effect


@pytest.fixture
def world(db: None) -> World:
    return World()


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


class TestReleasing:
    def test_to_publish_is_not_enough_and_the_refusal_names_who_may(self, world: World) -> None:
        written = world.write(ALL)
        entries = Entry.objects.count()
        with pytest.raises(NotAllowedError) as caught:
            publish_policy(world.ben, policy=written)
        assert caught.value.members["why"] == "lowers_enforcement"
        assert caught.value.members["may"] == [world.cleo.username]
        assert (Entry.objects.count(), world.effect()) == (entries, Effect.DENY)
        publish_policy(world.cleo, policy=written)
        assert world.effect() is Effect.ALLOW

    def test_nobody_lowers_alone(self, world: World) -> None:
        written = world.write(ALL, by=world.cleo)
        with pytest.raises(NotAllowedError) as caught:
            publish_policy(world.cleo, policy=written)
        assert (caught.value.members["why"], caught.value.members["may"]) == ("policy_author", [])

    def test_what_lowers_nothing_takes_no_more_than_publishing(self, world: World) -> None:
        publish_policy(world.ben, policy=world.write(ALL, {**NO, "when": "action.amount_minor > 90000"}))
        assert world.effect() is Effect.ALLOW

    def test_to_cover_fewer_units_lowers(self, world: World) -> None:
        below = make_unit(parent=world.unit)
        save_policy(world.ada, slug="payments", name="Payments", unit=below, rules=[ALL, NO])
        with pytest.raises(NotAllowedError):
            publish_policy(world.ben, policy=world.policy)

    def test_to_retire_lowers(self, world: World) -> None:
        made = retire_policy(world.ada, policy=world.policy, reason="Over.")
        with pytest.raises(NotAllowedError):
            publish_policy(world.ben, policy=world.policy, version=made.version.number)
        publish_policy(world.cleo, policy=world.policy, version=made.version.number)

    def test_the_page_offers_it_to_whoever_may(self, world: World) -> None:
        world.write(ALL)
        pages = [
            signed_in(who).get("/policies/payments/?version=2").content.decode() for who in (world.ben, world.cleo)
        ]
        assert ["Release version 2" in page for page in pages] == [False, True]
        assert all("It lowers what is enforced" in page for page in pages)
        assert "These people may release it: Cleo" in " ".join(pages[0].split())

    def test_admins_read_of_it_first_thing(self, world: World) -> None:
        admin = make_admin()
        words = "Payments is not enforced in full: no is in shadow"
        assert words not in signed_in(admin).get("/control/").content.decode()
        publish_policy(world.cleo, policy=world.write(ALL, {**NO, "mode": "shadow"}))
        assert words in signed_in(admin).get("/control/").content.decode()


class TestDocuments:
    def apply(self, world: World, by: User, agreed: User | None = None) -> None:
        apply_texts(by, texts={"a.yaml": DOCUMENT.format(unit=world.unit.slug)}, approved_by=agreed)

    def test_in_production_two_people_lower_by_name(self, world: World, settings: Any) -> None:
        settings.IN_PRODUCTION = True
        console = system_user("console")
        for by, agreed in (
            (console, None),
            (console, world.cleo),
            (world.ada, None),
            (world.cleo, world.cleo),
            (world.ada, world.ben),
        ):
            with pytest.raises(ConfigurationError):
                self.apply(world, by, agreed)
            assert world.effect() is Effect.DENY
        self.apply(world, world.ada, world.cleo)
        assert world.effect() is Effect.ALLOW

    def test_elsewhere_documents_count_as_reviewed(self, world: World) -> None:
        self.apply(world, system_user("console"))
        assert world.effect() is Effect.ALLOW

    def test_in_production_what_only_tightens_is_applied_by_the_console(self, world: World, settings: Any) -> None:
        settings.IN_PRODUCTION = True
        console, text = system_user("console"), DOCUMENT.format(unit=world.unit.slug)
        text += '  - {slug: "no", when: "action.amount_minor > 100", effect: deny}\n'
        apply_texts(console, texts={"a.yaml": text + '  - {slug: never, when: "true", effect: deny}\n'})
        assert world.effect() is Effect.DENY
        with pytest.raises(ConfigurationError):  # it lowers nothing, yet may come out milder
            apply_texts(console, texts={"a.yaml": text.replace("100", "900")})
