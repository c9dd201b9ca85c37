"""Rules edited on a page: as rows and as text, carried along until they are proposed; nobody releases their own."""

import json
import re
from html import unescape
from typing import Any

import pytest

from apps.access.models import Queue, RoleGrant
from apps.audit.models import Entry
from apps.policies.models import Policy, PolicyVersion, Proposal
from apps.policies.services import publish_policy
from tests.console.rule_desk import ODD, PUBLISH, SMALL, URL, VIEW, Desk, signed_in
from tests.factories.access import make_holder, make_unit
from tests.factories.agents import make_agent
from tests.factories.policies import make_policy, make_rule


@pytest.fixture
def desk(db: None) -> Desk:
    return Desk()


def test_a_rule_opens_as_rows_and_says_the_same_as_its_text(desk: Desk) -> None:
    page = desk.look("?rule=small")
    fields = desk.fields()
    assert (fields["rule-fact_0"], fields["rule-comparison_0"], fields["rule-value_0"]) == (
        "action.amount_minor",
        "at_most",
        "1000.00",
    )
    sentence = "Allowed when the amount is at most 1,000.00."
    assert sentence in page
    assert "action.amount_minor &lt;= 100000" in page
    as_text = desk.press("text")
    assert desk.fields()["rule-when"] == "action.amount_minor <= 100000"
    assert sentence in as_text
    desk.press("rows")
    assert desk.fields()["rule-value_0"] == "1000.00"
    assert desk.rules() == [SMALL, ODD]


def test_what_the_form_cannot_say_stays_text_and_says_so(desk: Desk) -> None:
    page = desk.look("?rule=odd")
    assert "This condition says more than the form can: it stays text." in page
    assert desk.fields()["rule-when"] == ODD["when"]
    assert "rule-fact_0" not in desk.fields()


def test_from_the_row_to_the_release_by_somebody_else(desk: Desk) -> None:
    versions = PolicyVersion.objects.count()
    desk.look("?rule=small")
    desk.press("row")
    desk.press(
        "done", value_0="2,500.00", fact_1="action.target", comparison_1="is", value_1="DE00",
        effect="require_approval", queue="finance", people="2", expires_in="4h", limit="9000.00",
        exclude=["agent_owner"],
    )  # fmt: skip
    assert desk.rules()[0] == {
        **SMALL,
        "when": 'action.amount_minor <= 250000 && action.target == "DE00"',
        "effect": "require_approval",
        "queue": "finance",
        "obligations": {
            "quorum": 2,
            "exclude": ["agent_owner"],
            "limit": {"amount_minor": 900_000},
            "expires_in": "4h",
        },
    }
    asked = "{operation: bank.pay, amount_minor: 5, currency: EUR, target: DE00}"
    page = desk.press("check", tests=f"- {{name: asked, action: {asked}, expect: require_approval}}")
    assert "2 people of " in page
    assert "Passed" in page
    assert "Propose this" in page
    assert PolicyVersion.objects.count() == versions  # nothing is written before it is proposed
    desk.press("propose", reason="Two look at each.")
    assert desk.answer.url == "/policies/payments/?version=2"
    proposal = Proposal.objects.get()
    assert (proposal.kind, proposal.state, proposal.reason) == ("rules", "open", "Two look at each.")
    assert proposal.version.tests[0]["name"] == "asked"
    assert Entry.objects.filter(name="proposal.open", actor=desk.ada).exists()
    shown = signed_in(desk.ben).get("/policies/payments/").content.decode()
    assert "Ada proposes other rules as version 2." in shown
    publish_policy(desk.ben, policy=desk.policy, version=2)
    assert Policy.objects.get(pk=desk.policy.pk).in_force == proposal.version


def test_a_rules_card_says_what_it_is_limited_to_and_in_which_currency(desk: Desk) -> None:
    make_agent(slug="clerk", unit=desk.unit)
    scope = {"operations": ["bank.pay"], "agents": ["clerk"]}
    make_policy(make_rule(slug="one", scope=scope, currency="CHF"), unit=desk.unit, slug="payments", name="P")
    page = desk.look()
    assert "<dt>Operations</dt><dd><code>bank.pay</code></dd>" in page
    assert "<dt>Agents</dt><dd><code>clerk</code></dd>" in page
    assert "<dt>Amounts in</dt><dd>CHF</dd>" in page
    make_policy(make_rule(slug="one", when="action.amount_minor > 5"), ODD, unit=desk.unit, slug="payments", name="P")
    assert desk.look().count('<dt>Amounts in</dt><dd>EUR <span class="muted">that of its unit</span></dd>') == 1


