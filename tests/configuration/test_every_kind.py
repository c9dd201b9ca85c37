"""Every kind of configuration: described in the documentation, applied, shown as a difference, exported, unchanged."""

import io
import random
import re
from pathlib import Path

import pytest
from django.core.management import call_command

from apps.agents.models import Agent
from apps.agents.services import save_version
from apps.audit.models import Entry
from apps.configuration.rules import KINDS
from apps.configuration.selectors import export_for
from apps.configuration.services import ConfigurationError, apply_texts
from apps.connectors.models import Operation, OperationPermission
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user
from apps.kpis.models import PriceBook
from apps.policies.models import Policy
from apps.policies.services import save_policy
from apps.workflows.models import WorkflowPermission

ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "documents.md").read_text(), re.DOTALL)
EACH = "---\n".join(EXAMPLES)
COMPANY = {path.name: path.read_text() for path in sorted((ROOT / "apps" / "demo" / "company").glob("*.yaml"))}


@pytest.fixture
def console(monkeypatch):
    monkeypatch.setenv("PAYOUTS_CHAT_URL", "https://hooks.example/services/canary")
    monkeypatch.setenv("VAULT_TOKEN", "canary-a1b2")
    return system_user("console")


@pytest.fixture
def one_of_each(db, console):
    apply_texts(console, texts={"each.yaml": EACH})
    return console


def unsettled(actor):
    """What applying the present configuration again would change; and that nothing was changed by finding out."""
    text, entries = export_for(actor), Entry.objects.count()
    applied = apply_texts(actor, texts={"export.yaml": text})
    assert export_for(actor) == text
    changed = [str(each) for each in applied if each.outcome != "unchanged"]
    assert changed or Entry.objects.count() == entries
    return changed


def dry(tmp_path, text):
    path, out = tmp_path / "d.yaml", io.StringIO()
    path.write_text(text)
    call_command("apply", str(path), "--dry-run", stdout=out)
    return out.getvalue().splitlines()


def test_the_documentation_has_an_example_of_each_kind():
    assert sorted(re.findall(r"^kind: (\w+)", EACH, re.MULTILINE)) == sorted(KINDS)


