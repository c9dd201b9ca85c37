"""What lets more through a budget is proposed by one person and released by another; less takes one."""

import json

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.configuration.services import ConfigurationError, apply_texts
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.services import system_user
from apps.notifications.models import Delivery
from apps.notifications.services import spread_notices
from apps.policies.models import Budget, BudgetChange
from apps.policies.rules.budgets import BudgetTerms, Limits
from apps.policies.selectors.budgets import waiting_changes_for
from apps.policies.services.budgets import end_budget, save_budget
from apps.policies.services.changes import decline_change, release_change
from tests.factories.access import make_admin, make_holder, make_queue, make_unit
from tests.factories.agents import make_agent
from tests.factories.budgets import make_budget

pytestmark = pytest.mark.django_db
PUBLISH, LOWER, VIEW = "policies.publish_policy", "policies.lower_enforcement", "policies.view_policy"

limits = st.builds(
    Limits,
    cap=st.integers(0, 100),
    exhausted=st.sampled_from(["deny", "escalate"]),
    queue=st.sampled_from(["", "a", "b"]),
)


@pytest.fixture
def budget():
    return make_budget(make_agent(), cap=10_000, name="Daily")


def save(actor, budget, **terms):
    wanted = {"cap": budget.cap, "period": budget.period, "currency": budget.currency, **terms}
    about = {"scope": budget.scope, "target": budget.target, "unit": budget.unit, "owner": budget.owner}
    reason = wanted.pop("reason", "More suppliers.")
    name = wanted.pop("name", budget.name)
    return save_budget(actor, slug=budget.slug, terms=BudgetTerms(**wanted), name=name, reason=reason, **about)[1]


def proposed(actor, budget, **terms) -> BudgetChange:
    assert save(actor, budget, **terms) == "proposed"
    return BudgetChange.objects.filter(budget=budget).latest("id")


@given(one=limits, other=limits)
def test_of_two_that_differ_in_the_cap_just_one_loosens(one, other):
    assert not one.loosens(one)
    if one.cap != other.cap:
        assert one.loosens(other) or other.loosens(one)
    if one.loosens(other):
        assert one.cap > other.cap or one.exhausted == "escalate"


def test_more_waits_for_a_second_person_and_less_for_nobody(budget):
    admin, second = make_admin(), make_admin()
    assert save(admin, budget, cap=9_000) == "changed"
    change = proposed(admin, budget, cap=50_000, name="Per day")
    budget.refresh_from_db()
    assert (budget.cap, budget.name) == (9_000, "Per day")  # what it is called lets nothing through
    release_change(second, change=change)
    budget.refresh_from_db()
    assert budget.cap == 50_000
    entries = Entry.objects.filter(subject_id__in=[change.pk, budget.pk]).order_by("id")
    named = [(entry.name, entry.actor) for entry in entries]
    assert named[-3:] == [
        ("budgetchange.open", admin),
        ("budgetchange.released", second),
        ("budget.changed", second),
    ]
    assert entries.last().payload["by"] == admin.username


@pytest.mark.parametrize("terms", [{"exhausted": "escalate"}, {"cap": 10_001}, {"cap": 5, "exhausted": "escalate"}])
def test_who_asks_people_instead_of_denying_lets_more_through_whatever_the_cap(budget, terms):
    queue = make_queue(unit=budget.unit)
    change = proposed(make_admin(), budget, queue=queue.slug, **terms)
    budget.refresh_from_db()
    assert (budget.cap, budget.exhausted) == (10_000, "deny")
    release_change(make_admin(), change=change)
    budget.refresh_from_db()
    assert (budget.cap, budget.exhausted) == (terms.get("cap", 10_000), terms.get("exhausted", "deny"))
    if "exhausted" in terms:
        other = make_queue(unit=budget.unit)
        assert save(make_admin(), budget, exhausted="escalate", queue=other.slug) == "proposed"
        assert save(make_admin(), budget, exhausted="deny") == "changed"


def test_to_end_a_budget_waits_too(budget):
    admin = make_admin()
    change = end_budget(admin, budget=budget, reason="Not needed.")
    budget.refresh_from_db()
    assert budget.ended_at is None
    assert end_budget(make_admin(), budget=budget, reason="Again.") == change  # the same is not proposed twice
    release_change(make_admin(), change=change)
    budget.refresh_from_db()
    assert budget.ended_at is not None
    with pytest.raises(ConflictError):
        end_budget(admin, budget=budget, reason="Again.")
    assert save(admin, budget, cap=10**9) == "changed"  # without it there was no cap at all


