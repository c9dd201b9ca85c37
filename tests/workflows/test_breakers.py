"""Breakers: what is too much stops by itself, once, and only a person lets it go on."""

import json
from datetime import timedelta

import pytest
from django.db.models import F

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.configuration.selectors import export_for
from apps.configuration.services import apply_texts
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.halts.models import Breaker, Halt, Pace, Trip
from apps.halts.rules import BreakerTerms
from apps.halts.services import lift_halt, save_breaker
from apps.notifications.models import Delivery
from apps.notifications.services import spread_notices
from apps.oversight.models import Escalation
from apps.oversight.services import cast_vote, perform_due_items, start_bulk
from apps.workflows.services.breakers import check_breakers, measure_paces
from tests.factories.access import make_admin, make_user
from tests.workflows.actions import make_desk, work

pytestmark = pytest.mark.django_db
HUGE = 20_000_000


def set_breaker(kind: str = "denied", *, threshold: int = 3, scope: str = "agent", slug: str = "mine", **more):
    Breaker.objects.exclude(slug=slug).update(ended_at=ClockTimestamp())
    names = {"window_s": more.pop("window_s", 60), "currency": more.pop("currency", "")}
    terms = BreakerTerms(kind=kind, scope=scope, threshold=threshold, **names)
    return save_breaker(system_user("console"), slug=slug, terms=terms, **more)[0]


def deny(desk, times: int) -> None:
    for _ in range(times):
        assert desk.ask(HUGE).json()["state"] == "denied"


def test_every_agent_has_breakers_from_the_first_day_on():
    slugs = set(Breaker.objects.filter(ended_at=None, target="").values_list("slug", flat=True))
    assert slugs == {"denials", "rejections", "failures", "failures-of-a-system", "mismatches", "volume"}


def test_an_agent_that_is_denied_too_often_stops_and_others_go_on():
    desk, other = make_desk(), make_desk()
    set_breaker(threshold=3)
    desk.ask(250_000)
    deny(desk, 2)
    deny(other, 1)
    assert check_breakers() == 0
    deny(desk, 1)
    assert check_breakers() == 1
    halt = Halt.objects.get()
    assert (halt.scope, halt.target, halt.unit) == ("agent", desk.agent.slug, desk.agent.unit)
    trip = Trip.objects.get()
    assert (trip.measured, trip.threshold, trip.in_flight) == (3, 3, 1)
    assert Entry.objects.filter(name="breaker.opened", unit=desk.agent.unit_id).count() == 1
    assert desk.ask(100).status_code == 423
    assert other.ask(100).status_code == 202
    assert check_breakers() == 0, "it is stopped already"


def test_its_owner_is_told_which_breaker_what_it_counted_and_what_was_in_flight():
    desk = make_desk()
    set_breaker(threshold=3, name="Denied too often")
    desk.ask(250_000)
    deny(desk, 3)
    check_breakers()
    deliver_reactions()
    spread_notices()
    told = Delivery.objects.get(channel="in_app", recipient=desk.agent.owner)
    assert told.risk == "critical"
    for words in (desk.agent.slug, "Denied too often", "3 in 60 s", "Under way or waiting for people: 1"):
        assert words in told.notice.title


def test_after_a_persons_look_a_quarter_is_enough_and_what_was_before_counts_no_more():
    desk = make_desk()
    set_breaker(threshold=8)
    deny(desk, 8)
    assert check_breakers() == 1
    lift_halt(make_admin(), halt_id=Halt.objects.get().pk, reason="Its prompt was mended.")
    assert check_breakers() == 0
    deny(desk, 1)
    assert check_breakers() == 0
    deny(desk, 1)
    assert check_breakers() == 1, "half-open: two are a quarter of eight"
    lift_halt(make_admin(), halt_id=Halt.objects.get(lifted_at=None).pk, reason="Again.")
    Halt.objects.update(lifted_at=F("lifted_at") - timedelta(minutes=20))
    Action.objects.update(finished_at=F("finished_at") - timedelta(minutes=30))
    deny(desk, 7)
    assert check_breakers() == 0, "closed again: it takes eight"


