"""Rules that cannot be judged are listed and told of once; what a rule flags is told to the agent's owner once a day.

What agents ask comes over HTTP; the projection is folded as the scheduler folds it.
"""

from typing import Any

import pytest

from apps.agents.models import Action
from apps.agents.services.credentials import create_credential
from apps.audit.models import Entry
from apps.core.models import User
from apps.notifications.models import Delivery, Notice
from apps.notifications.selectors import notices_for
from apps.notifications.services import save_wishes
from apps.policies.models import RuleFault, RuleFlag
from apps.policies.rules.health import cause_of
from apps.policies.tasks import fold_entries
from tests.factories.access import grant, make_admin, make_holder, make_role, make_user
from tests.notifications.conftest import tell
from tests.oversight.edge_cases.doors import Person
from tests.workflows.actions import Desk, make_desk, rules_of

pytestmark = pytest.mark.django_db
PUBLISH, VIEW, SEE = "policies.publish_policy", "policies.view_policy", "agents.view_agent"
ALL = {"slug": "all", "when": "true"}
ERRS = {"slug": "errs", "when": "action.parameters.memo == 'x'", "effect": "deny"}
FLAGS = {"slug": "odd", "when": "action.amount_minor > 100", "effect": "flag"}
SECRET = {**FLAGS, "slug": "s3cret", "confidential": True}


class Ledger:
    """Folds what was written since, as the projection does."""

    def __init__(self) -> None:
        self.last = 0

    def fold(self) -> None:
        entries = list(Entry.objects.filter(pk__gt=self.last).order_by("pk"))
        self.last = entries[-1].pk if entries else self.last
        fold_entries(entries)
        tell()


@pytest.fixture
def desk() -> Desk:
    return make_desk()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def told(event: str) -> list[tuple[User, str]]:
    rows = Delivery.objects.filter(notice__event=event, channel="in_app", state="delivered").order_by("id")
    return [(row.recipient, row.notice.title) for row in rows if row.recipient]


