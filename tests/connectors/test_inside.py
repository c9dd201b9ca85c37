"""Systems inside one's own network: one person asks, another allows exactly that host, nothing is reached before."""

import pytest
from lxml import html

from apps.audit.models import Entry
from apps.configuration.selectors import export_for
from apps.configuration.services import apply_texts
from apps.connectors import services
from apps.connectors.models import Connector
from apps.core.errors import InvalidError, UnavailableError
from apps.core.services import system_user
from tests.connectors.test_api import agent_api, person
from tests.connectors.test_effects import approved, perform
from tests.connectors.test_views import browser
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.agents import make_agent
from tests.factories.connectors import make_connector

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann():
    return make_admin()


@pytest.fixture
def ben():
    return make_admin()


def ask(actor, system):
    body = {"slug": "bank", "name": "Bank", "base_url": system.url, "allow_internal": True}
    return person(actor)("POST", "/connectors/", body)


def host(system):
    return system.url.removeprefix("http://")


def test_one_person_alone_lets_nothing_inside_be_reached(ann, system):
    answer = ask(ann, system).body
    assert (answer["allow_internal"], answer["inside_asked_by"]) == (False, ann.username)
    bank = Connector.objects.get()
    with pytest.raises(UnavailableError, match="an internal address"):
        services.probe_connector(ann, connector=bank)
    refused = person(ann)("POST", "/connectors/bank/inside/", {"answer": "allow", "host": host(system)})
    assert refused.status_code == 403
    assert perform(system_user("plane"), approved(bank)).error["code"] == "egress_refused"
    bank.refresh_from_db()
    assert not bank.allow_internal
    assert system.asked == []


@pytest.mark.parametrize(
    ("adapter", "address", "auth"),
    [
        ("sql", "postgresql://127.0.0.1:5432/sales", {"type": "basic", "username": "reader"}),
        ("email", "smtp://127.0.0.1:2525", {"type": "none"}),
    ],
)
def test_databases_and_mail_servers_inside_are_asked_for_likewise(ann, ben, adapter, address, auth):
    mail = (
        {"mail": {"from": "plane@example.com", "recipients": ["example.com"], "tls": "none"}}
        if adapter == "email"
        else {}
    )
    body = {
        "slug": "bank",
        "name": "Bank",
        "adapter": adapter,
        "base_url": address,
        "auth": auth,
        "allow_internal": True,
    }
    answer = person(ann)("POST", "/connectors/", body | mail)
    assert answer.status_code == 201, answer.body
    assert (answer.body["allow_internal"], answer.body["inside_asked_by"]) == (False, ann.username)
    allow = {"answer": "allow", "host": address.split("/")[2]}
    assert person(ben)("POST", "/connectors/bank/inside/", allow).body["allow_internal"]
    again, _result = services.save_connector(
        ann, slug="bank", name="Bank's", base_url=address, adapter=adapter, auth=auth, allow_internal=True, **mail
    )
    assert again.allow_internal


def test_another_person_allows_it_and_the_ledger_names_both(ann, ben, system):
    ask(ann, system)
    page = browser(ben).get("/connectors/bank/").content.decode()
    assert f"Allow {host(system)}" in page
    assert "Allow 127" not in browser(ann).get("/connectors/bank/").content.decode()
    assert browser(ben).post("/connectors/bank/inside/", {"answer": "allow", "host": host(system)}).status_code == 302
    bank = Connector.objects.get()
    assert (bank.allow_internal, bank.inside_asked_by) == (True, None)
    told = Entry.objects.get(name="connector.inside_allowed")
    assert (told.actor, told.payload["asked_by"], told.payload["host"]) == (ben, ann.username, host(system))
    assert perform(system_user("plane"), approved(bank)).state == "succeeded"


