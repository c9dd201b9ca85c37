"""Changes that people propose because of an item, and that somebody else releases."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.audit.models import Entry
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.services import system_user
from apps.policies.models import Policy, PolicyVersion, Proposal, Release
from apps.policies.rules import Effect, Wish, compile_rule, differences_between, judge, read_rules, rules_with
from apps.policies.selectors import changes_of
from apps.policies.services import (
    apply_policy,
    decline_proposal,
    evaluate_action,
    propose_change,
    publish_policy,
    retire_policy,
    save_policy,
)
from tests.factories.access import grant, make_holder, make_queue, make_role, make_unit, make_user
from tests.factories.agents import make_agent
from tests.factories.connectors import make_operation
from tests.factories.policies import make_facts, make_policy, make_rule

PUBLISH, LOWER = "policies.publish_policy", "policies.lower_enforcement"
ASKS = make_rule(slug="asks", when="action.amount_minor > 1000", effect="require_approval", queue="finance")


def wish(**fields):
    usual = {"slug": "item-1", "effect": Effect.ALLOW, "operation": "bank.pay", "agent": "payer", "target": "DE00"}
    return Wish(**{**usual, "amount_minor": 50_000, "currency": "EUR", **fields})


def judged(documents, **facts):
    rules, findings = read_rules(documents)
    assert not findings
    return judge([compile_rule(rule) for rule in rules], make_facts(**{"target": "DE00", **facts})).effect


class TestRules:
    def test_to_allow_takes_the_like_of_it_out_of_what_asks_and_nothing_else(self):
        rules = rules_with([ASKS, make_rule(slug="small", when="action.amount_minor <= 1000")], wish(), asking={"asks"})
        assert judged(rules, amount_minor=50_000) is Effect.ALLOW
        for other in (
            {"amount_minor": 50_001},
            {"amount_minor": 50_000, "currency": "USD"},
            {"amount_minor": 50_000, "target": "DE01"},
            {"amount_minor": 50_000, "agent": make_facts().agent.__class__(slug="other")},
            {"amount_minor": None},
        ):
            assert judged(rules, **other) is Effect.REQUIRE_APPROVAL, other

    def test_to_allow_leaves_a_denial_and_other_askers_as_they_are(self):
        deny, other = make_rule(slug="no", effect="deny"), {**ASKS, "slug": "other"}
        assert judged(rules_with([ASKS, deny], wish(), asking={"asks"})) is Effect.DENY
        assert judged(rules_with([ASKS, other], wish(), asking={"asks"})) is Effect.REQUIRE_APPROVAL

    def test_to_deny_and_to_ask_hold_above_the_amount(self):
        allow = make_rule(slug="all")
        denied = rules_with([allow], wish(effect=Effect.DENY), asking=())
        assert (judged(denied, amount_minor=50_001), judged(denied)) == (Effect.DENY, Effect.ALLOW)
        asked = rules_with([allow], wish(effect=Effect.REQUIRE_APPROVAL, queue="finance", people=2), asking=())
        assert (judged(asked, amount_minor=50_001), judged(asked)) == (Effect.REQUIRE_APPROVAL, Effect.ALLOW)
        assert asked[-1]["obligations"] == {"quorum": 2}

    @given(st.text(alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=60))
    def test_whatever_a_target_says_is_only_compared_with(self, target):
        rules = rules_with([ASKS], wish(target=target or "x"), asking={"asks"})
        assert judged(rules, amount_minor=50_000, target=target or "x") is Effect.ALLOW
        assert judged(rules, amount_minor=50_000, target=f"{target}!") is Effect.REQUIRE_APPROVAL

    @pytest.mark.parametrize("parameters", [{"iban": "DE01"}, {}, {"iban": 7}])
    def test_what_must_be_the_same_is_the_same_or_asked_about(self, parameters):
        rules = rules_with([ASKS], wish(same={"iban": "DE00"}), asking={"asks"})
        assert judged(rules, amount_minor=50_000) is Effect.ALLOW
        assert judged(rules, amount_minor=50_000, parameters=parameters) is Effect.REQUIRE_APPROVAL

    def test_a_slug_that_is_taken_gets_a_number(self):
        rules = rules_with(rules_with([ASKS], wish(), asking=()), wish(), asking=())
        assert [rule["slug"] for rule in rules] == ["asks", "item-1", "item-1-2"]

    def test_what_was_there_is_not_touched(self):
        before = dict(ASKS)
        rules_with([ASKS], wish(), asking={"asks"})
        assert before == ASKS

    def test_the_difference_names_what_was_added_removed_and_changed(self):
        one, two, three = make_rule(slug="one"), make_rule(slug="two"), make_rule(slug="three")
        found = differences_between([one, two], [two | {"effect": "deny"}, three])
        assert [(each.slug, each.kind, each.changed) for each in found] == [
            ("one", "removed", ()),
            ("three", "added", ()),
            ("two", "changed", ("effect",)),
        ]
        assert differences_between([one, two], [two, one]) == ()


class World:
    def __init__(self):
        self.unit = make_unit()
        make_queue(slug="finance", unit=self.unit)
        make_agent(slug="payer")
        make_operation(slug="bank.pay")
        self.policy = make_policy(ASKS, unit=self.unit)
        self.ada, self.ben = (make_holder(PUBLISH, LOWER, unit=self.unit, name=name) for name in ("Ada", "Ben"))

    def propose(self, actor=None, **fields):
        return propose_change(
            actor or self.ada,
            policy=self.policy.slug,
            asking={"asks"},
            **{"wish": wish(), "item": uuid4(), "reason": "Always right.", **fields},
        )

    def judged(self):
        return evaluate_action(self.ben, facts=make_facts(target="DE00", unit_id=self.unit.pk)).effect

    def release(self, actor, proposal, **seen):
        return publish_policy(actor, policy=proposal.policy, version=proposal.version.number, **seen)


@pytest.fixture
def world(db):
    return World()


class TestProposing:
    def test_writes_a_version_that_judges_nothing_and_is_not_the_latest(self, world):
        proposal = world.propose()
        world.policy.refresh_from_db()
        assert world.judged() is Effect.REQUIRE_APPROVAL
        assert (world.policy.latest, world.policy.is_ahead) == (proposal.base, False)
        assert (proposal.state, proposal.version.number, proposal.version.author) == ("open", 2, world.ada)
        told = Entry.objects.get(name="proposal.open").payload
        assert told["digest"] == proposal.version.digest
        assert told["item"] == str(proposal.item)

    def test_the_configuration_applied_again_changes_nothing_and_leaves_it_open(self, world):
        proposal = world.propose()
        console, name = system_user("console"), world.policy.name
        _, outcome = apply_policy(console, slug=world.policy.slug, name=name, rules=[ASKS], unit=world.unit)
        assert outcome == "unchanged"
        proposal.refresh_from_db()
        assert proposal.state == "open"

    @pytest.mark.parametrize("who", ["viewer", "elsewhere", "nobody"])
    def test_whoever_may_not_write_policies_here_reads_who_can(self, world, who):
        people = {
            "viewer": lambda: make_holder("policies.view_policy", unit=world.unit),
            "elsewhere": lambda: make_holder(PUBLISH, unit=make_unit()),
            "nobody": make_user,
        }
        with pytest.raises(NotAllowedError) as caught:
            world.propose(people[who]())
        assert caught.value.members["may"] == [world.ada.username, world.ben.username]
        assert "Ada, Ben" in str(caught.value.message)
        assert not Proposal.objects.exists()
        assert PolicyVersion.objects.count() == 1

    def test_no_agent_proposes_whatever_it_was_granted(self, world):
        agent = make_agent()
        grant(agent.user, make_role(PUBLISH))
        with pytest.raises(NotAllowedError):
            world.propose(agent.user)
        assert not Proposal.objects.exists()

    @pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
    def test_a_reason_is_needed(self, world, reason):
        with pytest.raises(InvalidError) as caught:
            world.propose(reason=reason)
        assert set(caught.value.errors) == {"reason"}

    def test_beside_a_rule_of_another_currency_an_allowance_is_refused_as_it_would_change_nothing(self, world):
        dollars = wish(currency="USD")
        with pytest.raises(InvalidError) as caught:
            world.propose(wish=dollars, currencies={world.unit.slug: "EUR", "": "EUR"})
        assert "EUR" in caught.value.errors["effect"][0]
        assert not Proposal.objects.exists()
        assert world.propose(wish=dollars, currencies={world.unit.slug: "USD"}).version.rules[-1]["currency"] == "USD"

    def test_the_same_twice_is_a_conflict(self, world):
        world.propose()
        with pytest.raises(ConflictError):
            world.propose(world.ben)
        assert Proposal.objects.count() == 1

    def test_a_rule_that_does_not_fit_leaves_nothing(self, world):
        with pytest.raises(InvalidError) as caught:
            world.propose(wish=wish(target="x" * 2_100))
        assert any(field.endswith("when") for field in caught.value.errors)
        assert not Proposal.objects.exists()

    def test_a_policy_that_is_not_in_force_or_does_not_exist_is_not_changed(self, world):
        going = retire_policy(world.ada, policy=world.policy, reason="Over.")
        world.release(world.ben, going)
        with pytest.raises(ConflictError):
            world.propose()
        with pytest.raises(NotFoundError):
            propose_change(world.ada, policy="none", wish=wish(), asking=(), item=uuid4(), reason="x")


class TestReleasing:
    def test_whoever_proposed_it_cannot_release_it(self, world):
        proposal = world.propose()
        with pytest.raises(NotAllowedError) as caught:
            world.release(world.ada, proposal)
        assert (caught.value.code, caught.value.members["why"]) == ("not_eligible", "policy_author")
        assert caught.value.members["may"] == [world.ben.username]
        assert world.judged() is Effect.REQUIRE_APPROVAL
        assert Release.objects.count() == 1

    def test_somebody_else_releases_it_and_it_judges(self, world):
        proposal = world.propose()
        world.release(world.ben, proposal, digest=proposal.version.digest, instead_of=1)
        proposal.refresh_from_db()
        world.policy.refresh_from_db()
        assert world.judged() is Effect.ALLOW
        assert (proposal.state, proposal.decided_by) == ("released", world.ben)
        assert world.policy.latest == world.policy.in_force == proposal.version
        assert Entry.objects.get(name="proposal.released").actor == world.ben

    def test_what_was_not_looked_at_is_not_released(self, world):
        proposal = world.propose()
        for seen in ({"digest": "sha256:other"}, {"instead_of": 7}):
            with pytest.raises(ConflictError) as caught:
                world.release(world.ben, proposal, **seen)
            assert caught.value.code == "stale"
        assert Release.objects.count() == 1

    def test_what_came_into_force_meanwhile_is_never_undone_by_an_older_proposal(self, world):
        proposal = world.propose()
        stricter = [ASKS, make_rule(slug="no", effect="deny")]
        apply_policy(system_user("console"), slug=world.policy.slug, name="P", rules=stricter, unit=world.unit)
        proposal.refresh_from_db()
        assert proposal.state == "superseded"
        with pytest.raises(ConflictError):
            world.release(world.ben, proposal)
        assert world.judged() is Effect.DENY

    def test_releasing_one_ends_the_others(self, world):
        one, other = world.propose(), world.propose(wish=wish(amount_minor=9_000))
        world.release(world.ben, one)
        other.refresh_from_db()
        assert other.state == "superseded"

    def test_a_declined_proposal_is_over(self, world):
        proposal = world.propose()
        with pytest.raises(InvalidError):
            decline_proposal(world.ben, proposal=proposal)
        decline_proposal(world.ben, proposal=proposal, reason="Too wide.")
        assert (proposal.state, proposal.decided_by, proposal.answer) == ("declined", world.ben, "Too wide.")
        with pytest.raises(ConflictError):
            world.release(world.ben, proposal)
        with pytest.raises(ConflictError):
            decline_proposal(world.ben, proposal=proposal, reason="Again.")

    def test_whoever_made_it_takes_it_back_without_a_word_and_strangers_do_not(self, world):
        proposal = world.propose()
        with pytest.raises(NotAllowedError):
            decline_proposal(make_holder(PUBLISH, unit=make_unit()), proposal=proposal, reason="No.")
        assert decline_proposal(world.ada, proposal=proposal).state == "declined"

    def test_a_version_written_by_hand_needs_another_person_too(self, world):
        rules = [make_rule(slug="all")]
        policy, _ = save_policy(world.ada, slug=world.policy.slug, name="P", rules=rules, unit=world.unit)
        with pytest.raises(NotAllowedError):
            publish_policy(world.ada, policy=policy)
        publish_policy(world.ben, policy=policy)
        assert Policy.objects.get(pk=policy.pk).in_force.number == 2

    def test_what_can_only_tighten_takes_one_person(self, world):
        rules = [ASKS, make_rule(slug="no", effect="deny")]
        policy, _ = save_policy(world.ada, slug=world.policy.slug, name="P", rules=rules, unit=world.unit)
        publish_policy(world.ada, policy=policy)
        assert world.judged() is Effect.DENY

    def test_what_it_changes_is_told_of_what_is_in_force(self, world):
        proposal = world.propose()
        found = {each.slug: each.kind for each in changes_of(world.ben, proposal.policy, proposal.version)}
        assert found == {"asks": "changed", "item-1": "added"}