def test_what_is_older_than_the_window_and_what_tests_did_is_not_counted():
    desk = make_desk()
    set_breaker(threshold=3)
    deny(desk, 4)
    Action.objects.update(finished_at=F("finished_at") - timedelta(seconds=61))
    assert check_breakers() == 0
    deny(desk, 2)
    Action.objects.update(environment="test", finished_at=ClockTimestamp())
    assert check_breakers() == 0


def test_a_system_that_fails_stops_for_every_agent(system):
    desk = make_desk(system.url)
    set_breaker("failed", threshold=2, scope="connector")
    for _ in range(2):
        system.will(status=400)
        desk.ask(100)
        work()
    assert check_breakers() == 1
    halt = Halt.objects.get()
    assert (halt.scope, halt.target) == ("connector", desk.operation.connector.slug)


def test_a_system_that_fails_workflows_stops_as_well(system):
    desk = make_desk(system.url)
    set_breaker("failed", threshold=2, scope="connector")
    for _ in range(2):
        system.will(status=400)
        desk.ask(100)
        work()
    Action.objects.update(agent=None, version=None)  # as what the step of a workflow does
    assert check_breakers() == 1
    assert Halt.objects.get().target == desk.operation.connector.slug


def test_a_version_stops_and_the_agent_with_another_goes_on():
    desk = make_desk()
    set_breaker("rejected", threshold=1, scope="version")
    desk.ask(100)
    Action.objects.update(state="rejected", finished_at=ClockTimestamp())
    assert check_breakers() == 1
    assert Halt.objects.get().target == f"{desk.agent.slug}@1"


def test_money_is_summed_in_its_currency_without_what_was_refused():
    desk = make_desk()
    set_breaker("spend", threshold=150_000, currency="EUR")
    desk.ask(90_000)
    deny(desk, 1)
    Action.objects.filter(state="denied").update(amount_minor=10**9)
    assert check_breakers() == 0
    desk.ask(60_000)
    assert check_breakers() == 1


def test_volume_is_measured_against_what_is_usual_for_the_agent():
    desk = make_desk()
    set_breaker("volume", threshold=2)
    for _ in range(6):
        desk.ask(100)
    assert check_breakers() == 0, "nothing is usual yet"
    Pace.objects.create(agent=desk.agent.slug, p99=4, minutes=60, computed_at=ClockTimestamp())
    assert check_breakers() == 0
    Pace.objects.update(p99=3)
    assert check_breakers() == 1


def test_what_is_usual_is_the_99th_percentile_of_minutes():
    desk = make_desk()
    for _ in range(3):
        desk.ask(100)
    assert measure_paces() == 0, "what happens just now is not usual"
    Action.objects.update(created_at=ClockTimestamp() - timedelta(hours=1))
    assert measure_paces() == 1
    pace = Pace.objects.get()
    assert (pace.agent, pace.p99, pace.minutes) == (desk.agent.slug, 3, 1)


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"kind": "odd"}, "kind"),
        ({"scope": "everything"}, "scope"),
        ({"kind": "volume", "scope": "connector"}, "scope"),
        ({"threshold": 0}, "threshold"),
        ({"window_s": 100_000}, "window_s"),
        ({"kind": "spend"}, "currency"),
        ({"currency": "EUR"}, "currency"),
    ],
)
def test_terms_that_do_not_fit_are_refused_by_field(terms, field):
    whole = BreakerTerms(**{"kind": "denied", "scope": "agent", "threshold": 3, "window_s": 60, **terms})
    with pytest.raises(InvalidError) as refused:
        save_breaker(system_user("console"), slug="mine", terms=whole)
    assert list(refused.value.errors) == [field]


