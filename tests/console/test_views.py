"""Pages composed of several apps: who sees them, what they do, what they refuse."""

import html
import re

import pytest

from apps.access.models import RoleGrant
from apps.agents.models import Action, AgentCredential, AgentVersion
from apps.agents.services import authenticate_agent
from apps.audit.models import Entry
from apps.connectors.models import Effect, OperationPermission
from apps.core.errors import NotAuthenticatedError
from apps.core.gate import holds
from apps.core.models import ClockTimestamp
from apps.core.reasons import sentence_of
from apps.halts.models import Halt
from apps.halts.services import engage_halt
from tests.factories.access import make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.agents import make_agent
from tests.factories.connectors import make_operation
from tests.workflows.actions import make_desk, work

pytestmark = pytest.mark.django_db
ENGAGE, LIFT = "halts.engage_halt", "halts.lift_halt"

PAGES = {
    "/control/": "access.manage_access",
    "/actions/": "agents.view_agent",
    "/agents/": "agents.view_agent",
    "/access/": "access.manage_access",
    "/access/rotas/": "access.manage_access",
    "/access/calendars/": "access.manage_access",
    "/audit/": "audit.view_entry",
}


def sign_in(client, person):
    client.force_login(person)
    return client


@pytest.mark.parametrize(("url", "permission"), PAGES.items())
def test_a_page_opens_for_the_right_role_alone(client, url, permission):
    assert sign_in(client, make_user()).get(url).status_code == 403
    assert sign_in(client, make_holder("kpis.view_kpi")).get(url).status_code == 403
    assert sign_in(client, make_holder(permission)).get(url).status_code == 200


@pytest.mark.parametrize("url", ["/halts/", "/help/", "/settings/", "/search/?q=nothing"])
def test_everybody_who_signs_in_may_open(client, url):
    assert sign_in(client, make_user()).get(url).status_code == 200


@pytest.mark.parametrize(
    ("permission", "home"),
    [
        ("oversight.decide_escalation", "/inbox/?view=mine"),
        ("access.manage_access", "/control/"),
        ("workflows.operate_run", "/runs/?state=attention"),
        ("kpis.view_kpi", "/dashboards/overview/"),
        ("audit.view_entry", "/audit/"),
    ],
)
def test_each_role_begins_where_its_work_is(client, permission, home):
    assert sign_in(client, make_holder(permission)).get("/")["Location"] == home


def test_an_action_page_tells_the_whole_trail(client, system):
    desk = make_desk(system.url)
    found = desk.ask(50_000, goal="<script>alert(1)</script>").json()
    work()
    page = sign_in(client, make_admin()).get(f"/actions/{found['id']}/").content.decode()
    assert "Will pay 500.00 EUR to DE0017." in page
    for name in ("action.proposed", "effect.dispatched", "action.succeeded"):
        assert name in page
    assert "<script>alert" not in page
    assert sign_in(client, make_user()).get(f"/actions/{found['id']}/").status_code == 404


def test_an_agent_s_words_for_what_went_wrong_are_not_the_plane_s(client):
    desk = make_desk(execution="agent")
    found = desk.ask(50_000, execution="agent").json()
    desk.post(f"actions/{found['id']}/consume/", {"digest": found["digest"]})
    error = {"code": "halted", "message": "paid 12,400 twice"}
    told = desk.post(f"actions/{found['id']}/outcome/", {"succeeded": False, "error": error})
    assert told.json()["error"] == {**error, "by": "agent"}
    page = sign_in(client, make_admin()).get(f"/actions/{found['id']}/").content.decode()
    assert sentence_of("halted") not in html.unescape(page)
    assert "“paid 12,400 twice” " in page


def test_actions_are_filtered_by_the_address(client):
    desk = make_desk()
    desk.ask(50_000)
    desk.ask(20_000_000)
    page = sign_in(client, make_admin()).get("/actions/?state=denied").content.decode()
    assert page.count(desk.operation.slug) == 1
    assert "No action fits" in sign_in(client, make_admin()).get("/actions/?agent=nobody").content.decode()


def test_an_agents_page_says_what_it_may_must_ask_and_may_never(client):
    desk, other = make_desk(), make_operation()
    page = sign_in(client, make_admin()).get(f"/agents/{desk.agent.slug}/").content.decode()
    for words in ("May, and must ask above its limits", "1,000.00", "100,000.00", other.slug):
        assert words in page


