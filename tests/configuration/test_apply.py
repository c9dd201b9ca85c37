"""Documents: brought about through the apps' commands, all or nothing, every misfit with its file and line."""

from pathlib import Path

import pytest

from apps.access.models import BusinessUnit, Calendar, Queue, Role, RoleGrant, Rota
from apps.access.services import end_person
from apps.agents.models import Agent
from apps.audit.models import Entry, Payload
from apps.configuration.selectors import export_for
from apps.configuration.services import ConfigurationError, apply_documents, apply_texts
from apps.connectors.models import Connector, ConnectorSecret, Operation, OperationPermission
from apps.core import envelope
from apps.core.errors import NotAllowedError
from apps.core.models import User
from apps.core.services import system_user
from apps.kpis.models import Baseline, Target
from apps.policies.models import Policy
from apps.workflows.models import Workflow, WorkflowPermission
from tests.factories.access import make_admin, make_user
from tests.factories.agents import make_agent

pytestmark = pytest.mark.django_db
EXAMPLE = (Path(__file__).parent / "documents" / "example.yaml").read_text()
KINDS = (
    Calendar,
    BusinessUnit,
    Role,
    User,
    Rota,
    Queue,
    Connector,
    Operation,
    Agent,
    Policy,
    Workflow,
    Target,
    Baseline,
)


@pytest.fixture
def console():
    return system_user("console")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("BANK_TOKEN", "canary-a1b2/3+c")
    monkeypatch.setenv("UMA_PASSWORD", "a-good-password-9")


def world():
    """How many there are of everything, and the last entry."""
    return [kind.objects.count() for kind in KINDS], Entry.objects.count()


def outcomes(applied):
    return {(each.kind, each.slug): each.outcome for each in applied}


def troubles(console, *texts):
    before = world()
    with pytest.raises(ConfigurationError) as refused:
        apply_texts(console, texts={f"{place}.yaml": text for place, text in enumerate(texts, 1)})
    assert world() == before
    return [str(trouble) for trouble in refused.value.troubles]


class TestTheExample:
    def test_applies_and_everything_is_in_force(self, console):
        applied = apply_texts(console, texts={"example.yaml": EXAMPLE})
        assert set(outcomes(applied).values()) == {"created"}
        agent = Agent.objects.get(slug="payer")
        assert (agent.state, agent.owner.username, agent.version.number) == ("active", "uma", 1)
        assert [held.content_object.slug for held in OperationPermission.objects.filter(user=agent.user)] == [
            "bank.pay"
        ]
        assert WorkflowPermission.objects.filter(user=agent.user).exists()
        assert Policy.objects.get(slug="payments").state == "in_force"
        assert Workflow.objects.get(slug="pay-invoice").active.number == 1
        assert OperationPermission.objects.filter(user__username="workflow:pay-invoice").exists()
        assert User.objects.get(username="uma").check_password("a-good-password-9")
        (secret,) = ConnectorSecret.objects.all()
        place = envelope.place_of(secret.connector_id, secret.pk, secret.version)
        assert envelope.unseal(envelope.master_keys(), bytes(secret.sealed), place) == "canary-a1b2/3+c"

    def test_applied_again_it_changes_nothing(self, console):
        apply_documents(console, texts={"example.yaml": EXAMPLE})
        before = world()
        assert set(outcomes(apply_texts(console, texts={"example.yaml": EXAMPLE})).values()) == {"unchanged"}
        assert world() == before
        assert apply_documents(console, texts={"example.yaml": EXAMPLE}) == []

    def test_references_come_in_any_order(self, console):
        backwards = "---\n".join(reversed(EXAMPLE.split("---\n")))
        assert set(outcomes(apply_texts(console, texts={"a.yaml": backwards})).values()) == {"created"}

    def test_a_dry_run_says_the_same_and_changes_nothing(self, console):
        before = world()
        applied = apply_texts(console, texts={"example.yaml": EXAMPLE}, dry_run=True)
        assert set(outcomes(applied).values()) == {"created"}
        assert world() == before

    def test_exported_and_applied_it_changes_nothing(self, console):
        apply_documents(console, texts={"example.yaml": EXAMPLE})
        text = export_for(console)
        assert "canary" not in text
        before = world()
        applied = apply_texts(console, texts={"export.yaml": text})
        assert {key: said for key, said in outcomes(applied).items() if said != "unchanged"} == {}
        assert world() == before
        own = [each for each in applied if each.kind != "Breaker"]  # those are there from the first day on
        assert len(own) == EXAMPLE.count("\n---\n") + 1
        assert export_for(console) == text

    def test_without_their_variables_secret_and_password_stay(self, console, monkeypatch):
        apply_documents(console, texts={"example.yaml": EXAMPLE})
        monkeypatch.delenv("BANK_TOKEN")
        monkeypatch.delenv("UMA_PASSWORD")
        assert apply_documents(console, texts={"example.yaml": EXAMPLE}) == []
        assert User.objects.get(username="uma").check_password("a-good-password-9")
        monkeypatch.setenv("BANK_TOKEN", "another")
        assert apply_documents(console, texts={"example.yaml": EXAMPLE}) == [
            "changed   Connector bank (connectorsecret.rotated)"
        ]

    def test_no_secret_is_in_the_ledger(self, console):
        apply_documents(console, texts={"example.yaml": EXAMPLE})
        entries = repr([*Entry.objects.values(), *Payload.objects.values()])
        assert "canary" not in entries
        assert "a-good-password" not in entries
        assert Entry.objects.get(name="configuration.applied").payload["created"] == 11


