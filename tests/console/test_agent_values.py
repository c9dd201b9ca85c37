"""An agent's page, value by value: a scene with known numbers, each read by its own label; and with nothing at all."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.agents.models import Action, Agent
from apps.agents.rules import REPEATS_FLAGGED
from apps.agents.services import save_agent
from apps.core.models import ClockTimestamp, User
from apps.halts.services import engage_halt, lift_halt
from apps.kpis.models.clock import database_now
from apps.kpis.rules.facts import Facts
from apps.kpis.services import write_facts
from apps.oversight.models import Escalation
from apps.telemetry.models import Span
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.connectors import make_operation, permit
from tests.factories.kpis import make_cost
from tests.factories.oversight import make_escalation, say
from tests.factories.policies import make_policy, make_rule
from tests.factories.workflows import make_run, make_workflow
from tests.workflows.actions import Desk, make_desk, the_item

pytestmark = pytest.mark.django_db
WORK = {"steps": {"look": {"agent": "look"}}}


class Shown:
    """An agent's page as somebody reads it: values by their labels, sections by their headings."""

    def __init__(self, agent: Agent, reader: User) -> None:
        client = Client()
        client.force_login(reader)
        answer = client.get(f"/agents/{agent.slug}/")
        assert answer.status_code == 200
        self.html = answer.content.decode()

    @staticmethod
    def words(html: str) -> str:
        return " ".join(re.sub(r"<[^>]+>", " ", html).split()).replace(" ,", ",").replace(" ;", ";")

    def value(self, label: str, within: str = "") -> str:
        """What stands beside a label."""
        found = re.search(rf"<dt>{re.escape(label)}</dt><dd>(.*?)</dd>", within or self.html, re.S)
        assert found, label
        return self.words(found[1])

    def part(self, ident: str) -> str:
        """A section, by the id of its heading."""
        found = re.search(rf'<section[^>]*aria-labelledby="{ident}".*?</section>', self.html, re.S)
        assert found, ident
        return found[0]

    def operation(self, slug: str) -> tuple[str, str]:
        """One operation: its line, and all that opens below it."""
        found = re.search(
            rf'<details class="line[^"]*"[^>]*>\s*<summary>(?:(?!</summary>).)*<code>{re.escape(slug)}</code>'
            r".*?</details>",
            self.part("may"),
            re.S,
        )
        assert found, slug
        line, _, rest = found[0].partition("</summary>")
        return self.words(line), rest

    def row(self, part: str, name: str) -> list[str]:
        """The cells of one row of a section's table."""
        rows = re.findall(r"<tr>(.*?)</tr>", self.part(part), re.S)
        cells = [[self.words(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)] for row in rows]
        return next(each[1:] for each in cells if each[0] == name)


def decided(desk: Desk, verdict: str, **words: Any) -> None:
    desk.ask(250_000, reference=words.pop("reference", f"inv-{uuid4()}"))
    say(desk.approver, the_item(), verdict, **words)


def reviewed(desk: Desk, *judgements: str) -> None:
    for judgement in judgements:
        item = make_escalation(kind="review", queue=desk.queue, agent=desk.agent)
        done = {"state": "answered", "answer": {"verdict": judgement}, "decided_by": desk.approver}
        now = ClockTimestamp()
        Escalation.objects.filter(pk=item.pk).update(decided_at=now, ended_at=now, **done)


def calls(desk: Desk, *, governed: int, ungoverned: int) -> None:
    now = database_now()
    for number in range(governed + ungoverned):
        is_governed = number < governed
        call = ("governed", uuid4()) if is_governed else ("ungoverned", None)
        Span.objects.create(
            agent=desk.agent, trace_id="a" * 32, span_id=f"{number:016x}", started_at=now, ended_at=now,
            tool="bank_pay", tool_call=call[0], governed_by=call[1],
        )  # fmt: skip


@pytest.fixture
def desk() -> Desk:
    """A pilot whose every number is known."""
    desk = make_desk()
    agent, connector = desk.agent, desk.operation.connector
    about = {"purpose": "Pays what is due.", "known_limits": "Reads no faxes.", "capabilities": ["pay"]}
    Agent.objects.filter(pk=agent.pk).update(state="pilot", **about)
    for slug, rule in (
        ("asks", {"slug": "always", "effect": "require_approval", "queue": desk.queue.slug}),
        ("denied", {"slug": "stop", "effect": "deny"}),
        ("unruled", None),
        ("others", {"slug": "not-its", "when": "agent.slug == '' || action.effect == 'read'"}),
        (
            "its",
            {"slug": "its", "effect": "deny", "when": "agent.risk in ['medium', 'high'] || action.amount_minor > 7"},
        ),
    ):
        operation = make_operation(slug=f"bank.{slug}", connector=connector)
        permit(agent.user, operation)
        if rule:
            scope = {"operations": [operation.slug]}
            make_policy(make_rule(**rule, scope=scope), slug=f"about-{slug}", unit=agent.unit)
    permit(agent.user, make_operation(slug="bank.over", connector=connector), until=ClockTimestamp())
    make_operation(slug="bank.other", connector=connector)
    return desk