def test_what_was_allowed_is_one_host_and_not_the_next(ann, ben, system):
    bank = make_connector(slug="bank", base_url=system.url)
    kept = person(ann)("PATCH", "/connectors/bank/", {"name": "Bank"})
    assert kept.body["allow_internal"] is True
    moved = person(ann)("PATCH", "/connectors/bank/", {"base_url": "http://127.0.0.1:6379"})
    assert (moved.body["allow_internal"], moved.body["inside_asked_by"]) == (False, ann.username)
    late = person(ben)("POST", "/connectors/bank/inside/", {"answer": "allow", "host": host(system)})
    assert late.status_code == 409
    bank.refresh_from_db()
    assert not bank.allow_internal


def test_the_page_names_who_else_may_allow_it_and_health_tells_them(ann, system):
    ask(ann, system)
    said = "Nobody else can at present: give somebody else a role that manages systems there."
    assert said in browser(ann).get("/connectors/bank/").content.decode()
    ben, here = make_admin(name="Ben Castro"), "Bank waits for another person"
    assert "Ben Castro can." in browser(ann).get("/connectors/bank/").content.decode()
    assert here in browser(ben).get("/control/").content.decode()
    assert here not in browser(ann).get("/control/").content.decode()
    elsewhere = make_holder("connectors.manage_connector", "access.manage_access", unit=make_unit())
    assert here not in browser(elsewhere).get("/control/").content.decode()


def test_it_is_refused_or_withdrawn(ann, ben, system):
    ask(ann, system)
    no, yes = ({"answer": answer, "host": host(system)} for answer in ("refuse", "allow"))
    assert person(ben)("POST", "/connectors/bank/inside/", no).status_code == 200
    assert Connector.objects.get().inside_asked_by is None
    assert person(ben)("POST", "/connectors/bank/inside/", yes).status_code == 409
    assert Entry.objects.filter(name="connector.inside_refused").exists()


def test_strangers_and_agents_allow_nothing(ann, system):
    ask(ann, system)
    for other in (person(make_user()), agent_api(make_agent())):
        answer = other("POST", "/connectors/bank/inside/", {"answer": "allow", "host": host(system)})
        assert answer.status_code in {403, 404}
    assert not Connector.objects.get().allow_internal


def test_documents_count_as_reviewed(system):
    console = system_user("console")
    services.save_connector(console, slug="bank", name="Bank", base_url=system.url, allow_internal=True)
    assert Connector.objects.get().allow_internal


def test_ports_of_the_list_alone_are_reached(ann, system, settings):
    settings.ACP_EGRESS_PORTS = "443"
    with pytest.raises(InvalidError) as refused:
        services.save_connector(ann, slug="bank", name="Bank", base_url=system.url)
    assert list(refused.value.errors) == ["base_url"]
    effect = perform(system_user("plane"), approved(make_connector(base_url=system.url)))
    assert (effect.state, effect.error["code"]) == ("failed", "not_configured")
    assert system.asked == []


def test_what_is_applied_as_it_was_exported_leaves_what_was_asked_for(ann, system):
    ask(ann, system)
    texts = {"c.yaml": export_for(system_user("console"), kinds=["Connector"])}
    [applied] = apply_texts(system_user("console"), texts=texts)
    assert applied.outcome == "unchanged"
    assert Connector.objects.get().inside_asked_by == ann
    assert person(ann)("PATCH", "/connectors/bank/", {"name": "The bank"}).body["inside_asked_by"] == ann.username
    moved = person(ann)("PATCH", "/connectors/bank/", {"base_url": "http://93.184.216.34"})
    assert moved.body["inside_asked_by"] is None
    assert Entry.objects.filter(name="connector.inside_refused").exists()


def test_whoever_unticks_it_on_the_page_withdraws_it(ann, system):
    ask(ann, system)
    page = browser(ann)
    seen = html.fromstring(page.get("/connectors/bank/address/").content).xpath("//input[@name='seen']/@value")[0]
    said = {"name": "Bank", "base_url": system.url, "sign_in": "none", "seen": seen}
    assert page.post("/connectors/bank/address/", said).status_code == 302
    assert Connector.objects.get().inside_asked_by is None
    assert Entry.objects.get(name="connector.inside_refused").actor == ann