def test_queues_roles_and_units_are_offered_by_name(desk: Desk) -> None:
    queue, unit = Queue.objects.get(slug="finance"), desk.unit
    desk.look()
    desk.press("add")
    assert f'<option value="finance">{queue.name} (finance)</option>' in desk.page
    assert '<option value="administrator">Administrator (administrator)</option>' in desk.page
    desk.press("drop")
    desk.press("case:0")
    assert f'<option value="{unit.slug}">{unit.name} ({unit.slug})</option>' in desk.page


def test_who_is_alone_is_told_before_the_work_that_nobody_else_could_release_it(desk: Desk) -> None:
    alone = "nobody else may release it"
    assert alone not in desk.look()
    RoleGrant.objects.filter(user=desk.ben).delete()
    page = desk.look()
    assert alone in page
    assert 'href="/access/"' in page


def parts_of(page: str) -> dict[str, bool]:
    """The parts of the form, and whether each is open."""
    found = re.findall(r"<details( open)?[^>]*><summary[^>]*>(?:<svg.*?</svg>)?<strong>(.*?)</strong>", page, re.DOTALL)
    return {heading: bool(is_open) for is_open, heading in found}


def test_what_the_effect_has_no_use_for_is_folded_and_still_there(desk: Desk) -> None:
    page = desk.look("?rule=small")
    told = {"For what": True, "Limited further": False, "Whom to ask, and how": False, "What may run of it": False}
    assert parts_of(page) == {**told, "Risk, secrecy, trying it out": False, "Other demands, as text": False}
    assert {"rule-queue", "rule-limit", "rule-share", "rule-rest", "rule-steps"} <= desk.fields().keys()
    assert 'data-of="require_approval"' in page
    page = desk.press("row", effect="require_approval", limit="9000.00", steps="pay")
    assert {heading for heading, is_open in parts_of(page).items() if not is_open} == {
        "Risk, secrecy, trying it out",
        "Other demands, as text",
    }


def test_what_is_wrong_in_a_folded_part_opens_it(desk: Desk) -> None:
    desk.look("?rule=small")
    assert parts_of(desk.press("done", share="half"))["Risk, secrecy, trying it out"]


def test_what_was_not_seen_is_not_proposed(desk: Desk) -> None:
    desk.look("?rule=small")
    desk.press("done", value_0="2.00")
    desk.press("check")
    changed = [{**SMALL, "when": "true"}, ODD]
    page = desk.press("propose", rules=json.dumps(changed), reason="Sly.")
    assert "Something was changed after you looked" in page
    assert not Proposal.objects.exists()
    page = desk.press("propose", reason=" ")
    assert (desk.status, "Say why." in page) == (422, True)
    desk.press("propose", reason="Now seen.")
    assert Proposal.objects.get().version.rules == changed


def test_what_is_in_force_by_now_is_not_overwritten(desk: Desk) -> None:
    desk.look("?rule=small")
    desk.press("done", value_0="2.00")
    desk.press("check")
    make_policy(SMALL, unit=desk.unit, slug="payments", name="Payments")
    page = desk.press("propose", reason="Late.")
    assert (desk.status, Proposal.objects.count()) == (409, 0)
    assert "Something else came into force since" in page


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"value_0": "a lot"}, "An amount is wanted"),
        ({"value_0": "1.005"}, "An amount is wanted"),
        ({"fact_0": "agent.risc"}, "Fact 1"),
        ({"comparison_0": "starts_with"}, "This fact cannot be compared so."),
        ({"slug": "Not A Slug"}, "Lower-case letters"),
        ({"slug": "odd"}, "This slug is given twice."),
        ({"effect": "require_approval"}, "names the queue that is asked"),
        ({"expires_in": "soon"}, "A duration is wanted"),
        ({"limit": "-1"}, "An amount is not below zero."),
        ({"limit": "0.001"}, "more digits than the currency"),
        ({"operations": "bank.pai"}, "Did you mean bank.pay?"),
        ({"rest": "limit: [1"}, "This is not YAML"),
        ({"rest": "later: true"}, "There is no such obligation."),
        ({"currency": "euro"}, "Ensure this value has at most 3 characters"),
    ],
)
def test_what_does_not_fit_stays_typed_and_is_said_at_its_field(desk: Desk, typed: dict[str, Any], said: str) -> None:
    desk.look("?rule=small")
    page = desk.press("done", **typed)
    assert desk.status == 422
    assert 'role="alert"' in page
    assert said in unescape(page)
    for name, value in typed.items():
        assert desk.fields()[f"rule-{name}"] == value
    assert desk.rules()[0]["slug"] in {"small", typed.get("slug")}