class TestOneOfEach:
    def test_it_applies_and_its_export_changes_nothing(self, one_of_each):
        text = export_for(one_of_each)
        assert set(re.findall(r"^kind: (\w+)", text, re.MULTILINE)) == set(KINDS)
        assert "canary" not in text
        assert unsettled(one_of_each) == []
        assert {one.outcome for one in apply_texts(one_of_each, texts={"each.yaml": EACH})} == {"unchanged"}

    @pytest.mark.parametrize("kind", KINDS)
    def test_its_own_export_is_its_own_document(self, one_of_each, kind):
        applied = apply_texts(one_of_each, texts={"one.yaml": export_for(one_of_each, kinds=[kind])})
        assert {each.kind for each in applied} == {kind}
        assert {each.outcome for each in applied} == {"unchanged"}

    @pytest.mark.parametrize(
        ("kind", "old", "new", "gone", "come"),
        [
            ("Calendar", '"09:00-17:00"', '"09:00-16:00"', "17:00", "16:00"),
            ("BusinessUnit", "7200", "7300", "hourly_rate_minor: 7200", "hourly_rate_minor: 7300"),
            ("Role", ", agents.view_agent]", "]", "agents.view_agent", ""),
            ("User", "2099-12-31", "2098-12-31", "2100-01-01", "2099-01-01"),
            ("GroupMapping", "Payouts approvers", "Payers", "group: Payouts approvers", "group: Payers"),
            ("Rota", '"18:00"', '"19:00"', "18:00", "19:00"),
            ("Queue", "per_week: 2", "per_week: 3", "per_week: 2", "per_week: 3"),
            ("ChatTarget", "queue: payouts", "user: carla", "queue: payouts", "user: carla"),
            ("DataClass", "retention_days: 90", "retention_days: 30", "retention_days: 90", "retention_days: 30"),
            ("Connector", "per_minute: 600", "per_minute: 60", "per_minute: 600", "per_minute: 60"),
            ("Operation", "minimum: 1", "minimum: 2", "minimum: 1", "minimum: 2"),
            ("Agent", "amount_minor: 500000", "amount_minor: 400000", "500000", "400000"),
            ("Agent", "workflows: [{workflow: pay-out, until: 2099-12-31}]", "workflows: []", "pay-out", ""),
            ("Agent", "expect: refused", "expect: deny", "expect: refused", "expect: deny"),
            ("Workflow", "name: Pay out", "name: Pay", "name: Pay out", "name: Pay"),
            ("Policy", "<= 100000", "<= 50000", "<= 100000", "<= 50000"),
            ("Budget", "10000000", "5000000", "cap_minor: 10000000", "cap_minor: 5000000"),
            ("Breaker", "threshold: 5", "threshold: 4", "threshold: 5", "threshold: 4"),
            ("Kpi", "aggregate: mean", "aggregate: p50", "aggregate: mean", "aggregate: p50"),
            ("Target", "value: 3600", "value: 1800", "value: 3600", "value: 1800"),
            ("Baseline", "n: 120", "n: 121", "n: 120", "n: 121"),
            ("Price", "2.5", "3.25", "input_micro: 2.5", "input_micro: 3.25"),
            ("Rate", "9000", "9100.5", "amount_minor: 9000", "amount_minor: 9100.5"),
        ],
    )
    def test_a_dry_run_shows_what_goes_and_what_comes(self, one_of_each, tmp_path, kind, old, new, gone, come):
        (example,) = [text for text in EXAMPLES if text.startswith(f"kind: {kind}\n")]
        assert old in example
        before = export_for(one_of_each)
        head, *lines = dry(tmp_path, example.replace(old, new))
        assert head.startswith(f"changed   {kind} ")
        assert any(line.startswith("    -") and gone in line for line in lines), lines
        assert not come or any(line.startswith("    +") and come in line for line in lines), lines
        assert not any("@@" in line or "kind:" in line for line in lines)
        assert export_for(one_of_each) == before

    def test_what_is_unchanged_or_new_has_no_difference(self, one_of_each, tmp_path):
        lines = dry(tmp_path, EACH + "---\nkind: BusinessUnit\nslug: another\n")
        assert not [line for line in lines if line.startswith("    ")]

    def test_drafts_and_what_ended_are_not_touched(self, one_of_each):
        agent = Agent.objects.get(slug="teller")
        save_version(one_of_each, agent=agent, instructions="Pays better.", activate=False)
        policy = Policy.objects.get(slug="payouts")
        rules = [{"slug": "none", "when": "true", "effect": "deny", "scope": {"operations": ["vault.pay"]}}]
        save_policy(one_of_each, slug="payouts", name=policy.name, rules=rules, unit=policy.unit)
        assert unsettled(one_of_each) == []
        policy.refresh_from_db()
        assert (policy.in_force.number, policy.latest.number) == (1, 2)
        OperationPermission.objects.filter(user=agent.user).update(until=ClockTimestamp())
        WorkflowPermission.objects.filter(user=agent.user).update(until=ClockTimestamp())
        assert unsettled(one_of_each) == []
        OperationPermission.objects.filter(user=agent.user).update(until=None)
        Operation.objects.filter(slug="vault.pay").update(state="disabled")
        assert unsettled(one_of_each) == []

    def test_an_agent_without_a_version_stays_without(self, one_of_each):
        Agent.objects.filter(slug="teller").update(version=None, state="draft")
        assert unsettled(one_of_each) == []
        assert Agent.objects.get(slug="teller").version is None

    def test_a_workflow_is_worked_in_until_its_time(self, one_of_each):
        held = WorkflowPermission.objects.filter(user__username="agent:teller")
        assert {str(row.until) for row in held} == {"2100-01-01 00:00:00+00:00"}
        (example,) = [text for text in EXAMPLES if text.startswith("kind: Agent\n")]
        past = example.replace("workflow: pay-out, until: 2099", "workflow: pay-out, until: 2020")
        apply_texts(one_of_each, texts={"a.yaml": past})
        assert not held.all().exists()

    def test_it_is_said_who_left(self, one_of_each):
        User.objects.filter(username="carla").update(is_active=False)
        text = export_for(one_of_each, kinds=["Agent"])
        assert text.startswith("# carla has left: name another owner\n")
        with pytest.raises(ConfigurationError, match=r"a\.yaml:\d+: owner: There is no User carla"):
            apply_texts(one_of_each, texts={"a.yaml": text})