class TestWhatCannotBeJudged:
    def test_it_fails_closed_and_stands_on_the_list_with_who_may_mend_it(self, desk: Desk, ledger: Ledger) -> None:
        mender, reader = (
            make_holder(PUBLISH, VIEW, unit=desk.agent.unit),
            make_holder(VIEW, SEE, unit=desk.agent.unit),
        )
        make_holder(VIEW, unit=desk.agent.unit)
        rules_of(desk, ALL, ERRS)
        for _ in range(3):
            assert desk.ask().json()["state"] == "denied"
            ledger.fold()
        fault = RuleFault.objects.get()
        assert (fault.rule, fault.effect, fault.times, fault.is_shadow) == ("errs", "deny", 3, False)
        assert fault.action_id == Action.objects.latest("id").pk
        assert fault.cause == 'Key not found in map: "memo"'
        (line,) = Person(reader).get("/policy-health/").json()["results"]
        assert (line["policy"], line["rule"], line["times"], line["mode"]) == (
            desk.policy.slug, "errs", 3, "enforced",
        )  # fmt: skip
        assert (line["agent"], line["menders"]) == (desk.agent.slug, [mender.username])
        assert (line["version"], line["in_force"]) == (2, 2)
        page = Person(reader).page("/policy-health/")
        assert "Key not found in map" in page
        assert f"/actions/{fault.action_id}/" in page
        assert str(mender) in page
        assert "A rule could not be judged" in Person(reader).page("/policies/")
        assert "1 rule cannot be judged" in Person(make_admin()).page("/control/")
        assert [person for person, _ in told("erred")] == [mender]
        assert told("erred")[0][1] == "P: errs"

    def test_its_notice_leads_to_the_list(self, desk: Desk, ledger: Ledger) -> None:
        mender = make_holder(PUBLISH, VIEW, unit=desk.agent.unit)
        rules_of(desk, ALL, ERRS)
        desk.ask()
        ledger.fold()
        (row,) = notices_for(mender)
        assert Person(mender).pages.get(f"/notifications/{row.pk}/")["Location"] == "/policy-health/"
        assert row.risk == "high"

    def test_each_cause_is_told_once_and_no_value_is_kept(self, desk: Desk, ledger: Ledger) -> None:
        make_holder(PUBLISH, unit=desk.agent.unit)
        deep = {"slug": "deep", "when": "action.parameters[action.parameters.iban] == 1", "effect": "require_approval"}
        rules_of(desk, ALL, {**deep, "queue": desk.queue.slug})
        for iban in ("DE01", 'DE"02', "DE\"0'3", "DE" * 150):
            desk.ask(parameters={"iban": iban})
            ledger.fold()
        assert list(RuleFault.objects.values_list("cause", "times")) == [("Key not found in map", 4)]
        assert len(told("erred")) == 1
        rules_of(desk, ALL, {**deep, "when": "action.parameters.iban < 1", "queue": desk.queue.slug})
        desk.ask()
        ledger.fold()
        assert RuleFault.objects.count() == len(told("erred")) == 2

    def test_a_number_as_key_is_not_kept_either(self, desk: Desk, ledger: Ledger) -> None:
        rules_of(desk, ALL, {**ERRS, "when": "{1: 2}[action.amount_minor] == 2"})
        desk.ask()
        ledger.fold()
        assert RuleFault.objects.get().cause == "Key not found in map"

    def test_a_rule_has_ten_reasons_at_most_then_others(self, desk: Desk, ledger: Ledger) -> None:
        make_holder(PUBLISH, unit=desk.agent.unit)
        names = [f"f{number}" for number in range(13)]
        read = " || ".join(f"action.parameters.{name} == 1" for name in names)
        rules_of(desk, ALL, {**ERRS, "when": f"action.parameters[action.parameters.iban] == 1 && ({read})"})
        for name in names:
            desk.ask(parameters={"iban": name})
            ledger.fold()
        causes = dict(RuleFault.objects.values_list("cause", "times"))
        assert causes == {**{f'Key not found in map: "{name}"': 1 for name in names[:10]}, "Other reasons": 3}
        assert len(told("erred")) == Entry.objects.filter(name="rulefault.erred").count() == 11

    def test_mended_it_is_urgent_no_more_and_marked_on_the_list(self, desk: Desk, ledger: Ledger) -> None:
        rules_of(desk, ALL, ERRS)
        desk.ask()
        ledger.fold()
        admin = Person(make_admin())
        assert "No more in force" not in admin.page("/policy-health/")
        assert "cannot be judged" in admin.page("/control/")
        rules_of(desk, ALL, {**ERRS, "when": "has(action.parameters.memo)"})
        assert "No more in force" in admin.page("/policy-health/")
        assert "could not be judged" not in admin.page("/policies/")
        assert "cannot be judged" not in admin.page("/control/")

    def test_in_shadow_it_changes_nothing_and_is_listed_as_such(self, desk: Desk, ledger: Ledger) -> None:
        mender = make_holder(PUBLISH, VIEW, unit=desk.agent.unit)
        rules_of(desk, ALL, {**ERRS, "mode": "shadow"})
        assert desk.ask().json()["state"] == "approved"
        ledger.fold()
        (line,) = Person(mender).get("/policy-health/").json()["results"]
        assert line["mode"] == "shadow"
        assert "It has no say, so nothing came of it." in Person(mender).page("/policy-health/")
        assert notices_for(mender).get().risk == "low"
        assert "cannot be judged" not in Person(make_admin()).page("/control/")
        assert "could not be judged" not in Person(mender).page("/policies/")

    def test_it_is_shown_to_those_alone_who_see_the_policy(self, desk: Desk, ledger: Ledger) -> None:
        rules_of(desk, ALL, {**ERRS, "confidential": True})
        desk.ask()
        ledger.fold()
        elsewhere = Person(make_holder(VIEW))
        here, other = (
            Person(make_holder(VIEW, unit=desk.agent.unit)),
            Person(make_holder(VIEW, unit=make_desk().agent.unit)),
        )
        assert [line["rule"] for line in elsewhere.get("/policy-health/").json()["results"]] == ["errs"]
        assert here.get("/policy-health/").json()["results"][0]["action"] is None
        assert other.get("/policy-health/").json()["results"] == []
        assert "Every rule could be judged" in other.page("/policy-health/")
        assert Person(make_user()).pages.get("/policy-health/").status_code == 403
        grant(desk.agent.user, make_role(VIEW))
        assert desk.get("policy-health/").json()["results"] == []
        entry = Entry.objects.get(name="rulefault.erred")
        assert "errs" not in str(entry.payload)

    def test_a_confidential_one_is_told_without_its_name(self, desk: Desk, ledger: Ledger) -> None:
        make_holder(PUBLISH, unit=desk.agent.unit)
        rules_of(desk, ALL, {**ERRS, "confidential": True})
        desk.ask()
        ledger.fold()
        assert [title for _, title in told("erred")] == ["P: a confidential rule"]

    def test_tests_are_not_counted(self, desk: Desk, ledger: Ledger) -> None:
        rules_of(desk, ALL, ERRS, FLAGS)
        desk.key = create_credential(make_admin(), agent=desk.agent, environment="test").text
        assert desk.ask().json()["environment"] == "test"
        ledger.fold()
        assert not RuleFault.objects.exists()
        assert not RuleFlag.objects.exists()

    @pytest.mark.parametrize(
        ("error", "condition", "cause"),
        [
            ('Key not found in map : "memo"', "action.parameters.memo == 'x'", 'Key not found in map: "memo"'),
            ('Key not found in map : "memo"', "action.parameters['memo'] == 1", 'Key not found in map: "memo"'),
            ('Key not found in map : "mem"', "action.parameters.memo == 'x'", "Key not found in map"),
            ('Key not found in map : "Ann"', "a[b.name] == 'Ann' || c == 'x.Ann'", "Key not found in map"),
            ('Key not found in map : "DE17 0001"', "a[b]", "Key not found in map"),
            ("Key not found in map : 'a\"b'", "a[b]", "Key not found in map"),
            ('Key not found in map : "a\\"b\'c"', "a[b]", "Key not found in map"),
            ('Key not found in map : "' + "DE" * 90, "a[b]", "Key not found in map"),
            ("Key not found in map : 50000", "{1: 2}[a]", "Key not found in map"),
            ("Index error: index=5 size=1", "l[5]", "Index error"),
            ("No matching overloads found : _<_(int64, string)", "a < b", "No matching overloads found"),
            ("Type conversion error from 'string' to 'bool'", "bool(a)", "Type conversion error"),
            ("a condition is true or false, not string", "a", "a condition is true or false"),
            ("DE17 0001 is no number", "a", "The condition failed"),
            ("", "a", "The condition failed"),
            ("divide by zero", "1 / a", "divide by zero"),
        ],
    )
    def test_a_cause_holds_no_values(self, error: str, condition: str, cause: str) -> None:
        assert cause_of(error, condition) == cause