def test_who_proposed_it_an_agent_and_who_may_not_lower_release_nothing(budget):
    admin = make_admin()
    change = proposed(admin, budget, cap=20_000)
    may = make_holder(PUBLISH, LOWER, unit=budget.unit)
    publisher = make_holder(PUBLISH, unit=budget.unit)
    for actor, why in ((admin, "requester"), (publisher, "lowers_enforcement")):
        with pytest.raises(NotAllowedError) as refused:
            release_change(actor, change=change)
        assert (refused.value.code, refused.value.members["why"]) == ("not_eligible", why)
        assert may.username in refused.value.members["may"]
    elsewhere = make_holder(PUBLISH, LOWER, unit=make_unit())
    for actor in (elsewhere, make_holder(VIEW), make_agent().user, system_user("console")):
        with pytest.raises(NotAllowedError):
            release_change(actor, change=change)
    budget.refresh_from_db()
    assert budget.cap == 10_000
    assert BudgetChange.objects.get().state == "open"
    release_change(may, change=change)
    with pytest.raises(ConflictError):
        release_change(make_admin(), change=change)


def test_an_agent_proposes_and_declines_nothing(budget):
    agent = make_agent()
    for act in (
        lambda: save(agent.user, budget, cap=10**6),
        lambda: end_budget(agent.user, budget=budget, reason="Faster."),
    ):
        with pytest.raises(NotAllowedError):
            act()
    change = proposed(make_admin(), budget, cap=20_000)
    with pytest.raises(NotAllowedError):
        decline_change(agent.user, change=change)
    assert BudgetChange.objects.get().state == "open"


def test_postgresql_itself_refuses_a_release_by_its_author(budget):
    admin = make_admin()
    change = proposed(admin, budget, cap=20_000)
    with pytest.raises(IntegrityError, match="budget_change_by_two_people"), transaction.atomic():
        BudgetChange.objects.filter(pk=change.pk).update(state="released", decided_by=admin)


def test_more_needs_a_reason_and_the_same_is_proposed_once(budget):
    admin = make_admin()
    with pytest.raises(InvalidError) as refused:
        save(admin, budget, cap=20_000, reason=" ")
    assert set(refused.value.errors) == {"reason"}
    first = proposed(admin, budget, cap=20_000)
    assert proposed(make_admin(), budget, cap=20_000) == first
    assert proposed(make_admin(), budget, cap=30_000) != first


def test_what_changes_meanwhile_ends_what_was_proposed_on_it(budget):
    admin, second = make_admin(), make_admin()
    change = proposed(admin, budget, cap=20_000)
    other = proposed(admin, budget, cap=30_000)
    assert save(second, budget, cap=5_000) == "changed"
    assert set(BudgetChange.objects.values_list("state", flat=True)) == {"superseded"}
    with pytest.raises(ConflictError):
        release_change(second, change=change)
    budget.refresh_from_db()
    assert budget.cap == 5_000
    fresh = proposed(admin, budget, cap=30_000)
    assert save(admin, budget, name="Other") == "changed"  # a name changes nothing that was judged
    release_change(second, change=fresh)
    assert BudgetChange.objects.get(pk=other.pk).state == "superseded"


def test_it_is_declined_with_a_reason_or_taken_back_without(budget):
    admin, second = make_admin(), make_admin()
    change = proposed(admin, budget, cap=20_000)
    with pytest.raises(InvalidError):
        decline_change(second, change=change)
    assert decline_change(second, change=change, reason="Not this month.").answer == "Not this month."
    own = proposed(admin, budget, cap=20_000)
    assert decline_change(admin, change=own).state == "declined"
    budget.refresh_from_db()
    assert budget.cap == 10_000


def test_who_may_release_it_is_told_until_it_is_decided(budget):
    admin, second = make_admin(), make_admin()
    viewer = make_holder(PUBLISH, unit=budget.unit)
    change = proposed(admin, budget, cap=20_000)
    deliver_reactions()
    spread_notices()
    rows = Delivery.objects.filter(channel="in_app")
    assert set(rows.values_list("recipient", flat=True)) == {second.pk}
    told = rows.get()
    assert (told.notice.url, told.closed_at) == (f"/budgets/{budget.slug}/", None)
    assert budget.name in told.notice.title
    assert [waiting_changes_for(each) for each in (admin, second, viewer)] == [0, 1, 0]
    decline_change(second, change=change, reason="No.")
    deliver_reactions()
    told.refresh_from_db()
    assert told.closed_at is not None
    assert waiting_changes_for(second) == 0