class TestWhole:
    """A document is the whole of its object."""

    def apply(self, console, text):
        return outcomes(apply_texts(console, texts={"more.yaml": text}))

    def test_lists_are_replaced(self, console):
        apply_documents(console, texts={"example.yaml": EXAMPLE})
        narrowed = """
kind: Agent
slug: payer
unit: finance
owner: uma
state: active
operations: [{operation: bank.pay, fields: [iban], until: 2099-01-31}]
"""
        assert self.apply(console, narrowed) == {("Agent", "payer"): "changed"}
        agent = Agent.objects.get(slug="payer")
        held = OperationPermission.objects.get(user=agent.user)
        assert (held.fields, str(held.until)) == (["iban"], "2099-02-01 00:00:00+00:00")
        assert agent.capabilities == []
        assert not WorkflowPermission.objects.filter(user=agent.user).exists()
        assert self.apply(console, narrowed) == {("Agent", "payer"): "unchanged"}
        self.apply(console, narrowed.replace("[{operation: bank.pay, fields: [iban], until: 2099-01-31}]", "[]"))
        assert not OperationPermission.objects.filter(user=agent.user).exists()

    def test_what_ended_is_not_granted(self, console):
        apply_documents(console, texts={"example.yaml": EXAMPLE})
        text = EXAMPLE.replace("operations: [bank.pay]  ", "operations: [{operation: bank.pay, until: 2020-01-01}]  ")
        assert text != EXAMPLE
        apply_documents(console, texts={"example.yaml": text})
        assert not OperationPermission.objects.filter(user__username="agent:payer").exists()

    @pytest.mark.parametrize("password", ["a", "password1234"])
    def test_a_password_is_no_weaker_than_one_that_a_page_takes(self, console, monkeypatch, password):
        monkeypatch.setenv("UMA_PASSWORD", password)
        with pytest.raises(ConfigurationError) as refused:
            apply_texts(console, texts={"example.yaml": EXAMPLE})
        assert "password_env" in str(refused.value)
        assert not User.objects.filter(username="uma").exists()

    def test_an_address_is_one_person_s(self, console):
        self.apply(console, "kind: User\nusername: uma\nname: Uma\nemail: uma@example.com\n")
        with pytest.raises(ConfigurationError, match="Somebody else has this address"):
            self.apply(console, "kind: User\nusername: una\nname: Una\nemail: UMA@example.com\n")
        self.apply(console, "kind: User\nusername: uma\nname: Uma Again\nemail: uma@example.com\n")

    def test_roles_are_replaced(self, console):
        apply_documents(console, texts={"example.yaml": EXAMPLE})
        self.apply(console, "kind: User\nusername: uma\nname: Uma Example\nemail: uma@example.com\n")
        assert not RoleGrant.objects.filter(user__username="uma", revoked_at=None).exists()

    def test_what_no_document_names_stays(self, console):
        other = make_agent()
        apply_documents(console, texts={"example.yaml": EXAMPLE})
        other.refresh_from_db()
        assert other.state == "active"

    def test_absent_retires_or_removes(self, console):
        apply_documents(console, texts={"example.yaml": EXAMPLE})
        gone = "\n---\n".join(
            f"kind: {kind}\n{'username' if kind == 'User' else 'slug'}: {slug}\nstate: absent"
            for kind, slug in (
                ("Operation", "bank.pay"),
                ("Connector", "bank"),
                ("Agent", "payer"),
                ("Policy", "payments"),
                ("Workflow", "pay-invoice"),
                ("User", "uma"),
            )
        )
        gone += "\n---\nkind: Target\nworkflow: pay-invoice\nkpi: cycle_time_p50_s\nvalue: 1\nstate: absent\n"
        (trouble,) = troubles(console, gone)
        assert "--approved-by" in trouble
        with pytest.raises(ConfigurationError):
            apply_texts(console, texts={"gone.yaml": gone}, approved_by=make_user())
        assert Policy.objects.get().state == "in_force"
        removed = apply_texts(console, texts={"gone.yaml": gone}, approved_by=make_admin())
        assert set(outcomes(removed).values()) == {"removed"}
        assert Agent.objects.get().state == "retired"
        assert Policy.objects.get().state == "retired"
        assert Connector.objects.get().state == "retired"
        assert not User.objects.get(username="uma").is_active
        assert not Target.objects.exists()
        assert set(self.apply(console, gone).values()) == {"unchanged"}

    def test_what_is_in_use_does_not_go(self, console):
        apply_documents(console, texts={"example.yaml": EXAMPLE})
        (trouble,) = troubles(console, "kind: BusinessUnit\nslug: finance\nstate: absent\n")
        assert trouble.startswith("1.yaml:1: ")
        assert "still in use" in trouble

    def test_an_empty_unit_goes(self, console):
        self.apply(console, "kind: BusinessUnit\nslug: a\n---\nkind: BusinessUnit\nslug: b\nparent: a\n")
        gone = "kind: BusinessUnit\nslug: a\nstate: absent\n---\nkind: BusinessUnit\nslug: b\nstate: absent\n"
        assert set(self.apply(console, gone).values()) == {"removed"}
        assert not BusinessUnit.objects.exists()