def test_a_permission_is_narrowed_on_the_page_and_acts_on_the_next_request(client):
    desk, admin = make_desk(), make_admin()
    assert desk.ask(parameters={"note": "hello"}).status_code == 202
    answer = sign_in(client, admin).post(
        f"/agents/{desk.agent.slug}/permissions/",
        {"operation": desk.operation.slug, "fields_text": "amount_minor, currency, iban", "reason": "no notes"},
    )
    assert answer.status_code == 302
    assert OperationPermission.objects.get(user=desk.agent.user).fields == ["amount_minor", "currency", "iban"]
    assert desk.ask(parameters={"note": "hello"}).status_code == 403


@pytest.mark.parametrize(
    "typed",
    [
        {"fields_text": "iban"},
        {"fields_text": "nothing_like_it", "reason": "x"},
        {"until": "2001-01-01", "reason": "x"},
        {"until": "9999-12-31", "reason": "x"},
        {"operation": "no.such", "reason": "x"},
    ],
)
def test_a_permission_that_does_not_fit_is_refused_with_the_typed_text_kept(client, typed):
    desk = make_desk()
    before = OperationPermission.objects.get(user=desk.agent.user).fields
    answer = sign_in(client, make_admin()).post(
        f"/agents/{desk.agent.slug}/permissions/", {"operation": desk.operation.slug, **typed}
    )
    assert answer.status_code == 422
    assert OperationPermission.objects.get(user=desk.agent.user).fields == before


def test_an_operation_is_revoked_on_the_page(client):
    desk = make_desk()
    url = f"/agents/{desk.agent.slug}/permissions/{desk.operation.slug}/revoke/"
    assert sign_in(client, make_admin()).post(url, {"reason": ""}).status_code == 422
    assert desk.ask().status_code == 202
    assert sign_in(client, make_admin()).post(url, {"reason": "unused"}).status_code == 302
    assert desk.ask().status_code == 404


def test_a_key_is_shown_once_and_dies_when_it_is_revoked(client):
    agent = make_agent()
    sign_in(client, make_admin())
    answer = client.post(f"/agents/{agent.slug}/keys/", {"days": 30})
    assert answer.status_code == 302, "a reload of what comes next makes no second key"
    assert "acp_agt_" not in str(answer.headers)
    assert "acp_agt_" not in str(client.session["issued_key"]), "it is sealed"
    assert "acp_agt_" not in client.get(f"/agents/{make_agent().slug}/").content.decode()
    page = client.get(answer["Location"]).content.decode()
    text = next(word for word in page.replace("<", " ").replace(">", " ").split() if word.startswith("acp_agt_"))
    assert authenticate_agent(text).agent == agent
    assert text not in client.get(f"/agents/{agent.slug}/").content.decode()
    assert text not in str(list(Entry.objects.values_list("written__content__payload", flat=True)))
    client.post(f"/agents/{agent.slug}/keys/{AgentCredential.objects.get().pk}/revoke/")
    with pytest.raises(NotAuthenticatedError):
        authenticate_agent(text)


def test_no_third_key_is_offered_or_made(client):
    agent = make_agent()
    sign_in(client, make_admin())
    for environment in ("live", "live", "test", "test"):
        assert "Make a key" in client.get(f"/agents/{agent.slug}/").content.decode()
        client.post(f"/agents/{agent.slug}/keys/", {"days": 30, "environment": environment})
    page = client.get(f"/agents/{agent.slug}/").content.decode()
    assert "Make a key" not in page
    assert "2 keys may live at a time" in page
    answer = client.post(f"/agents/{agent.slug}/keys/", {"days": 30})
    assert answer.status_code == 409
    assert "2 keys are live, the most there can be; revoke one first." in answer.content.decode()
    assert AgentCredential.objects.count() == 4