class TestPrices:
    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("2.5", "-1", "input_micro: Between 0 and 100"),
            ("2.5", "0.1234567", "input_micro: At most six digits"),
            ("2.5", "free", "input_micro: A number is wanted"),
            ("2026-01-01", "soon", "from: A day (2027-01-31) or a time"),
            ("model: example-large", 'model: ""', "model: From 1 to 120"),
            ("output_micro: 10", "state: absent", "Prices stay"),
        ],
    )
    def test_what_does_not_fit_is_said_where(self, one_of_each, old, new, said):
        (example,) = [text for text in EXAMPLES if text.startswith("kind: Price")]
        with pytest.raises(ConfigurationError) as refused:
            apply_texts(one_of_each, texts={"p.yaml": example.replace(old, new)})
        assert said in str(refused.value)
        assert str(PriceBook.objects.get().input_micro) == "2.500000"

    def test_two_of_one_time_are_one_too_many(self, one_of_each):
        (example,) = [text for text in EXAMPLES if text.startswith("kind: Price")]
        twice = example + "---\n" + example.replace("2026-01-01", "2026-01-01T00:00:00Z")
        with pytest.raises(ConfigurationError, match=r"described in p\.yaml:1 already"):
            apply_texts(one_of_each, texts={"p.yaml": twice})


AWKWARD = (
    "yes", "null", "~", "12:30", "2027-01-31", "1e3", "0x1F", "-0.5", "# not a comment", "a: b", "- a", "{a: 1}",
    "\u00fcber \u2014 \u4e2d\u6587", "'single' \"double\"", "*alias &anchor", "!tag", "| pipe", "back\\slash",
    "%percent", "@at",
)  # fmt: skip
"""What YAML, or a reader of it, likes to take for something else."""


@pytest.mark.parametrize("seed", range(6))
def test_whatever_people_write_comes_back_as_it_was(one_of_each, seed):
    chosen = random.Random(seed)
    agent = Agent.objects.get(slug="teller")
    texts = [chosen.choice(AWKWARD) for _ in range(5)]
    Agent.objects.filter(pk=agent.pk).update(
        name=texts[0], purpose=texts[1], known_limits=texts[2], capabilities=sorted({texts[3], texts[4]})
    )
    config = {chosen.choice(AWKWARD): chosen.choice([0, 1, -1.5, True, None, "", [], {}, [texts], {"a": texts[0]}])}
    save_version(
        one_of_each,
        agent=agent,
        model=texts[0],
        instructions="\n".join(texts) + "\n\n",
        config=config,
        is_reviewed=True,
    )
    Operation.objects.filter(slug="vault.pay").update(name=texts[1])
    User.objects.filter(username="carla").update(name=texts[2])
    before = export_for(one_of_each)
    assert unsettled(one_of_each) == []
    assert export_for(one_of_each) == before


def test_the_sample_company_with_one_of_each_survives_its_export(db, console):
    apply_texts(console, texts={**COMPANY, "each.yaml": EACH})
    assert unsettled(console) == []