class TestMisfits:
    def test_all_of_them_at_once_each_with_file_and_line(self, console):
        first = """kind: BusinessUnit
slug: finance
colour: red
---
kind: Role
slug: clerk
permissions: [agents.view_agent, agents.eat_agent]
---
kind: Queue
slug: q
unit: nowhere
role: clerk
sla_s: soon
"""
        second = """# a comment
kind: Agent
slug: A!
unit: finance
owner: nobody
risk: huge
operations: [{operation: bank.pay, field: [x]}]
---
kind: Budget
slug: b
---
kind: Robot
slug: r
---
slug: nothing
"""
        found = troubles(console, first, second)
        expected = [
            ("1.yaml:3:", "Unknown key 'colour'"),
            ("1.yaml:7:", "agents.eat_agent"),
            ("1.yaml:11:", "There is no BusinessUnit nowhere"),
            ("1.yaml:13:", "An integer is wanted"),
            ("2.yaml:3:", "A slug"),
            ("2.yaml:5:", "There is no User nobody"),
            ("2.yaml:6:", "One of low, medium, high, critical"),
            ("2.yaml:7:", "There is no Operation bank.pay"),
            ("2.yaml:7:", "Unknown key 'field'"),
            ("2.yaml:9:", "The key 'scope' is missing"),
            ("2.yaml:9:", "The key 'period' is missing"),
            ("2.yaml:12:", "There is no such kind"),
            ("2.yaml:15:", "The key 'kind' is missing"),
        ]
        for place, words in expected:
            assert any(line.startswith(place) and words in line for line in found), (place, words, found)
        assert len(found) == len(expected)

    @pytest.mark.parametrize(
        ("text", "line", "words"),
        [
            ("kind: Role\nslug: [", 2, "not YAML"),
            ("kind: Role\nslug: a\nslug: b\n", 3, "given twice"),
            ("- a\n- b\n", 1, "A document is an object"),
            ("kind: [Role]\nslug: a", 1, "no such kind"),
            ("kind: Role\nslug: a\npermissions: {}\n", 3, "A list is wanted"),
            ("kind: Role\nslug: a\npermissions: []\nstate: gone\n", 4, "One of absent"),
            ("kind: User\nusername: u\nroles: [{role: r, until: tomorrow}]\n", 3, "A day"),
            ("kind: Role\npermissions: []\n", 1, "'slug' is missing"),
            ("kind: Connector\nslug: c\nbase_url: ftp://x\n", 3, "http"),
            ("kind: Connector\nslug: c\nbase_url: https://x.example.com\nauth: {type: token}\n", 4, "none, bearer"),
            ("kind: Role\nslug: a\npermissions: !!python/object:os.system []\n", 3, "tag"),
            ("kind: Policy\nslug: p\nrules: [{slug: r, when: 'action.', effect: allow}]\n", 3, ""),
            ("kind: Workflow\nslug: w\nname: W\nunit: nowhere\nsteps: {}\n", 4, "nowhere"),
            ("kind: Workflow\nslug: w\n", 1, ""),
            ("kind: Target\nkpi: happiness\nvalue: 1\n", 2, ""),
        ],
    )
    def test_each_says_its_line(self, console, text, line, words):
        found = troubles(console, text)
        assert any(each.startswith(f"1.yaml:{line}:") and words in each for each in found), found

    def test_one_object_described_twice(self, console):
        text = "kind: BusinessUnit\nslug: a\n"
        assert "described in 1.yaml:1 already" in troubles(console, text, text)[0]

    def test_a_parent_below_itself(self, console):
        text = "kind: BusinessUnit\nslug: a\nparent: b\n---\nkind: BusinessUnit\nslug: b\nparent: a\n"
        assert troubles(console, text)

    def test_a_reference_to_what_goes(self, console):
        apply_documents(console, texts={"example.yaml": EXAMPLE})
        text = "kind: Role\nslug: finance-approver\nstate: absent\n---\n"
        text += "kind: Queue\nslug: q\nunit: finance\nrole: finance-approver\n"
        assert any("is removed by these documents" in line for line in troubles(console, text))

    def test_one_misfit_among_many_and_nothing_is_changed(self, console):
        broken = EXAMPLE.replace('consequence: "Will pay {amount} to {iban}."', 'consequence: "Will pay {sum}."')
        assert broken != EXAMPLE
        (trouble,) = troubles(console, broken)
        line = broken.splitlines().index('consequence: "Will pay {sum}."') + 1
        assert trouble.startswith(f"1.yaml:{line}: consequence: ")

    def test_a_secret_that_does_not_fit_is_not_repeated(self, console, monkeypatch):
        monkeypatch.setenv("BANK_TOKEN", "line\nbreak-canary")
        (trouble,) = troubles(console, EXAMPLE)
        assert "secret_env" in trouble
        assert "canary" not in trouble