def test_a_breaker_on_pages_and_over_the_api(client):
    desk = make_desk()
    client.force_login(make_user())
    assert client.get("/breakers/").status_code == 403
    client.force_login(make_admin())
    typed = {
        "slug": "mine", "name": "Mine", "kind": "denied", "scope": "agent", "target": desk.agent.slug,
        "threshold": 3, "window_s": 60, "currency": "",
    }  # fmt: skip
    assert client.post("/new-breaker/", {**typed, "target": "nobody"}).status_code == 422
    assert client.post("/new-breaker/", typed).status_code == 302
    assert client.post("/breakers/mine/", {**typed, "threshold": 2}).status_code == 302
    breaker = Breaker.objects.get(slug="mine")
    assert (breaker.threshold, breaker.unit) == (2, desk.agent.unit)
    deny(desk, 2)
    check_breakers()
    page = client.get("/breakers/").content.decode()
    assert "2 in 60 s" in page
    body = {"kind": "denied", "scope": "agent", "target": desk.agent.slug, "threshold": 1, "window_s": 60}
    answer = client.put("/api/v1/breakers/mine/", json.dumps(body), content_type="application/json")
    assert (answer.status_code, answer.json()["threshold"], answer.json()["opened"]) == (200, 1, 1)
    change = client.delete("/api/v1/breakers/mine/?reason=Off.").json()
    client.force_login(make_admin())
    assert client.post(f"/api/v1/breakers/mine/changes/{change['id']}/release/").status_code == 200
    assert Breaker.objects.get(slug="mine").ended_at is not None
    assert len(client.get("/api/v1/breakers/").json()["results"]) == 7
    assert Halt.objects.filter(lifted_at=None).count() == 1, "what it stopped stays stopped"


def test_an_agent_sets_no_breaker():
    desk = make_desk()
    assert desk.get("breakers/").json()["results"] == []
    with pytest.raises(NotAllowedError) as refused:
        save_breaker(
            desk.agent.user,
            slug="mine",
            terms=BreakerTerms(kind="denied", scope="agent", threshold=10**9, window_s=1),
        )
    assert refused.value.code == "not_allowed"


def test_documents_change_and_end_breakers_and_an_export_changes_nothing():
    console = system_user("console")
    text = "kind: Breaker\nslug: denials\ncounts: denied\nscope: agent\nthreshold: 5\nwindow_s: 90\n"
    assert apply_texts(console, texts={"b.yaml": text})[0].outcome == "changed"
    assert Breaker.objects.get(slug="denials").threshold == 5
    exported = export_for(console, kinds=["Breaker"])
    assert {each.outcome for each in apply_texts(console, texts={"out.yaml": exported})} == {"unchanged"}
    text = "kind: Breaker\nslug: volume\nstate: absent\n"
    (gone,) = apply_texts(console, texts={"b.yaml": text}, approved_by=make_admin())
    assert gone.outcome == "removed"
    assert "volume" not in export_for(console, kinds=["Breaker"])


def test_who_rejects_many_at_once_said_one_thing_and_can_say_it_of_all():
    desk = make_desk()
    set_breaker("rejected", threshold=3, window_s=3600)
    for amount in range(5):
        desk.ask(250_000 + amount)
    items = list(Escalation.objects.order_by("id"))
    start_bulk(desk.approver, verdict="reject", reason="Not these.", ids=[item.pk for item in items])
    done = 0
    while count := perform_due_items(at_once=1):
        done += count
        assert check_breakers() == 0
    assert (done, {item.state for item in Escalation.objects.all()}) == (5, {"rejected"})
    for amount in range(2):
        desk.ask(260_000 + amount)
        item = Escalation.objects.get(state="pending")
        cast_vote(desk.approver, escalation_id=item.pk, verdict="reject", version=item.version, reason="No.")
    assert check_breakers() == 1
    assert Trip.objects.get().measured == 3
