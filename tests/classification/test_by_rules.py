"""What a rule hides is hidden wherever a class would hide it: a value is planted, and everything is looked through."""

import json
from typing import Any

import pytest
import yaml

from apps.access.models import RoleGrant
from apps.agents.models import Agent
from apps.audit.models import Entry
from apps.configuration.selectors import export_for
from apps.configuration.services import ConfigurationError, apply_texts
from apps.core.services import system_user
from apps.oversight.models import Escalation
from apps.oversight.services import reweigh_pending
from apps.policies.models import Policy
from apps.policies.rules import is_stricter, verdict_of
from apps.policies.services import check_policy
from tests.classification.test_hidden import CANARY, IBAN, MAY_HOLD, addresses, mail, near, shows, system, words
from tests.factories.access import grant, make_admin, make_role
from tests.factories.classification import classify, make_data_class
from tests.factories.connectors import make_operation
from tests.factories.policies import make_policy, make_rule
from tests.notifications.conftest import tell
from tests.oversight.edge_cases.doors import Person, make_reachable
from tests.oversight.edge_cases.test_rows_21_to_26 import places_of
from tests.workflows.actions import Desk, make_desk, the_action, the_item, work

__all__ = ["mail", "system"]
pytestmark = pytest.mark.django_db
LEDGER = "audit.view_entry"
NOT_THE_LEDGER = (
    "oversight.decide_escalation", "oversight.view_escalation", "agents.view_agent", "agents.view_action",
    "policies.view_policy", "policies.publish_policy", "workflows.view_run", "kpis.view_kpi",
    "connectors.manage_connector", "halts.engage_halt",
)  # fmt: skip


def hides(**fields: Any) -> dict[str, Any]:
    return make_rule(slug="hides", effect="flag", obligations={"redact": ["iban"]}, **fields)


def ruled_desk(url: str) -> tuple[Desk, Person, Person]:
    """A desk where a rule hides IBANs: one who reads the ledger there, and one who does not."""
    desk = make_desk(url)
    make_policy(hides(), slug="hiding")
    grant(desk.approver, make_role(LEDGER), desk.agent.unit)
    person = make_admin()
    RoleGrant.objects.filter(user=person).delete()
    grant(person, make_role(*NOT_THE_LEDGER))
    RoleGrant.objects.create(user=person, role=desk.queue.role, granted_by=person)
    return desk, Person(desk.approver), Person(person)


def test_nothing_that_an_unentitled_person_opens_shows_what_a_rule_hides(system):
    desk, reader, stranger = ruled_desk(system.url)
    desk.ask(250_000, reference="inv-1", parameters={"iban": IBAN, "note": "for March"}, **words())
    work()
    item = the_item()
    assert the_action().classed == {"@rule": [["iban"]]}
    assert the_action().verdict["facts"]["action.data_classes"] == []
    assert [each for each in near(item) if shows(stranger, each) == 1] == []
    assert [each for each in near(item)[:5] if shows(reader, each) != 1] == []
    page = stranger.page(f"/inbox/{item.pk}/")
    assert "[@rule/iban hidden]" in page
    assert "a rule hides it" in page
    assert "a rule hides it" not in reader.page(f"/inbox/{item.pk}/")
    edited = {**the_action().parameters, "iban": "[@rule/iban hidden]", "note": "for April"}
    said = stranger.decide(item, parameters=edited, key="one")
    assert said.status_code == 200, said.content
    assert not CANARY.search(said.content.decode())
    assert the_action().parameters == {**edited, "iban": IBAN}
    system.will(body=json.dumps({"paid": True, "to": IBAN}).encode())
    work()
    assert the_action().state == "succeeded", the_action().error
    assert IBAN in str(system.asked[0])
    named = [desk.agent.slug, desk.operation.slug, desk.operation.connector.slug, desk.policy.slug]
    seen = {address: shows(stranger, address) for address in addresses(*named)}
    assert [address for address, shown in seen.items() if shown == 1] == []
    assert sum(shown == 0 for shown in seen.values()) > 40
    assert "a rule hides some values" in stranger.page(f"/actions/{the_action().pk}/")
    assert places_of(IBAN) <= MAY_HOLD


def test_no_message_that_leaves_the_house_carries_it(system, mail):
    desk, reader, _stranger = ruled_desk("http://127.0.0.1:1029")
    make_reachable(reader.user, desk.queue, system.url)
    Agent.objects.filter(pk=desk.agent.pk).update(risk="high")  # told at once
    system.will(body=b"{}")
    desk.ask(250_000, parameters={"iban": IBAN}, **words())
    tell()
    assert len(mail.letters) == len(system.asked) == 1
    parts = [part.get_content() for part in mail.letters[0].walk() if part.get_content_maintype() == "text"]
    told = [mail.letters[0]["Subject"], *parts, str(system.asked[0])]
    assert [each for each in told if CANARY.search(each)] == []
    assert "hidden" in "".join(told)
    assert places_of(IBAN) <= MAY_HOLD


