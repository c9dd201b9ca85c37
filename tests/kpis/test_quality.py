"""How people decide, rule by rule: shares with intervals, reviews, and one's own figures for oneself alone."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.audit.models import Entry
from apps.core.models import ClockTimestamp, User
from apps.kpis.models import ActionFact, ApprovalFact, CostItem
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.quality import RuleQuality, Share
from apps.kpis.services import fold_entries, write_facts
from apps.oversight.models import Drill, Escalation
from tests.factories.access import make_approver, make_holder, make_unit, make_user
from tests.factories.agents import make_action, make_agent
from tests.factories.drills import make_drill
from tests.factories.kpis import NOON, make_decision
from tests.factories.oversight import make_escalation, say
from tests.kpis.test_bars import Door, said_count

PERIOD = "from=2026-11-01&to=2026-12-01"


@pytest.mark.parametrize(
    ("decided", "as_asked", "too_much"),
    [(60, 60, True), (60, 57, False), (49, 49, False), (100, 96, True), (0, 0, False)],
)
def test_a_rule_asks_too_much_when_people_nearly_always_say_yes_to_many(decided, as_asked, too_much):
    assert RuleQuality("p/r", decided, as_asked, 0, 0, None).asks_too_much is too_much


def test_a_share_of_nothing_is_none_and_of_few_tells_little():
    assert (Share(0, 0).value, Share(0, 0).interval) == (None, None)
    assert not Share(5, 5).is_telling
    low, high = Share(5, 5).interval or (0, 0)
    assert (round(low, 3), high) == (0.566, 1.0)  # Wilson


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page_of(user: User, query: str = PERIOD) -> str:
    answer = signed_in(user).get(f"/dashboards/oversight/?{query}")
    assert answer.status_code == 200
    shown = re.sub(r"<script.*?</script>", " ", answer.content.decode(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown))


def decided(n: int, **fields: Any) -> list[Any]:
    return [make_decision(rule="payments/large", kind="action", **fields) for _ in range(n)]


@pytest.mark.django_db
def test_the_page_says_what_each_rule_asks_and_what_people_say() -> None:
    executive = make_holder("kpis.view_kpi")
    known = [*decided(96), *decided(2, edited=True), *decided(2, outcome="rejected"), *decided(5, outcome="expired")]
    write_facts(facts=Facts(decisions=known))
    page = page_of(executive)
    assert "96.0%" in page
    assert "96 of 100" in page
    assert "5 of 105" in page
    assert "payments/large: people approved 96.0% of 100 exactly as asked" in page
    assert "Yours" not in page
    assert "No rule sent anything" in page_of(executive, "from=2025-01-01&to=2025-02-01")


@pytest.mark.django_db
def test_large_numbers_are_separated_everywhere_on_the_page() -> None:
    executive = make_holder("kpis.view_kpi", username="eve", name="Eve")
    mine: dict[str, Any] = {"decided_by": executive.username}
    known = [*decided(1_200, **mine), *decided(1_001, edited=True, **mine), *decided(1_002, outcome="rejected", **mine)]
    write_facts(facts=Facts(decisions=known))
    page = page_of(executive)
    for shown in ("1,200 of 3,203", "0 of 3,203", "1,001", "1,002"):
        assert shown in page
    assert set(re.findall(r"(?<![\d,:])\d{4,}", page)) <= {"2026"}


@pytest.mark.django_db
def test_ones_own_figures_are_shown_to_oneself_alone() -> None:
    executive, other = make_holder("kpis.view_kpi"), make_holder("kpis.view_kpi")
    write_facts(facts=Facts(decisions=decided(3, decided_by=executive.username)))
    assert "Shown to you alone" in page_of(executive)
    assert "Shown to you alone" not in page_of(other)
    assert executive.username not in page_of(other)


@pytest.mark.django_db
def test_ones_own_numbers_lead_to_ones_own_decisions_and_nobody_elses() -> None:
    unit = make_unit()
    executive = make_holder("kpis.view_kpi", unit=unit)
    mine: dict[str, Any] = {"decided_by": executive.username, "unit_id": make_unit().pk}
    known = [*decided(3, **mine), *decided(2, edited=True, **mine), *decided(1, outcome="rejected", **mine)]
    others = decided(4, decided_by="somebody", unit_id=unit.pk)
    write_facts(facts=Facts(decisions=[*known, *others]))
    write_facts(facts=Facts(decisions=decided(2, **mine)), simulated=True)
    door = Door(executive)
    page = door.page(f"/dashboards/oversight/?{PERIOD}&simulated=true&unit={unit.slug}")
    found = re.findall(r'<a href="(/dashboards/oversight/behind/([\w-]+)/[^"]*of_me=true)">([^<]+)</a>', page)
    assert [(part, text) for _link, part, text in found] == [
        ("decided", "6"), ("as-asked", "50.0%"), ("edited", "2"), ("rejected", "1")
    ]  # fmt: skip
    listed = [door.page(link) for link, _part, _text in found]
    assert [said_count(one) for one in listed] == [6, 3, 2, 1]
    assert "Decided by you, in every unit" in listed[0]
    assert "Unit: " not in listed[0].partition("<h1>")[2].partition("</header>")[0]
    assert said_count(door.page(f"/dashboards/oversight/behind/decided/?{PERIOD}")) == len(others)
    stranger = Door(make_holder("kpis.view_kpi"))
    assert said_count(stranger.page(found[0][0])) == 0


@pytest.mark.django_db
def test_a_review_counts_among_the_overturned_and_not_among_the_decisions() -> None:
    executive = make_holder("kpis.view_kpi")
    for answer in ({"verdict": "harmful", "reason": "no such vendor"}, {"verdict": "right"}):
        item = make_escalation(kind="review", schema={"type": "object"})
        queue = item.group_list()[0].queue
        say(make_approver(queue), item, "answer", answer=answer)
    make_escalation(kind="review")
    fold_entries(entries=list(Entry.objects.order_by("id")))
    assert Escalation.objects.filter(kind="review").count() == 3
    assert not ApprovalFact.objects.exists()
    assert CostItem.objects.filter(kind="human").count() == 2
    answer = signed_in(executive).get("/dashboards/oversight/?range=7d")
    quality = answer.context["quality"]
    assert quality.reviews.judged == {"right": 1, "wrong": 0, "harmful": 1}
    assert (quality.reviews.overturned.part, quality.reviews.overturned.whole, quality.reviews.waiting) == (1, 2, 1)


@pytest.mark.django_db
def test_strangers_do_not_see_the_page_and_odd_filters_are_refused() -> None:
    assert signed_in(make_holder("audit.view_entry")).get("/dashboards/oversight/").status_code == 403
    executive = signed_in(make_holder("kpis.view_kpi"))
    assert executive.get("/dashboards/oversight/?from=2026-12-01&to=2026-11-01").status_code == 422


@pytest.mark.django_db
def test_one_agents_page_and_one_versions_hold_no_reviews_of_others() -> None:
    executive = signed_in(make_holder("kpis.view_kpi"))
    for slug, version, verdict in (("payer", 1, "right"), ("buyer", 2, "wrong")):
        action = make_action(agent=make_agent(slug=slug))
        ActionFact.objects.create(action_id=action.pk, agent=slug, operation="o.p", ended_at=NOON, version=version)
        item = make_escalation(kind="review", schema={"type": "object"}, action=action)
        queue = item.group_list()[0].queue
        say(make_approver(queue), item, "answer", answer={"verdict": verdict, "reason": "so"})
        make_escalation(kind="review", action=action)

    def reviews(query: str) -> tuple[Any, ...]:
        found = executive.get(f"/dashboards/oversight/?range=7d&{query}").context["quality"].reviews
        return found.judged["right"], found.judged["wrong"], found.waiting

    assert reviews("") == (1, 1, 2)
    assert reviews("agent=payer") == reviews("version=1") == (1, 0, 1)
    assert reviews("agent=buyer") == reviews("version=2") == (0, 1, 1)


@pytest.mark.django_db
def test_one_agents_page_holds_no_drills_made_of_what_others_did() -> None:
    payment, drill, person = make_drill()
    say(person, drill.item, "reject", reason="no")
    make_agent(slug="other")
    executive = signed_in(make_holder("kpis.view_kpi"))

    def drills(query: str) -> int:
        found = executive.get(f"/dashboards/oversight/?range=7d&{query}").context["quality"].drills
        return sum(one.answered for one in found)

    assert (drills(""), drills(f"agent={payment.agent.slug}"), drills("agent=other"), drills("version=7")) == (
        1,
        1,
        0,
        0,
    )


LOOKS = ("right", "right", "wrong", "harmful", "harmful", "harmful")


@pytest.mark.django_db
def test_every_number_of_looks_afterwards_leads_to_as_many() -> None:
    door = Door(make_holder("kpis.view_kpi"))
    for verdict in LOOKS:
        item = make_escalation(kind="review", schema={"type": "object"})
        say(make_approver(item.group_list()[0].queue), item, "answer", answer={"verdict": verdict, "reason": "so"})
    make_escalation(kind="review")
    page = door.page("/dashboards/oversight/?range=7d")
    found = re.findall(r'<a href="(/dashboards/oversight/behind/reviews-(\w+)/[^"]*)">([^<]*)</a>', page)
    assert [(part, text) for _link, part, text in found] == [
        ("overturned", "66.7%"), ("waiting", "1 waits"), ("right", "2"), ("wrong", "1"), ("harmful", "3")
    ]  # fmt: skip
    lists = {part: door.page(link) for link, part, _text in found}
    counts = {part: said_count(text) for part, text in lists.items()}
    assert counts == {"overturned": 4, "waiting": 1, "right": 2, "wrong": 1, "harmful": 3}
    assert said_count(door.page("/dashboards/oversight/behind/reviews/?range=7d")) == len(LOOKS)
    (wrong,) = Escalation.objects.filter(kind="review", answer__verdict="wrong")
    assert f"/inbox/{wrong.pk}/" in lists["wrong"]
    assert f"/inbox/{wrong.pk}/" not in lists["right"] + lists["waiting"]
    elsewhere = Door(make_holder("kpis.view_kpi", unit=make_unit()))
    assert said_count(elsewhere.page("/dashboards/oversight/behind/reviews/?range=7d")) == 0
    strangers = signed_in(make_holder("audit.view_entry"))
    assert strangers.get("/dashboards/oversight/behind/reviews/?range=7d").status_code == 403


def answered_by(people: int, drill: Drill) -> None:
    """Makes of one drill as many that were answered, each by somebody else; every other one was caught."""
    for n in range(people):
        item = Escalation.everything.get(pk=drill.item_id)
        item.pk, item._state.adding, item.state = uuid4(), True, "cancelled"
        item.drill_for, item.ended_at = make_user(), ClockTimestamp()
        item.save(force_insert=True)
        said: dict[str, Any] = {"outcome": "missed" if n % 2 else "caught", "ended_at": ClockTimestamp()}
        Drill.objects.create(item=item, queue=drill.queue, source=drill.source, fault="amount", **said)


@pytest.mark.django_db
def test_every_number_of_drills_leads_to_as_many_and_to_nobody() -> None:
    _payment, drill, _person = make_drill()
    answered_by(5, drill)
    door = Door(make_holder("kpis.view_kpi"))
    page = door.page("/dashboards/oversight/?range=7d")
    found = re.findall(r'<a href="(/dashboards/oversight/behind/(drills[\w-]*)/[^"]*)">(\d+)</a>', page)
    assert [(part, text) for _link, part, text in found] == [
        ("drills", "5"), ("drills-caught", "3"), ("drills-missed", "2")
    ]  # fmt: skip
    for link, _part, text in found:
        listed = door.page(link)
        assert said_count(listed) == int(text)
        assert listed.count(f"/inbox/{drill.source_id}/") == int(text)
        for one in Drill.objects.select_related("item__drill_for").filter(outcome__in=["caught", "missed"]):
            assert str(one.pk) not in listed
            assert one.item.drill_for is not None
            assert one.item.drill_for.username not in listed


@pytest.mark.django_db
def test_how_the_drills_of_few_people_ended_has_no_list() -> None:
    _payment, drill, _person = make_drill()
    answered_by(2, drill)
    door = Door(make_holder("kpis.view_kpi"))
    assert "behind/drills-" not in door.page("/dashboards/oversight/?range=7d")
    queue = f"?range=7d&of_queue={drill.queue.slug}"
    assert said_count(door.page(f"/dashboards/oversight/behind/drills/{queue}")) == 2
    for part, query in (("drills-caught", queue), ("drills-missed", queue), ("drills", "?range=7d&of_queue=other")):
        assert door.browser.get(f"/dashboards/oversight/behind/{part}/{query}").status_code == 404


@pytest.mark.django_db
def test_two_ranges_of_one_week_tell_the_same_of_its_drills_and_so_not_when() -> None:
    _payment, drill, _person = make_drill()
    answered_by(5, drill)
    door = Door(make_holder("kpis.view_kpi"))
    monday = NOON - timedelta(days=1)  # no zone of a reader moves the edge of the week
    Drill.objects.filter(outcome__in=["caught", "missed"]).update(ended_at=monday)
    counts = []
    for since, until in ((-3, 1), (-3, -2), (60, 61), (7 * 24 * 60, 7 * 24 * 60 + 1)):
        start, end = (monday + timedelta(minutes=at) for at in (since, until))
        span = f"from={start:%Y-%m-%dT%H:%M:%SZ}&to={end:%Y-%m-%dT%H:%M:%SZ}&of_queue={drill.queue.slug}"
        for zone in ("UTC", "Pacific/Kiritimati", "Etc/GMT%2B12"):
            answer = door.browser.get(f"/dashboards/oversight/behind/drills/?{span}&tz={zone}")
            counts.append(said_count(answer.content.decode()) if answer.status_code == 200 else 0)
    assert counts == [5] * 9 + [0] * 3