class TestWhatARuleFlags:
    def test_its_owner_is_told_once_a_day_however_many_come(self, desk: Desk, ledger: Ledger) -> None:
        rules_of(desk, ALL, FLAGS)
        for _ in range(5):
            assert desk.ask().json()["state"] == "approved"
            ledger.fold()
        owner = desk.agent.owner
        flag = RuleFlag.objects.get()
        assert (flag.times, flag.rule, flag.agent) == (5, "odd", desk.agent)
        assert Notice.objects.filter(event="marked").count() == 1
        ((person, title),) = told("marked")
        assert (person, title) == (owner, f"{desk.agent}, by P: odd (5 on {flag.day}, UTC)")
        (row,) = notices_for(owner)
        assert row.risk == desk.agent.risk
        opened = Person(owner).pages.get(f"/notifications/{row.pk}/")["Location"]
        assert opened == f"/flags/?agent={desk.agent.slug}#by-rules"
        page = Person(owner).page("/flags/")
        assert "<code>odd</code>, 5 times" in page
        (line,) = Person(owner).get("/rule-flags/").json()["results"]
        assert (line["rule"], line["times"], line["agent"]) == ("odd", 5, desk.agent.slug)

    def test_another_day_is_told_anew(self, desk: Desk, ledger: Ledger) -> None:
        rules_of(desk, ALL, FLAGS)
        desk.ask()
        ledger.fold()
        RuleFlag.objects.update(day="2026-01-01")
        desk.ask()
        ledger.fold()
        assert len(told("marked")) == 2

    def test_what_is_denied_or_asked_as_well_is_flagged_too(self, desk: Desk, ledger: Ledger) -> None:
        rules_of(desk, ALL, FLAGS, {"slug": "no", "effect": "deny"})
        assert desk.ask().json()["state"] == "denied"
        ledger.fold()
        assert len(told("marked")) == 1

    def test_in_shadow_it_tells_nobody(self, desk: Desk, ledger: Ledger) -> None:
        rules_of(desk, ALL, {**FLAGS, "mode": "shadow"})
        desk.ask()
        ledger.fold()
        assert not RuleFlag.objects.exists()
        assert told("marked") == []

    def test_a_confidential_one_is_named_to_those_alone_who_see_its_policy(self, desk: Desk, ledger: Ledger) -> None:
        rules_of(desk, ALL, SECRET)
        desk.ask()
        ledger.fold()
        owner = Person(desk.agent.owner)
        assert "a confidential rule" in owner.page("/notifications/")
        for shown in (owner.page("/notifications/"), owner.page("/flags/"), str(owner.get("/rule-flags/").json())):
            assert "s3cret" not in shown
        assert desk.get("rule-flags/").json()["results"][0]["rule"] == "confidential"
        knows = Person(make_holder(VIEW, SEE, unit=desk.agent.unit))
        assert "s3cret" in knows.page("/flags/")
        assert knows.get("/rule-flags/").json()["results"][0]["rule"] == "s3cret"
        assert "s3cret" not in str(Entry.objects.get(name="ruleflag.raised").payload)

    def test_it_is_told_by_the_owners_wishes(self, desk: Desk, ledger: Ledger) -> None:
        everything: Any = {"in_app": {"low": "off", "medium": "off", "high": "off", "critical": "off"}}
        save_wishes(desk.agent.owner, timings=everything, quiet=None)
        rules_of(desk, ALL, FLAGS)
        desk.ask()
        ledger.fold()
        assert told("marked") == []
        assert Delivery.objects.get(notice__event="marked", channel="in_app").outcome == "preference"

    def test_who_neither_owns_nor_sees_the_agent_sees_nothing_of_it(self, desk: Desk, ledger: Ledger) -> None:
        rules_of(desk, ALL, FLAGS)
        desk.ask()
        ledger.fold()
        stranger = Person(make_holder(SEE, unit=make_desk().agent.unit))
        assert stranger.get("/rule-flags/").json()["results"] == []
        assert "No rule flagged anything" in stranger.page("/flags/")