def test_a_release_that_hides_acts_on_what_waits_and_takes_back_no_vote():
    desk = make_desk("http://127.0.0.1:1029")
    person = Person(desk.approver)
    desk.ask(250_000, parameters={"iban": IBAN}, **words())
    item = the_item()
    assert all(shows(person, each) == 1 for each in near(item)[:5])
    version, before = item.version, item.verdict
    make_policy(hides(), slug="hiding")
    assert reweigh_pending() == 1
    item = the_item()
    assert [each for each in near(item) if shows(person, each) == 1] == []
    assert (item.version, item.verdict) == (version, before)
    assert the_action().parameters["iban"] == IBAN
    hidden = {**before, "obligations": {**before["obligations"], "redact": ["iban"], "notify": ["finance"]}}
    assert not is_stricter(verdict_of(hidden), verdict_of(before))
    assert person.decide(item, key="one").json()["state"] == "approved"


def test_a_release_that_hides_and_denies_hides_what_it_ends():
    desk = make_desk("http://127.0.0.1:1029")
    person = Person(desk.approver)
    desk.ask(250_000, parameters={"iban": IBAN}, **words())
    make_policy(make_rule(slug="no", effect="deny", obligations={"redact": ["iban"]}), slug="hiding")
    assert reweigh_pending() == 1
    action = the_action()
    assert (action.state, action.parameters["iban"]) == ("denied", IBAN)
    assert [each for each in near(Escalation.objects.get()) if shows(person, each) == 1] == []


def test_whoever_sees_one_of_two_that_hide_it_sees_nothing():
    desk, reader, _stranger = ruled_desk("http://127.0.0.1:1029")
    make_data_class(slug="bank", visible_to=["treasurer"])
    desk.operation = classify(desk.operation, iban="bank")
    desk.ask(250_000, parameters={"iban": IBAN}, **words())
    assert set(the_action().classed) == {"bank", "@rule"}
    treasurer = make_admin()
    RoleGrant.objects.filter(user=treasurer).delete()
    grant(treasurer, make_role("oversight.decide_escalation", "oversight.view_escalation"))
    grant(treasurer, make_role(slug="treasurer"))
    RoleGrant.objects.create(user=treasurer, role=desk.queue.role, granted_by=treasurer)
    for one in (reader, Person(treasurer)):
        assert [each for each in near(the_item()) if shows(one, each) == 1] == []


def test_rules_that_match_hide_together_and_others_do_not():
    desk = make_desk("http://127.0.0.1:1029")
    others = {name: {} for name in ("missing", "amount_minor", "reference")}
    make_operation(parameters={"type": "object", "properties": others}, amount=None)
    make_policy(
        hides(),
        make_rule(slug="more", effect="flag", obligations={"redact": ["note", "missing", "amount_minor"]}),
        make_rule(slug="never", effect="flag", when="false", obligations={"redact": ["reference"]}),
        make_rule(slug="quiet", effect="flag", mode="shadow", obligations={"redact": ["reference"]}),
    )
    said = desk.ask(250_000, parameters={"iban": IBAN, "note": "for March"}).json()
    assert the_action().classed == {"@rule": [["iban"], ["note"]]}  # an amount is hidden from nobody
    assert said["parameters"]["iban"] == IBAN  # whoever asked knows it
    assert "2,500.00" in the_item().consequence


def test_documents_keep_it_and_what_cannot_be_hidden_is_refused():
    desk = make_desk("http://127.0.0.1:1029")
    scope = {"operations": [desk.operation.slug]}
    policy = make_policy(hides(scope=scope), slug="hiding")
    documents = [
        each
        for each in yaml.safe_load_all(export_for(system_user("console")))
        if each and each.get("slug") == policy.slug
    ]
    assert documents[0]["rules"][0]["obligations"] == {"redact": ["iban"]}
    entries = Entry.objects.count()
    apply_texts(system_user("console"), texts={"a.yaml": yaml.safe_dump_all(documents)})
    assert Entry.objects.count() == entries
    for paths, said in (
        (["ibna"], "has no parameter 'ibna'. Did you mean iban?"),
        (["amount_minor"], "nobody can hide it"),
        (["iban..x"], "A parameter such as"),
    ):
        documents[0]["rules"][0]["obligations"] = {"redact": paths}
        with pytest.raises(ConfigurationError) as refused:
            apply_texts(system_user("console"), texts={"a.yaml": yaml.safe_dump_all(documents)})
        assert said in refused.value.troubles[0].message


def test_a_rule_tells_nobody_and_says_so_but_those_in_force_still_judge():
    tells = make_rule(slug="tells", obligations={"notify": ["finance"]})
    (found,) = check_policy(make_admin(), rules=[tells])
    assert (found.field, found.is_warning) == ("rules.0.obligations.notify", False)
    policy = make_policy(make_rule(slug="tells"))
    policy.in_force.rules = [tells]
    (found,) = check_policy(make_admin(), rules=[tells], policy=policy)
    assert found.is_warning
    assert Policy.objects.count() == 1