def test_over_the_api_it_is_accepted_and_released_by_somebody_else(budget):
    admin, second = Client(), Client()
    (first := make_admin(), other := make_admin())
    admin.force_login(first)
    second.force_login(other)
    body = {
        "scope": "agent", "target": budget.target, "owner": first.username, "cap": 20_000, "currency": "EUR",
        "period": "day",
    }  # fmt: skip
    path = f"/api/v1/budgets/{budget.slug}/"

    def put(**more):
        return admin.put(path, json.dumps({**body, **more}), content_type="application/json")

    assert put().json()["errors"].keys() == {"reason"}
    answer = put(reason="More suppliers.")
    assert answer.status_code == 202
    (change,) = answer.json()["changes"]
    assert (answer.json()["cap"], change["cap"], change["was"]["cap"]) == (10_000, 20_000, 10_000)
    assert (change["by"], change["state"]) == (first.username, "open")
    release = f"{path}changes/{change['id']}/release/"
    refused = admin.post(release)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_eligible")
    elsewhere = Client()
    elsewhere.force_login(make_holder(VIEW, PUBLISH, LOWER, unit=make_unit()))
    assert elsewhere.post(release).status_code == 404
    assert Budget.objects.get().cap == 10_000
    assert second.post(release).json()["state"] == "released"
    assert second.post(release).status_code == 409
    assert second.get(path).json()["cap"] == 20_000
    ended = admin.delete(f"{path}?reason=Over")
    assert (ended.status_code, ended.json()["kind"]) == (202, "end")
    decline = f"{path}changes/{ended.json()['id']}/decline/"
    assert second.post(decline, "{}", content_type="application/json").json()["errors"].keys() == {"reason"}
    declined = second.post(decline, '{"reason": "It is needed."}', content_type="application/json")
    assert (declined.json()["state"], declined.json()["answer"]) == ("declined", "It is needed.")


def test_on_its_page_the_second_person_sees_both_amounts_and_the_reason(budget, client):
    admin, second = make_admin(), make_admin()
    page = f"/budgets/{budget.slug}/"
    client.force_login(admin)
    typed = {"name": "Daily", "amount": "200.00", "exhausted": "deny", "owner": admin.username}
    assert "Say why." in client.post(page, typed).content.decode()
    answer = client.post(page, {**typed, "reason": "More suppliers."}, follow=True).content.decode()
    assert "somebody else has released it" in answer
    assert "You proposed it" in answer
    assert "A change waits" in client.get("/budgets/").content.decode()
    change = BudgetChange.objects.get()
    client.force_login(second)
    seen = client.get(page).content.decode()
    assert all(words in seen for words in ("100.00 EUR", "200.00 EUR", "More suppliers."))
    assert "One change of a budget waits" in client.get("/control/").content.decode()
    client.post(f"{page}changes/{change.pk}/release/")
    assert Budget.objects.get().cap == 20_000
    client.post(f"{page}end/", {"reason": "Not needed."})
    end = BudgetChange.objects.get(kind="end")
    client.post(f"{page}changes/{end.pk}/decline/", {"reason": ""})
    assert BudgetChange.objects.get(pk=end.pk).state == "declined"  # one's own


class TestDocuments:
    """`apply` proposes what lets more through, and says so; a second person named releases it at once."""

    def text(self, budget, cap: int) -> dict[str, str]:
        scope = f"{{agent: {budget.target}}}"
        return {
            "b.yaml": f"kind: Budget\nslug: {budget.slug}\nname: Daily\nscope: {scope}\ncap_minor: {cap}\n"
            "currency: EUR\nperiod: day\n"
        }

    def test_it_is_proposed_and_says_so_as_often_as_it_is_applied(self, budget):
        console = system_user("console")
        for _ in range(2):
            (applied,) = apply_texts(console, texts=self.text(budget, 20_000))
            assert applied.outcome == "proposed"
        assert Budget.objects.get().cap == 10_000
        assert BudgetChange.objects.get().reason == "Applied from b.yaml."
        (applied,) = apply_texts(console, texts=self.text(budget, 5_000))
        assert applied.outcome == "changed"
        (applied,) = apply_texts(console, texts={"b.yaml": f"kind: Budget\nslug: {budget.slug}\nstate: absent\n"})
        assert applied.outcome == "proposed"
        assert Budget.objects.get().ended_at is None

    def test_with_two_people_it_is_in_force_at_once(self, budget):
        admin, second = make_admin(), make_admin()
        with pytest.raises(ConfigurationError):
            apply_texts(admin, texts=self.text(budget, 20_000), approved_by=admin)
        with pytest.raises(ConfigurationError):
            apply_texts(admin, texts=self.text(budget, 20_000), approved_by=make_holder(PUBLISH))
        assert not BudgetChange.objects.exists()
        (applied,) = apply_texts(admin, texts=self.text(budget, 20_000), approved_by=second)
        assert (applied.outcome, Budget.objects.get().cap) == ("changed", 20_000)
        assert BudgetChange.objects.get().decided_by == second
        gone = {"b.yaml": f"kind: Budget\nslug: {budget.slug}\nstate: absent\n"}
        (applied,) = apply_texts(admin, texts=gone, approved_by=second)
        assert (applied.outcome, Budget.objects.get().ended_at is None) == ("removed", False)

    def test_in_production_somebody_answers_for_the_proposal(self, budget, settings):
        settings.IN_PRODUCTION = True
        with pytest.raises(ConfigurationError):
            apply_texts(system_user("console"), texts=self.text(budget, 20_000))
        assert not BudgetChange.objects.exists()
        (applied,) = apply_texts(make_admin(), texts=self.text(budget, 20_000))
        assert applied.outcome == "proposed"