class TestWho:
    def test_agents_and_strangers_may_not(self):
        for actor in (make_agent().user, make_user()):
            before = world()
            with pytest.raises((NotAllowedError, ConfigurationError)):
                apply_texts(actor, texts={"example.yaml": EXAMPLE})
            assert world() == before

    def test_an_admin_may_and_the_ledger_names_them(self):
        admin = make_admin()
        apply_texts(admin, texts={"example.yaml": EXAMPLE})
        assert set(Entry.objects.values_list("actor", flat=True)) == {admin.pk}


HOURS = """
kind: Calendar
slug: office
timezone: Europe/Berlin
hours: {mon: ["09:00-12:30", "13:30-17:00"], tue: ["09:00-17:00"]}
region: DE-BE
holidays: [2027-01-01, {date: 2026-12-25, name: Christmas}]
---
kind: BusinessUnit
slug: sales
calendar: office
---
kind: Role
slug: seller
permissions: [oversight.decide_escalation]
---
kind: User
username: carla
---
kind: User
username: dora
---
kind: Rota
slug: nights
unit: sales
timezone: Europe/Berlin
starts: 2026-11-02
at: "18:00"
people: [carla, dora]
exceptions: [{from: 2026-12-24T18:00:00+01:00, until: 2026-12-25T18:00:00+01:00, user: dora}]
---
kind: Queue
slug: offers
unit: sales
role: seller
calendar: office
unseen_after_s: 600
repeat: 2
escalation:
  - {after_s: 1800, to: heads}
  - {after_s: 1800, to: {role: seller}}
  - {after_s: 1800, to: {user: carla}}
  - {after_s: 1800, to: {rota: nights}}
---
kind: Queue
slug: heads
unit: sales
role: seller
last_resort: true
"""


