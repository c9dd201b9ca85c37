"""Waivers: one rule has no say, for what is named, as often and as long as two people said; everything else stands."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.audit.models import Entry
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.models import ClockTimestamp, User
from apps.oversight.services import cast_vote
from apps.policies.models import Policy, Waiver
from apps.policies.rules import Effect, verdict_of
from apps.policies.rules.waivers import MAX_DAYS
from apps.policies.selectors.waivers import may_end, waiting_waivers_for
from apps.policies.services import evaluate_action, retire_policy
from apps.policies.services.waivers import approve_waiver, ask_waiver, decline_waiver, end_waiver, expire_waivers
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.policies import make_facts, make_rule
from tests.factories.waivers import make_waiver
from tests.workflows.actions import Desk, make_desk, rules_of, the_action, the_item, work

VIEW, PUBLISH, LOWER = "policies.view_policy", "policies.publish_policy", "policies.lower_enforcement"
HUGE = 20_000_000
LARGE = 200_000


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def desk(db: None) -> Desk:
    return make_desk()


def lift(desk: Desk, rule: str, scope: str = "agent", target: str = "", **fields: Any) -> Waiver:
    return make_waiver(desk.policy, rule, scope=scope, target=target or desk.agent.slug, **fields)


class TestJudging:
    def test_it_lifts_one_rule_and_every_verdict_that_used_it_says_so(self, desk: Desk) -> None:
        waiver = lift(desk, "huge", times=2)
        made = desk.ask(HUGE).json()
        assert made["state"] == "pending_approval"  # the rule that asks still has its say
        (told,) = made["verdict"]["waivers"]
        assert (told["policy"], told["rule"], told["effect"]) == (desk.policy.slug, "huge", "deny")
        assert set(told) == {"policy", "rule", "effect", "until"}
        assert [rule["rule"] for rule in made["verdict"]["rules"]] == ["large"]
        action = the_action()
        (kept,) = action.verdict["waivers"]
        assert (kept["id"], kept["by"], kept["approved_by"]) == (
            str(waiver.pk), waiver.maker.username, waiver.approver.username,
        )  # fmt: skip
        assert verdict_of(action.verdict).waivers == (kept,)
        lines = {line["rule"]: line.get("waiver") for line in action.verdict["trace"]}
        assert (lines["huge"], lines["large"]) == (str(waiver.pk), None)
        assert verdict_of(action.verdict).as_json()["trace"] == action.verdict["trace"]
        waiver.refresh_from_db()
        assert (waiver.used, waiver.state, waiver.uses.get().action) == (1, "live", action)
        entry = Entry.objects.get(name="waiver.used")
        assert (entry.payload["action"], entry.trail_id) == (str(action.pk), action.trail)

    def test_a_denial_by_another_rule_stands_and_nothing_is_used(self, desk: Desk) -> None:
        lift(desk, "huge")
        rules_of(
            desk,
            *desk.policy.in_force.rules,
            make_rule(slug="never", effect="deny", when="action.amount_minor > 15000000"),
        )
        assert desk.ask(HUGE).json()["state"] == "denied"
        assert (Waiver.objects.get().used, the_action().verdict.get("waivers")) == (0, None)

    def test_what_no_rule_allows_is_not_allowed_by_it(self, desk: Desk) -> None:
        rules_of(desk, make_rule(slug="huge", effect="deny"))
        desk.policy.refresh_from_db()
        lift(desk, "huge")
        made = desk.ask(50).json()
        assert (made["state"], [rule["rule"] for rule in made["verdict"]["rules"]]) == ("denied", ["huge"])
        assert Waiver.objects.get().used == 0

    def test_what_is_lifted_asks_nobody(self, desk: Desk) -> None:
        rules_of(desk, make_rule(slug="all"), make_rule(slug="large", effect="require_approval", queue=desk.queue.slug))
        desk.policy.refresh_from_db()
        lift(desk, "large")
        assert desk.ask(LARGE, reference="a").json()["state"] == "approved"
        assert Waiver.objects.get().state == "used_up"
        assert desk.ask(LARGE, reference="b").json()["state"] == "pending_approval"  # it is used up

    @pytest.mark.parametrize("scope", ["agent", "operation", "unit", "workflow"])
    def test_it_takes_in_what_it_names_and_nothing_else(self, desk: Desk, scope: str) -> None:
        above = make_unit()
        desk.agent.unit.parent = above
        desk.agent.unit.save()
        targets = {
            "agent": (desk.agent.slug, "somebody-else"),
            "operation": (desk.operation.slug, "bank.other"),
            "unit": (above.slug, make_unit().slug),
            "workflow": ("payables", "other"),
        }
        facts = make_facts(
            operation=desk.operation.slug,
            amount_minor=HUGE,
            unit_id=desk.agent.unit_id,
            agent=make_facts().agent.__class__(slug=desk.agent.slug),
            run=make_facts().run.__class__(workflow="payables"),
        )
        for target, effect in zip(targets[scope], (Effect.REQUIRE_APPROVAL, Effect.DENY), strict=True):
            waiver = Waiver.objects.create(**_raw(desk, scope=scope, target=target))
            verdict = evaluate_action(desk.approver, facts=facts, is_fresh=True)
            assert (verdict.effect, bool(verdict.waivers)) == (effect, effect is not Effect.DENY)
            waiver.delete()

    def test_of_a_rule_that_changed_it_lifts_nothing(self, desk: Desk) -> None:
        lift(desk, "huge")
        rules = [
            {**rule, "message": "Other."} if rule["slug"] == "huge" else rule for rule in desk.policy.in_force.rules
        ]
        rules_of(desk, *rules)
        assert desk.ask(HUGE).json()["state"] == "denied"

    def test_late_used_up_ended_or_not_yet_approved_it_lifts_nothing(self, desk: Desk) -> None:
        for changes in (
            {"until": ClockTimestamp() - timedelta(seconds=1)},
            {"times": 1, "used": 1},
            {"state": "ended"},
            {"state": "asked"},
            {"state": "declined"},
            {"state": "expired"},
        ):
            waiver = Waiver.objects.create(**{**_raw(desk), **changes})
            assert evaluate_action(desk.approver, facts=_facts(desk), is_fresh=True).effect is Effect.DENY, changes
            waiver.delete()

    def test_a_test_uses_none(self, desk: Desk) -> None:
        Waiver.objects.create(**_raw(desk))
        facts = _facts(desk, environment="test")
        assert evaluate_action(desk.approver, facts=facts, is_fresh=True).effect is Effect.DENY

    def test_to_ask_what_would_come_of_it_uses_none(self, desk: Desk) -> None:
        lift(desk, "huge")
        said = desk.post("actions/check/", desk.body(HUGE))
        assert said.json()["verdict"]["waivers"]
        assert Waiver.objects.get().used == 0

    def test_without_any_nothing_is_asked_of_the_database_for_them(
        self, desk: Desk, django_assert_num_queries: Any
    ) -> None:
        facts = _facts(desk)
        evaluate_action(desk.approver, facts=facts, is_fresh=True)
        with django_assert_num_queries(1):
            evaluate_action(desk.approver, facts=facts, is_fresh=True)


def _facts(desk: Desk, **fields: Any) -> Any:
    agent = make_facts().agent.__class__(slug=desk.agent.slug)
    about = {"operation": desk.operation.slug, "amount_minor": HUGE, "unit_id": desk.agent.unit_id, "agent": agent}
    return make_facts(**{**about, **fields})


def _raw(desk: Desk, **fields: Any) -> dict[str, Any]:
    """A live waiver of the rule that denies, as a row."""
    made = make_waiver(desk.policy, "huge", scope="agent", target=desk.agent.slug, approved=False)
    values = {name: getattr(made, name) for name in ("policy", "rule", "digest", "effect", "reason", "maker")}
    made.delete()
    until = ClockTimestamp() + timedelta(days=1)
    usual = {"scope": "agent", "target": desk.agent.slug, "days": 1, "times": 5, "state": "live"}
    return {**values, **usual, "approver": make_admin(), "until": until, **fields}


class TestEnding:
    def test_what_it_let_through_and_has_not_run_is_judged_anew(self, desk: Desk) -> None:
        waiver = lift(desk, "huge")
        desk.ask(HUGE)
        cast_vote(desk.approver, escalation_id=the_item().pk, verdict="approve", version=1)
        end_waiver(make_admin(), waiver=Waiver.objects.get(pk=waiver.pk))
        work()
        assert the_action().state == "denied"

    def test_what_used_its_last_use_runs_though_the_rules_changed(self, desk: Desk) -> None:
        lift(desk, "huge")
        desk.ask(HUGE)
        cast_vote(desk.approver, escalation_id=the_item().pk, verdict="approve", version=1)
        rules_of(desk, *desk.policy.in_force.rules, make_rule(slug="new", effect="flag", when="false"))
        work()
        assert the_action().state not in {"denied", "pending_approval"}

    def test_whoever_asked_approved_or_publishes_there_ends_it_at_once(self, desk: Desk) -> None:
        waiver = lift(desk, "huge")
        unit = desk.agent.unit
        for person, may in (
            (waiver.maker, True),
            (waiver.approver, True),
            (make_holder(PUBLISH, unit=unit), True),
            (make_holder(LOWER, unit=unit), True),
            (make_holder(VIEW, unit=unit), False),
            (make_holder(PUBLISH, unit=make_unit()), False),
            (desk.agent.user, False),
        ):
            assert may_end(person, waiver) is may
        with pytest.raises(NotAllowedError):
            end_waiver(make_holder(VIEW, unit=unit), waiver=waiver)
        end_waiver(make_holder(PUBLISH, unit=unit), waiver=waiver, reason="Enough.")
        assert (waiver.state, waiver.answer) == ("ended", "Enough.")
        with pytest.raises(ConflictError):
            end_waiver(make_admin(), waiver=waiver)

    def test_the_clock_ends_what_is_late_and_what_nobody_approved(self, desk: Desk) -> None:
        raw = _raw(desk)
        late, fresh = Waiver.objects.create(**raw), Waiver.objects.create(**{**raw, "target": "other"})
        Waiver.objects.filter(pk=late.pk).update(until=ClockTimestamp() - timedelta(minutes=1))
        forgotten = make_waiver(desk.policy, "large", scope="agent", target=desk.agent.slug, approved=False)
        Waiver.objects.filter(pk=forgotten.pk).update(created_at=ClockTimestamp() - timedelta(days=31))
        assert expire_waivers() == 2
        assert [Waiver.objects.get(pk=one.pk).state for one in (late, fresh, forgotten)] == [
            "expired",
            "live",
            "expired",
        ]


class TestAsking:
    def ask(self, desk: Desk, **fields: Any) -> Waiver:
        about = {"rule": "huge", "scope": "agent", "target": desk.agent.slug, "days": 7, "times": 1, "reason": "Known."}
        actor = fields.pop("actor", None) or make_holder(VIEW, unit=desk.agent.unit)
        return ask_waiver(actor, policy=desk.policy, **{**about, **fields})

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"days": 0}, "days"),
            ({"days": MAX_DAYS + 1}, "days"),
            ({"times": 0}, "times"),
            ({"times": 1_001}, "times"),
            ({"reason": " "}, "reason"),
            ({"reason": "x" * 501}, "reason"),
            ({"scope": "everything"}, "scope"),
            ({"rule": "gone"}, "rule"),
            ({"rule": "small"}, "rule"),
            ({"scope": "operation", "target": "bank.other"}, "target"),
        ],
    )
    def test_what_would_lift_nothing_or_too_much_is_refused(
        self, desk: Desk, fields: dict[str, Any], field: str
    ) -> None:
        entries = Entry.objects.count()
        with pytest.raises(InvalidError) as caught:
            self.ask(desk, **fields)
        assert list(caught.value.errors) == [field]
        assert (Waiver.objects.count(), Entry.objects.filter(name__startswith="waiver").count()) == (0, 0)
        assert Entry.objects.count() == entries

    def test_a_rule_in_shadow_or_out_of_force_is_not_lifted(self, desk: Desk) -> None:
        rules_of(desk, make_rule(slug="huge", effect="deny", mode="shadow"))
        desk.policy = Policy.objects.select_related("in_force", "unit").get(pk=desk.policy.pk)
        with pytest.raises(InvalidError):
            self.ask(desk)
        retire_policy(make_admin(), policy=desk.policy, reason="Over.")
        desk.policy = Policy.objects.select_related("in_force", "unit").get(pk=desk.policy.pk)
        with pytest.raises(InvalidError):
            self.ask(desk)

    def test_not_by_agents_and_not_by_strangers(self, desk: Desk) -> None:
        for actor in (desk.agent.user, make_holder(VIEW, unit=make_unit()), make_holder("agents.view_agent")):
            with pytest.raises(NotAllowedError):
                self.ask(desk, actor=actor)

    def test_the_same_is_asked_for_once(self, desk: Desk) -> None:
        waiver = self.ask(desk)
        with pytest.raises(ConflictError):
            self.ask(desk)
        approve_waiver(make_admin(), waiver=waiver)
        with pytest.raises(ConflictError):
            self.ask(desk)

    def test_somebody_else_who_may_lower_enforcement_approves_it(self, desk: Desk) -> None:
        asker = make_holder(VIEW, LOWER, unit=desk.agent.unit)
        waiver = self.ask(desk, actor=asker)
        cleo = make_holder(LOWER, unit=desk.agent.unit, name="Cleo")
        assert (waiting_waivers_for(asker), waiting_waivers_for(cleo)) == (0, 1)
        for actor, why in (
            (asker, "requester"),
            (make_holder(PUBLISH, unit=desk.agent.unit), "lowers_enforcement"),
            (make_holder(LOWER, unit=make_unit()), "lowers_enforcement"),
        ):
            with pytest.raises(NotAllowedError) as caught:
                approve_waiver(actor, waiver=waiver)
            assert (caught.value.code, caught.value.members["why"]) == ("not_eligible", why)
            assert cleo.username in caught.value.members["may"]
        found = approve_waiver(cleo, waiver=waiver)
        assert (found.state, found.approver) == ("live", cleo)
        assert timedelta(days=6, hours=23) < found.until - found.created_at < timedelta(days=7, hours=1)
        with pytest.raises(ConflictError):
            approve_waiver(make_admin(), waiver=waiver)

    def test_a_rule_that_changed_since_is_asked_for_anew(self, desk: Desk) -> None:
        waiver = self.ask(desk)
        rules_of(desk, make_rule(slug="huge", effect="deny"))
        with pytest.raises(InvalidError):
            approve_waiver(make_admin(), waiver=waiver)

    def test_declined_it_lifts_nothing(self, desk: Desk) -> None:
        waiver = self.ask(desk)
        with pytest.raises(InvalidError):
            decline_waiver(make_admin(), waiver=waiver, reason="")
        with pytest.raises(NotAllowedError):
            decline_waiver(make_holder(PUBLISH, unit=desk.agent.unit), waiver=waiver, reason="No.")
        decline_waiver(make_admin(), waiver=waiver, reason="Ask the CFO.")
        assert (waiver.state, waiver.answer) == ("declined", "Ask the CFO.")
        assert desk.ask(HUGE).json()["state"] == "denied"


class TestShowing:
    def test_the_action_and_the_item_say_it(self, desk: Desk) -> None:
        waiver = lift(desk, "huge")
        desk.ask(HUGE)
        words = f"{desk.policy.slug}/huge would have denied it; a waiver that {waiver.maker.username} asked for and"
        pages = [
            signed_in(make_admin()).get(f"/actions/{the_action().pk}/"),
            signed_in(desk.approver).get(f"/inbox/{the_item().pk}/"),
        ]
        for page in pages:
            assert words in page.content.decode()
            assert f"/waivers/{waiver.pk}/" in page.content.decode()
        told = signed_in(desk.approver).get(f"/api/v1/escalations/{the_item().pk}/").json()
        assert told["verdict"]["waivers"][0]["id"] == str(waiver.pk)

    def test_the_list_says_what_there_is_to_whoever_may_see_the_policy(self, desk: Desk) -> None:
        admin = signed_in(make_admin())
        assert "No waivers" in admin.get("/waivers/").content.decode()
        waiver = lift(desk, "huge")
        assert f"{desk.policy.slug}/huge" in admin.get("/waivers/").content.decode()
        stranger = signed_in(make_holder(VIEW, unit=make_unit()))
        assert f"{desk.policy.slug}/huge" not in stranger.get("/waivers/").content.decode()
        assert stranger.get(f"/waivers/{waiver.pk}/").status_code == 404
        assert signed_in(make_holder("agents.view_agent")).get("/waivers/").status_code == 403

    def test_from_asking_to_ending_on_pages(self, desk: Desk) -> None:
        ada = make_holder(VIEW, unit=desk.agent.unit, name="Ada")
        cleo = make_holder(VIEW, LOWER, "access.manage_access", unit=desk.agent.unit, name="Cleo")
        slug = desk.policy.slug
        link = f"/new-waiver/?policy={slug}&amp;rule=huge"
        assert link in signed_in(ada).get(f"/policies/{slug}/").content.decode()
        assert slug in signed_in(ada).get("/new-waiver/").content.decode()
        said = {
            "rule": "huge",
            "scope": "agent",
            "target": desk.agent.slug,
            "days": "3",
            "times": "2",
            "reason": "Known.",
        }
        url = f"/new-waiver/?policy={slug}"
        for wrong in ({"target": "nobody"}, {"days": "31"}, {"times": "0"}, {"reason": ""}, {"rule": "small"}):
            answer = signed_in(ada).post(url, {**said, **wrong})
            assert (answer.status_code, Waiver.objects.count()) == (422, 0)
        answer = signed_in(ada).post(url, said)
        page = signed_in(ada).get(answer.url).content.decode()
        assert "These people may approve it: Cleo" in " ".join(page.split())
        assert "One waiver waits" in signed_in(cleo).get("/control/").content.decode()
        signed_in(ada).post(f"{answer.url}approve/")
        assert Waiver.objects.get().state == "asked"
        signed_in(cleo).post(f"{answer.url}approve/")
        assert Waiver.objects.get().state == "live"
        signed_in(ada).post(f"{answer.url}end/", {"reason": "Not needed."})
        assert Waiver.objects.get().state == "ended"
        assert "“Not needed.”" in signed_in(cleo).get(answer.url).content.decode()

    def test_the_api_does_the_same(self, desk: Desk) -> None:
        ada, cleo = (make_holder(VIEW, LOWER, unit=desk.agent.unit, name=name) for name in ("Ada", "Cleo"))

        def call(person: User, method: str, path: str, body: Any = None) -> Any:
            return getattr(signed_in(person), method)(f"/api/v1/waivers/{path}", body, content_type="application/json")

        body = {"policy": desk.policy.slug, "rule": "huge", "scope": "agent", "target": desk.agent.slug}
        body |= {"reason": "Known.", "days": 3, "times": 2}
        for wrong in (
            {"policy": "gone"},
            {"target": "gone"},
            {"days": 31},
            {"times": "2"},
            {"rule": "small"},
            {"x": 1},
        ):
            assert call(ada, "post", "", {**body, **wrong}).status_code == 422
        made = call(ada, "post", "", body)
        assert (made.status_code, made.json()["state"], made.json()["left"]) == (201, "asked", 2)
        pk = made.json()["id"]
        assert call(ada, "post", f"{pk}/approve/").status_code == 403
        assert call(cleo, "post", f"{pk}/approve/").json()["approved_by"] == cleo.username
        desk.ask(HUGE)
        told = call(ada, "get", f"{pk}/").json()
        assert (told["used"], told["uses"][0]["action"]) == (1, str(the_action().pk))
        assert [one["id"] for one in signed_in(ada).get("/api/v1/waivers/?state=live").json()["results"]] == [pk]
        assert call(ada, "post", f"{pk}/decline/", {"reason": "No."}).status_code == 409
        assert call(ada, "post", f"{pk}/end/", {}).json()["state"] == "ended"
        assert desk.post("waivers/", body).status_code in {401, 403}