def test_text_that_does_not_compile_says_where_and_what_was_meant(desk: Desk) -> None:
    desk.look("?rule=small")
    desk.press("text")
    page = unescape(desk.press("done", when='true &&\nagent.risc == "low"'))
    assert "line 2, column 6: There is no “agent.risc”. Did you mean agent.risk?" in page
    assert desk.fields()["rule-when"].replace("\r\n", "\n") == 'true &&\nagent.risc == "low"'
    assert "Propose this" not in page


def test_tests_that_fail_or_cannot_be_read_are_in_the_way(desk: Desk) -> None:
    desk.look()
    page = desk.press(
        "check", tests="- {name: no, action: {operation: bank.pay, amount_minor: 5, currency: EUR}, expect: deny}"
    )
    assert "Failed" in page
    assert "allowed by small" in page
    page = desk.press("propose", reason="Still.")
    assert (desk.status, Proposal.objects.count()) == (422, 0)
    page = desk.press("check", tests="- {name: [no")
    assert "Tests: line 1" in page
    assert desk.fields()["tests"] == "- {name: [no"


def test_warnings_are_shown_and_hold_nothing_up(desk: Desk) -> None:
    desk.look()
    desk.press("add")
    desk.press("done", slug="none", effect="deny")
    page = desk.press("check", tests="")
    assert "outranks it wherever it matches" in page
    assert "Propose this" in page


def test_rules_come_and_go(desk: Desk) -> None:
    desk.look()
    desk.press("add")
    assert "A new rule" in desk.page
    desk.press("drop")
    assert desk.rules() == [SMALL, ODD]
    desk.press("remove:1")
    assert desk.rules() == [SMALL]
    desk.press("open:0")
    desk.press("unrow:0")
    desk.press("done")
    assert desk.rules()[0]["when"] == "true"


def test_the_difference_is_what_the_release_page_shows(desk: Desk) -> None:
    desk.look("?rule=small")
    desk.press("done", value_0="2.00")
    page = desk.press("check")
    assert "In force: Allowed when the amount is at most 1,000.00." in " ".join(page.split())
    assert "Allowed when the amount is at most 2.00." in page


def test_only_who_may_publish_there_edits(desk: Desk) -> None:
    for user, status in (
        (make_holder(VIEW, unit=desk.unit), 404),
        (make_holder(PUBLISH, VIEW, unit=make_unit()), 404),
        (make_agent(unit=desk.unit).user, 403),
    ):
        assert signed_in(user).get(URL).status_code == status
        assert signed_in(user).post(URL, {"do": "check", "rules": "[]"}).status_code == status
    assert (
        "Edit the rules" not in signed_in(make_holder(VIEW, unit=desk.unit)).get("/policies/payments/").content.decode()
    )


@pytest.mark.parametrize("rules", ["", "{}", "[1]", "nonsense", json.dumps([make_rule()] * 202)])
def test_what_the_page_carries_is_checked(desk: Desk, rules: str) -> None:
    answer = desk.client.post(URL, {"do": "check", "rules": rules})
    assert answer.status_code == 422


def test_hostile_text_is_text(desk: Desk) -> None:
    desk.look("?rule=small")
    desk.press("row")
    page = desk.press(
        "done", fact_1="action.target", comparison_1="is", value_1='"><script>alert(1)</script>', message="<img src=x>"
    )
    assert "<script>alert" not in page
    assert "<img src=x>" not in page


class TestNew:
    def test_a_policy_begins_without_rules_and_judges_nothing(self, desk: Desk) -> None:
        answer = desk.client.post("/new-policy/", {"name": "Refunds", "slug": "refunds", "unit": desk.unit.slug})
        assert answer.url == "/policies/refunds/edit/"
        found = Policy.objects.get(slug="refunds")
        assert (found.state, found.latest.rules) == ("draft", [])
        assert "What no rule allows is denied. Add one." in desk.client.get(answer.url).content.decode()

    def test_not_where_one_may_not_and_not_twice(self, desk: Desk) -> None:
        for fields in (
            {"unit": make_unit().slug},
            {"unit": ""},
            {"slug": "payments"},
            {"slug": "No slug"},
            {"name": ""},
        ):
            said = {"name": "Refunds", "slug": "refunds", "unit": desk.unit.slug, **fields}
            assert desk.client.post("/new-policy/", said).status_code == 422
        assert Policy.objects.count() == 1
        assert signed_in(make_holder(VIEW)).get("/new-policy/").status_code == 403