def test_what_it_is_and_may(desk: Desk) -> None:
    for _ in range(3):
        desk.ask(50_000)
    Action.objects.filter(pk=Action.objects.latest("id").pk).update(created_at=ClockTimestamp() - timedelta(days=60))
    page = Shown(desk.agent, make_admin())
    assert page.value("Purpose") == "Pays what is due."
    assert page.value("Known limits") == "Reads no faxes."
    assert page.value("Can do") == "pay"
    assert page.value("Version") == "1 · none"
    assert "Uses 1 of 6 operations in 90 days." in page.words(page.part("may"))
    for slug, line, level in (
        (desk.operation.slug, "May, and must ask above its limits", "Level 4 of 4: acts within its limits"),
        ("bank.asks", "Must ask", "Level 2 of 4: asks each time"),
        ("bank.denied", "May never: a rule denies it", "Level 0 of 4: people do it"),
        ("bank.unruled", "May never: no rule allows it", "Level 0 of 4: people do it"),
        ("bank.others", "May never: no rule allows it", "Level 0 of 4: people do it"),
        ("bank.its", "May never: a rule denies it", "Level 0 of 4: people do it"),
        ("bank.over", "Ended", "Level 0 of 4: people do it"),
    ):
        head, rest = page.operation(slug)
        assert line in head, slug
        assert level.partition(":")[0] in head, "the badge stands on the closed line"
        assert page.value("Autonomy", rest).startswith(level)
    assert "used 3 times in 90 days, 2 in 30" in page.operation(desk.operation.slug)[0]
    assert "not used in 90 days" in page.operation("bank.asks")[0]
    assert "not-its" not in page.operation("bank.others")[1]
    never = page.words(page.part("may"))
    assert "May never 2 operations were not granted bank.other Pay an invoice bank.over Pay an invoice" in never


def test_the_rules_that_concern_it(desk: Desk) -> None:
    page = Shown(desk.agent, make_admin())
    own = [f"{desk.policy.slug} · {rule}" for rule in ("huge", "large", "small")]
    named = re.findall(r'<a href="/policies/[^"]+/">([^<]+)</a>', page.part("rules"))
    assert sorted(named) == sorted([*own, "about-asks · always", "about-denied · stop", "about-its · its"])


def test_what_it_did_cost_and_was_told(desk: Desk) -> None:
    decided(desk, "approve")
    decided(desk, "approve")
    for _ in range(3):
        changed = {"amount_minor": 240_000, "currency": "EUR", "iban": "DE0017"}
        decided(desk, "approve", parameters=changed, reason="Less.")
    decided(desk, "reject", reason="Wrong supplier.", reference="inv-1")
    reviewed(desk, "right", "right", "wrong")
    for _ in range(REPEATS_FLAGGED):
        desk.ask(250_000, reference="inv-1")
    costs = [make_cost(agent=desk.agent.slug, amount_micro=6_170_000, incurred_at=database_now()) for _ in range(2)]
    write_facts(facts=Facts(costs=costs))
    calls(desk, governed=3, ungoverned=1)
    halt = engage_halt(make_admin(), scope="agent", target=desk.agent.slug, unit=desk.agent.unit, reason="It errs.")
    lift_halt(make_admin(), halt_id=halt.pk, reason="Mended.")
    run = make_run(make_workflow(WORK, name="Looking", unit=desk.agent.unit.slug))
    type(run).objects.filter(pk=run.pk).update(started_by=desk.agent.user)

    page = Shown(desk.agent, make_admin())
    told = "2 approved as asked, 3 edited, 1 rejected; afterwards judged 2 right, 1 wrong, 0 harmful"
    assert page.value("Feedback") == told
    assert page.value("Cost") == "12.34 EUR"
    assert page.value("Governed calls, 30 days").startswith("75.0% 3 of 4; 95 % interval 30.1% to 95.4%")
    assert page.value("Incidents").startswith("1 open flag Stopped")
    assert page.value("Incidents").endswith(": It errs.")
    assert f'href="/runs/{run.pk}/"' in page.part("runs")
    done = page.words(page.part("did"))
    assert "Will pay 2,500.00 EUR to DE0017." in done
    assert done.count("Will pay") == 6
    assert page.row("gate", "Cases that were carried out or refused by people") == ["1", "Needed ≥ 20", "No"]
    assert page.row("gate", "What people decided, approved as it was asked") == ["33.3% of 6", "Needed ≥ 90.0%", "No"]
    assert page.row("gate", "What was carried out and failed") == ["none yet", "Needed ≤ 5.0%", "nothing against it"]
    assert page.row("gate", "Open flags") == ["1", "Needed ≤ 0", "No"]
    assert page.row("gate", "Its tests, as expected")[0] == "none yet"