def test_an_agents_state_is_changed_with_a_reason(client):
    agent = make_agent()
    sign_in(client, make_admin())
    assert client.post(f"/agents/{agent.slug}/state/", {"state": "suspended"}).status_code == 422
    assert client.post(f"/agents/{agent.slug}/state/", {"state": "suspended", "reason": "odd"}).status_code == 302
    agent.refresh_from_db()
    assert agent.state == "suspended"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("permissions/", {"operation": "x", "reason": "y"}),
        ("keys/", {"days": 30}),
        ("state/", {"state": "suspended", "reason": "x"}),
    ],
)
def test_whoever_may_only_look_at_an_agent_changes_nothing(client, path, body):
    agent = make_agent()
    sign_in(client, make_holder("agents.view_agent", unit=agent.unit))
    assert client.get(f"/agents/{agent.slug}/").status_code == 200
    assert client.post(f"/agents/{agent.slug}/{path}", body).status_code == 404
    assert {entry.name for entry in Entry.objects.all()} == {"request.refused"}
    assert not AgentCredential.objects.exists()


def test_everything_is_stopped_in_two_actions_and_lifted_by_somebody_else(client):
    first, second = make_admin(), make_admin()
    desk = make_desk()
    sign_in(client, first)
    page = client.get("/halts/").content.decode()
    assert "Stop everything" in page
    assert "0 open runs, 0 actions in flight, 1 agent<" in page
    assert client.post("/halts/engage/", {"scope": "everything", "reason": "odd payments"}).status_code == 302
    assert desk.ask().status_code == 423
    assert "odd payments" in client.get("/agents/").content.decode(), "the banner stands on every page"
    halt = Halt.objects.get()
    assert client.post(f"/halts/{halt.pk}/lift/", {"reason": "mine"}).status_code == 403
    assert sign_in(client, second).post(f"/halts/{halt.pk}/lift/", {"reason": "found it"}).status_code == 302
    assert desk.ask().status_code == 202


def test_a_halt_names_who_can_lift_it_and_offers_it_to_them_alone(client):
    unit = make_unit(name="Ops")
    admin, lifter = make_holder(ENGAGE, LIFT, name="Alex"), make_holder(LIFT, name="Olga")
    below, elsewhere = make_holder(LIFT, unit=unit, name="Below"), make_holder(ENGAGE, unit=unit, name="Elsewhere")
    halt = engage_halt(admin, scope="everything", reason="odd")
    offer = f'action="/halts/{halt.pk}/lift/"'
    for person, offered in ((admin, False), (lifter, True), (below, False), (elsewhere, False)):
        page = sign_in(client, person).get("/halts/").content.decode()
        of_it = client.get(f"/halts/{halt.pk}/").content.decode()
        assert (offer in page, offer in of_it) == (offered, offered), person
        assert ("Olga can." in page, "Olga can." in of_it) == (not offered, not offered), person
        assert str(halt.pk) in page
    assert "so somebody else must lift it" in sign_in(client, admin).get("/halts/").content.decode()


def test_a_halt_that_nobody_can_lift_says_so(client):
    admin = make_holder(ENGAGE, LIFT)
    engage_halt(admin, scope="everything", reason="odd")
    assert "Nobody can at present" in sign_in(client, admin).get("/halts/").content.decode()


def test_only_what_a_person_may_stop_is_offered(client):
    unit = make_unit(name="Ops")
    make_holder(ENGAGE, name="Alex")
    make_agent(unit=unit, slug="mine")
    make_agent(slug="theirs")
    make_unit(parent=unit, slug="below")
    person = make_holder(ENGAGE, unit=unit)
    page = sign_in(client, person).get("/halts/").content.decode()
    assert "Stop everything" not in page
    assert "not everything at once. Alex can." in " ".join(page.split())
    targets = re.findall(r'name="scope" value="(\w+)"><input type="hidden" name="target" value="([^"]+)"', page)
    assert targets == [("unit", "below"), ("unit", unit.slug), ("agent", "mine")]
    for scope, target in targets:
        answer = client.post("/halts/engage/", {"scope": scope, "target": target, "reason": "odd"})
        assert answer.status_code == 302
    assert Halt.objects.count() == 3


def test_the_versions_of_an_agent_that_has_several_at_work_are_offered(client):
    agent = make_agent(slug="payer")
    make_agent(slug="other")
    sign_in(client, make_admin())
    assert 'value="payer@' not in client.get("/halts/").content.decode()
    AgentVersion.objects.create(agent=agent, number=7, state="pilot", digest="x", made_by=make_user())
    page = client.get("/halts/").content.decode()
    assert 'value="payer@7"' in page
    assert 'value="other@' not in page
    assert client.post("/halts/engage/", {"scope": "version", "target": "payer@7", "reason": "x"}).status_code == 302