class TestCalendarsAndLadders:
    def test_they_come_back_as_they_were_and_go_when_nothing_counts_by_them(self, console):
        apply_documents(console, texts={"hours.yaml": HOURS})
        calendar, queue = Calendar.objects.get(), Queue.objects.get(slug="offers")
        assert calendar.holidays == [{"date": "2026-12-25", "name": "Christmas"}, {"date": "2027-01-01"}]
        assert (queue.calendar, BusinessUnit.objects.get(slug="sales").calendar) == (calendar, calendar)
        assert (queue.unseen_after_s, queue.repeat, queue.escalation[1]["to"]) == (600, 2, {"role": "seller"})
        assert Queue.objects.get(slug="heads").last_resort
        exported = export_for(console)
        assert set(outcomes(apply_texts(console, texts={"out.yaml": exported})).values()) == {"unchanged"}
        assert Rota.objects.get().people == ["carla", "dora"]
        end_person(console, user=User.objects.get(username="dora"), reason="left")
        exported = export_for(console)
        assert "people: [carla]" in exported
        assert "dora" not in exported
        apply_texts(console, texts={"out.yaml": exported})
        assert Rota.objects.get().people == ["carla"]
        gone = "kind: Rota\nslug: nights\nstate: absent\n"
        assert "These queues still ask it: offers." in " ".join(troubles(console, gone))
        gone = "kind: Calendar\nslug: office\nstate: absent\n"
        assert "These still count by it: offers, sales." in " ".join(troubles(console, gone))

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("Europe/Berlin", "Europe/Nowhere", "hours.yaml:4: timezone: There is no zone"),
            ("09:00-12:30", "09:00-25:00", "hours.mon[0]"),
            ("2027-01-01", "2027-02-31", "holidays[0]"),
            ("region: DE-BE", "region: DE-XX", "region: No holidays are known for 'DE-XX'"),
            ("{role: seller}", "{role: nobody}", "escalation[1].to.role: There is no Role nobody"),
            ("{user: carla}", "{user: carla, role: seller}", "escalation[2].to: One of"),
            ("{rota: nights}", "{rota: days}", "escalation[3].to.rota: There is no Rota days"),
            ("until: 2026-12-25T18:00:00+01:00", "until: 2026-12-25", "exceptions[0]: Times with an offset"),
            ("people: [carla, dora]", "people: [carla, otto]", "people[1]: There is no User otto"),
            ('at: "18:00"', 'at: "25:00"', "at: A time of day such as 09:00"),
            ("until: 2026-12-25", "until: 2026-12-23", "exceptions[0]: It ends before it begins."),
            ("repeat: 2", "repeat: 11", "repeat: An integer from 0 to 10"),
            ("calendar: office", "calendar: nowhere", "There is no Calendar nowhere"),
            ("slug: heads\nunit", "slug: heads2\nunit", "escalation[0].to: There is no Queue heads"),
        ],
    )
    def test_what_does_not_fit_is_said_where(self, console, old, new, said):
        before = world()
        with pytest.raises(ConfigurationError) as refused:
            apply_texts(console, texts={"hours.yaml": HOURS.replace(old, new)})
        assert said in str(refused.value)
        assert world() == before