def test_an_agent_with_nothing_at_all_says_so_in_each_part() -> None:
    agent, _ = save_agent(make_admin(), slug="new", name="New", unit=make_unit(), owner=make_admin())
    Agent.objects.filter(pk=agent.pk).update(state="active")
    page = Shown(agent, make_admin())
    assert page.value("Purpose") == "Nobody has said what it is for."
    assert page.value("Known limits") == "Nobody has said what it cannot do."
    assert page.value("Can do") == "Nothing that tasks ask for."
    assert page.value("Version") == "None yet."
    assert "It was granted nothing, so it may nothing." in page.part("may")
    assert "It was granted nothing that a rule could concern." in page.part("rules")
    assert page.value("Feedback").startswith("0 approved as asked, 0 edited, 0 rejected")
    assert page.value("Cost") == "0.00 EUR"
    assert page.value("Governed calls, 30 days") == "– no call of a tool was judged yet"
    assert page.value("Incidents") == "None."
    assert "It worked in no run that you may see." in page.part("runs")
    assert "Nothing yet: it has asked for no action." in page.part("did")
    assert "It is active: no gate stands before it." in page.part("gate")
    assert "No version yet" in page.part("versions")
    Agent.objects.filter(pk=agent.pk).update(state="retired")
    assert "It is retired, and is never active again." in Shown(agent, make_admin()).part("gate")
    permit(agent.user, make_operation())
    assert "No rule in force speaks of what it was granted" in Shown(agent, make_admin()).part("rules")


def test_who_may_see_the_agent_alone_is_told_what_is_kept_from_them(desk: Desk) -> None:
    decided(desk, "approve")
    halt = engage_halt(make_admin(), scope="agent", target=desk.agent.slug, unit=desk.agent.unit, reason="It errs.")
    reader = make_holder("agents.view_agent", unit=desk.agent.unit)
    assert page_of_halts(desk, reader) == ("Stopped", True)
    lift_halt(make_admin(), halt_id=halt.pk, reason="Mended.")
    assert page_of_halts(desk, reader) == ("Halts", False)
    page = Shown(desk.agent, reader)
    assert page.value("Feedback") == "for those who may see its items"
    assert page.value("Cost") == "for those who may see figures"
    assert page.value("Incidents") == "Halts that are over are for those who may stop or lift."
    assert "It worked in no run that you may see." in page.part("runs")
    assert f"{desk.policy.slug} · small" in page.part("rules")
    assert "<a " not in page.part("rules"), "no way to a page that is not there for them"
    for form in ("permission", "agent-keys", "state"):
        assert f'id="{form}"' not in page.html
    assert "Level 4 of 4" in page.operation(desk.operation.slug)[0]


def page_of_halts(desk: Desk, reader: User) -> tuple[str, bool]:
    told = Shown(desk.agent, reader).value("Incidents")
    return told.split()[0], "It errs." in told


def test_a_confidential_rule_counts_for_the_level_and_is_not_shown(desk: Desk) -> None:
    rule = {"slug": "s3cret", "effect": "deny", "confidential": True}
    make_policy(make_rule(**rule, scope={"operations": [desk.operation.slug]}), slug="hush", unit=desk.agent.unit)
    for reader, sees in ((make_holder("agents.view_agent", unit=desk.agent.unit), False), (make_admin(), True)):
        page = Shown(desk.agent, reader)
        head, rest = page.operation(desk.operation.slug)
        assert "May never: a rule denies it" in head
        assert page.value("Autonomy", rest).startswith("Level 0 of 4")
        assert ("s3cret" in page.html) is sees
        assert ("Confidential rules that you may not see" in page.part("rules")) is not sees
        assert ("Rules that you may not see decide about it too" in page.words(rest)) is not sees


def test_it_is_not_there_for_another_unit(desk: Desk) -> None:
    client = Client()
    client.force_login(make_holder("agents.view_agent", unit=make_unit()))
    assert client.get(f"/agents/{desk.agent.slug}/").status_code == 404
    assert desk.agent.slug not in client.get("/agents/").content.decode()


def test_who_is_retired_may_nothing_and_is_given_nothing(desk: Desk) -> None:
    Agent.objects.filter(pk=desk.agent.pk).update(state="retired")
    page = Shown(desk.agent, make_admin())
    head, rest = page.operation(desk.operation.slug)
    assert "May never: it is retired" in head
    assert page.value("Autonomy", rest).startswith("Level 0 of 4")
    for offer in ("Narrow it to what it uses", "Grant or narrow an operation"):
        assert offer not in page.words(page.part("may"))
        assert offer not in page.html