def test_help_says_where_a_right_is_held(client):
    page = sign_in(client, make_holder(ENGAGE, unit=make_unit(name="Ops"))).get("/help/").content.decode()
    assert "In Ops and below." in page
    assert "Everywhere." in sign_in(client, make_holder(ENGAGE)).get("/help/").content.decode()


def test_a_halt_without_a_reason_or_a_right_stops_nothing(client):
    assert (
        sign_in(client, make_admin()).post("/halts/engage/", {"scope": "everything", "reason": ""}).status_code == 422
    )
    assert (
        sign_in(client, make_user()).post("/halts/engage/", {"scope": "everything", "reason": "x"}).status_code == 403
    )
    unit_admin = make_holder("halts.engage_halt", unit=make_unit())
    assert sign_in(client, unit_admin).post("/halts/engage/", {"scope": "everything", "reason": "x"}).status_code == 403
    assert not Halt.objects.exists()


def test_the_audit_page_searches_by_actor_event_subject_and_time(client):
    desk = make_desk()
    found = desk.ask().json()
    sign_in(client, make_admin())
    every = client.get("/audit/").content.decode()
    assert "action.proposed" in every
    assert "action.approved" not in client.get("/audit/?name=action.proposed").content.decode()
    assert "No entry fits" in client.get("/audit/?actor=nobody").content.decode()
    assert "action.proposed" in client.get(f"/audit/?trail={found['id']}").content.decode()
    assert "No entry fits" in client.get("/audit/?since=2099-01-01T00:00").content.decode()
    assert client.get("/audit/?trail=nonsense").status_code == 422
    entry = Entry.objects.get(name="action.proposed")
    page = client.get(f"/audit/{entry.pk}/").content.decode()
    assert "action.approved" in page


def test_a_role_is_given_and_taken_on_the_page(client):
    person, role, unit = make_user(), make_role("kpis.view_kpi"), make_unit()
    sign_in(client, make_admin())
    url = f"/access/people/{person.username}/"
    assert client.get(url).status_code == 200
    assert client.post(f"{url}roles/", {"role": role.slug, "unit": unit.slug, "until": "2001-01-01"}).status_code == 422
    assert not holds(person, "kpis.view_kpi")
    assert client.post(f"{url}roles/", {"role": role.slug, "unit": unit.slug}).status_code == 302
    assert holds(person, "kpis.view_kpi")
    assert "See dashboards and KPIs." in client.get(url).content.decode()
    grant = RoleGrant.objects.get(user=person)
    assert client.post(f"/access/grants/{grant.pk}/revoke/", {"reason": ""}).status_code == 422
    assert client.post(f"/access/grants/{grant.pk}/revoke/", {"reason": "over"}).status_code == 302
    assert not holds(person, "kpis.view_kpi")


def test_health_calls_for_a_person_only_where_the_plane_does_not_repeat(client):
    desk = make_desk()
    for _ in range(2):
        desk.ask(50_000)
    Action.objects.update(state="unknown")
    Effect.objects.update(state="unknown", retry_at=ClockTimestamp())
    sign_in(client, make_admin())
    page = client.get("/control/").content.decode()
    assert "2 actions are asked for again" in page
    assert "A person must find out" not in page
    Effect.objects.filter(action=Action.objects.latest("id")).update(retry_at=None)
    page = client.get("/control/").content.decode()
    assert "1 action is asked for again" in page
    assert "The outcome of 1 action is unknown" in page
    assert "A person must find out" in page


def test_a_search_for_an_id_goes_straight_there(client):
    found = make_desk().ask().json()
    answer = sign_in(client, make_admin()).get(f"/search/?q={found['id']}")
    assert answer["Location"] == f"/actions/{found['id']}/"


def test_the_tables_have_one_door_and_it_tells_people_who_are_no_staff(client):
    assert client.get("/admin/login/")["Location"] == "/accounts/login/?next=%2Fadmin%2F"
    client.force_login(make_user())
    assert client.get("/admin/", follow=True).status_code == 403
    client.force_login(make_user(is_staff=True))
    assert client.get("/admin/").status_code == 200
    assert client.get("/admin/login/")["Location"] == "/admin/"
