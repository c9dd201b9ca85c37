"""What holds on every page: accessible in both themes and on a phone, reachable by keyboard, light, and still."""

import json
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from playwright.sync_api import Page, expect

from apps.access.services import create_token
from apps.agents.models import Action
from apps.connectors.models import Operation, OperationPermission
from apps.connectors.services import import_openapi, request_access, way_back_of
from apps.core.models import ClockTimestamp, User
from apps.halts.services import engage_halt, lift_halt
from apps.kpis.models.clock import database_now
from apps.kpis.rules.facts import Facts
from apps.kpis.services import approve_baseline, remove_baseline, save_baseline, write_facts
from apps.oversight.models import Escalation
from apps.oversight.selectors import inbox_for, jobs_for
from apps.oversight.services import start_bulk
from apps.policies.models import Policy
from tests.browser.conftest import (
    COLOURS,
    PASSWORD,
    SETTLED,
    assert_accessible,
    assert_nothing_overflows,
    sign_in,
)
from tests.browser.looks import LOST, SPACE_TEXT, TARGETS
from tests.browser.scene import Scene, set_the_scene
from tests.factories.access import grant, make_admin
from tests.factories.agents import make_action
from tests.factories.connectors import make_operation, permit
from tests.factories.kpis import make_approved, make_baseline, make_run
from tests.factories.openapi import BANK

pytestmark = pytest.mark.browser

PAGES = [
    "/inbox/?view=team&group=like",
    "/new-connector/",
    "/inbox/?view=decided&fate=failed&risk=high",
    "/inbox/?view=team&pick=1",
    "/inbox/focus/",
    "/inbox/bulk/?all=1&verdict=reject&view=team",
    "/inbox/standing/",
    "/inbox/drills/",
    "/jobs/",
    "/actions/",
    "/agents/",
    "/agents/?stale=over_privileged",
    "/new-agent/",
    "/runs/",
    "/runs/?state=attention",
    "/runs/failures/",
    "/workflows/",
    "/dashboards/agents/",
    "/dashboards/overview/",
    "/dashboards/cost/",
    "/dashboards/cost/behind/costs/",
    "/dashboards/oversight/",
    "/dashboards/oversight/behind/asked/",
    "/dashboards/unusual/",
    "/dashboards/w/versions/",
    "/dashboards/w/weeks/",
    "/dashboards/data-quality/",
    "/dashboards/data-quality/behind/other-currencies/",
    "/dashboards/goals/",
    "/dashboards/event-logs/",
    "/dashboards/prices/",
    "/dashboards/rates/",
    "/reports/weekly/2026-W47/",
    "/audit/",
    "/audit/erasures/",
    "/data-classes/",
    "/new-data-class/",
    "/control/",
    "/policies/",
    "/policy-health/",
    "/new-policy/",
    "/waivers/",
    "/new-waiver/",
    "/access/",
    "/access/roles/",
    "/connectors/",
    "/halts/",
    "/halts/drills/",
    "/flags/",
    "/spans/",
    "/logs/",
    "/tool-findings/",
    "/discovered-agents/",
    "/help/",
    "/help/problems/",
    "/settings/",
    "/settings/absences/",
    "/settings/notifications/",
    "/settings/tokens/",
    "/settings/sessions/",
    "/notifications/",
    "/access/chats/",
    "/access/requests/",
    "/access/who/",
    "/access/people/everywhere/",
    "/access/reviews/",
    "/access/new-person/",
    "/access/people/everywhere/edit/",
    "/access/people/everywhere/leave/",
    "/access/new-review/",
    "/access/emergency/",
    "/access/groups/",
    "/access/new-group-mapping/",
    "/access/rotas/",
    "/access/new-rota/",
    "/access/calendars/",
    "/access/new-calendar/",
    "/settings/shortcuts/",
    "/styleguide/",
    "/search/?q=pay",
    "/accounts/password/change/",
    "/accounts/2fa/",
    "/accounts/2fa/webauthn/",
]
LOOK = """
() => new Promise((done) => {
  let shift = 0;
  const add = (entry) => { if (!entry.hadRecentInput) shift += entry.value; };
  new PerformanceObserver((list) => list.getEntries().forEach(add)).observe({type: "layout-shift", buffered: true});
  setTimeout(() => done({shift, requests: performance.getEntriesByType("resource").length}), 400);
})
"""
FOCUS = """
() => {
  const here = document.activeElement, box = here.getBoundingClientRect(), look = getComputedStyle(here);
  const name = here.getAttribute("aria-label") || here.textContent.trim() || here.name || here.id;
  const ring = look.outlineStyle !== "none" || getComputedStyle(here, "::after").outlineStyle !== "none";
  const seen = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  const small = look.display === "inline" ? 24 : Math.min(box.width, box.height);
  const covered = !!seen && !here.contains(seen) && !seen.contains(here) && !here.closest("label");
  return {by: seen?.outerHTML.slice(0, 80), tag: here.tagName, name, ring, small, covered};
}
"""


@pytest.fixture(scope="session")
def companies() -> dict[str, Scene]:
    """One company for all pages of a process."""
    return {}


@pytest.fixture
def scene(db: str, companies: dict[str, Scene]) -> Scene:
    """A payment of each tier, a halt that was lifted, and somebody who sees every page."""
    if "one" not in companies:
        scene = set_the_scene()
        scene.payment(risk="high")
        scene.payment(150_000)
        admin = make_admin(username="everywhere", name="Eva Rywhere", password=PASSWORD)
        grant(admin, scene.queue.role, scene.unit)
        halt = engage_halt(make_admin(), scope="connector", target="bank", reason="The bank answers twice.")
        lift_halt(admin, halt_id=halt.pk, reason="The bank has mended it; three payments were looked at.")
        create_token(admin, user=admin, name="Nightly figures", permissions=["kpis.view_kpi"], read_only=True)
        too_much_and_too_little(scene)
        done_and_tried(scene)
        held_against()
        ends = [database_now() - timedelta(days=at % 9 + 7 * (at // 9)) for at in range(360)]
        write_facts(facts=Facts(runs=[make_run(version=1 + at % 2, finished_at=end) for at, end in enumerate(ends)]))
        companies["one"] = scene
    return companies["one"]


def too_much_and_too_little(scene: Scene) -> None:
    """The agent may use what it never uses, and asks for what it may not; what was imported waits for a person."""
    permit(scene.agent.user, make_operation(connector=scene.operation.connector))
    OperationPermission.objects.update(granted_at=ClockTimestamp() - timedelta(days=60))
    system = scene.operation.connector
    described = {**BANK, "servers": [{"url": f"{system.base_url}/v2"}]}
    import_openapi(make_admin(), connector=system, text=json.dumps(described))
    for operation in (make_operation(connector=scene.operation.connector).slug, "bank.no_such_operation"):
        request_access(scene.agent.user, operation=operation, reason="The supplier wants its money back.")


def held_against() -> None:
    """A baseline that nobody approved, one that counted before, its correction that waits, and a removal asked for."""
    make_baseline(kpi="error_rate", value=0.05, entered_by=make_admin())
    about = {"slug": "was", "kpi": "cost_per_success_minor", "valid_from": date(2026, 1, 1), "source": "Books of May"}
    save_baseline(make_admin(), value=300, n=120, period="May 2026", **about)
    approve_baseline(make_admin(), slug="was")
    for value, is_answered in ((250, True), (200, False)):
        save_baseline(make_admin(), value=value, reason="It was net of tax.", **about)
        if is_answered:
            approve_baseline(make_admin(), slug="was")
    remove_baseline(make_admin(), slug=make_approved(kpi="cycle_time_p50_s").slug)


def done_and_tried(scene: Scene) -> None:
    """Something was done that can be taken back, and what waits can be tried without effect."""
    system = scene.operation.connector
    back = make_operation(
        connector=system, path="/refunds", parameters={"type": "object", "properties": {"id": {"type": "string"}}},
        amount=None, target="", consequence="",
    )  # fmt: skip
    way = {"operation": back.slug, "parameters": {"id": "response.id"}}
    paying = make_operation(connector=system, slug=f"{system.slug}.can_be_taken_back", compensation=way)
    done = make_action(
        agent=scene.agent, operation=paying.slug, connector=system.slug, effect="irreversible", state="succeeded",
        parameters={"amount_minor": 100, "currency": "EUR", "iban": "DE89"}, result={"id": "p-1"},
    )  # fmt: skip
    assert way_back_of(done) is not None
    Operation.objects.filter(pk=scene.operation.pk).update(dry_run={"method": "POST", "path": "/payments/validate"})


def pages_of(scene: Scene) -> list[str]:
    """Those that there are everywhere, and those of the agent."""
    agent, asked = scene.agent.slug, f"permission=connectors.use_operation&operation={scene.operation.slug}"
    system = f"/connectors/{scene.operation.connector.slug}"
    imported = f"{scene.operation.connector.slug}.create_payment"
    of_system = [f"{system}/{page}" for page in ("", "import/", "edit/", "address/", "review/")]
    of_system += [f"{system}/operations/{imported}/{page}/" for page in ("review", "edit", "call")]
    policy = Policy.objects.order_by("slug").first()
    assert policy is not None
    edit = f"/policies/{policy.slug}/edit/"
    kept = [f"/policies/{policy.slug}/v/{policy.in_force.number}/", f"/policies/{policy.slug}/diff/"]
    own = [*kept, edit, f"{edit}?rule={policy.in_force.rules[0]['slug']}", *of_system]
    of_agent = [
        f"/agents/{agent}/{page}/" for page in ("right-size", "edit", "unit", "versions/new", "tests", "feedback")
    ]
    done = Action.objects.get(operation=f"{scene.operation.connector.slug}.can_be_taken_back")
    tried = Escalation.objects.filter(action__operation=scene.operation.slug, state="pending").earliest("id")
    acts = [f"/actions/{done.pk}/", f"/actions/{done.pk}/compensate/", f"/inbox/{tried.pk}/dry-run/"]
    return [
        *PAGES,
        f"/agents/{agent}/",
        f"/dashboards/agents/{agent}/",
        f"/dashboards/agents/{agent}/versions/",
        f"/agents/{agent}/levels/{scene.operation.slug}/",
        *of_agent,
        f"/access/who/?{asked}",
        *own,
        *acts,
    ]


def places(scene: Scene) -> list[str]:
    """The pages, an item with its acts and with each of its panels, a job and its results."""
    eva = User.objects.get(username="everywhere")
    item = inbox_for(eva, agent=scene.agent.slug, risk="medium").earliest("id")
    jobs = list(jobs_for(eva)[:1])
    job = jobs[0] if jobs else start_bulk(eva, verdict="reject", ids=[item.pk], reason="The supplier is closed.")
    panels = ("approve", "reject", "request_changes", "edit", "snooze", "more")
    more = (f"/inbox/{item.pk}/propose/", f"/inbox/{item.pk}/standing/", f"/jobs/{job.pk}/")
    return [*pages_of(scene), *(f"/inbox/{item.pk}/?decide={panel}" for panel in ("", *panels)), *more]


def in_theme(page: Page, *, dark: bool) -> None:
    """As the person's system changes it under an open page."""
    page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")
    page.evaluate(SETTLED)


def walk(page: Page, scene: Scene, *, dark: bool) -> None:
    """Every page in both themes: accessible, large enough to hit, and nothing is lost when it bears more space."""
    sign_in(page, "everywhere", "/help/")
    walked, found = pages_of(scene), {}
    for path in places(scene):
        page.emulate_media(color_scheme="dark" if dark else "light")  # nobody looks at the page that is left
        page.goto(path)
        expect(page.get_by_role("main")).to_be_visible()
        if path in walked:
            assert_accessible(page)
            assert_nothing_overflows(page)
        found[f"targets of {path}"] = page.evaluate(TARGETS)
        if path in walked:
            in_theme(page, dark=not dark)
            assert_accessible(page, COLOURS)
        page.evaluate(SPACE_TEXT)
        page.evaluate(SETTLED)
        found[f"spaced text of {path}"] = page.evaluate(LOST)
    assert not {what: problems for what, problems in found.items() if problems}


def test_every_page_is_accessible_in_both_themes_and_large_enough_to_hit_and_to_bear_more_space(
    open_page: Callable[..., Page], scene: Scene
) -> None:
    walk(open_page(width=1360), scene, dark=False)


def test_a_keyboard_reaches_everything_and_the_focus_is_always_seen(page: Page, scene: Scene) -> None:
    item = scene.payment(170_000)
    sign_in(page, "everywhere", f"/inbox/{item.pk}/")
    page.wait_for_load_state("networkidle")
    page.evaluate("document.body.focus()")
    reached = []
    for _ in range(70):
        page.keyboard.press("Tab")
        page.evaluate(SETTLED)  # what the focus scrolls into view is drawn, however busy the machine is
        focus = page.evaluate(FOCUS)
        if focus["tag"] in {"BODY", "HTML"}:
            break
        assert focus["ring"], focus
        assert focus["small"] >= 16, focus
        assert not focus["covered"], focus
        reached.append(focus["name"])
    told = " | ".join(reached)
    for name in ("Skip to content", "Inbox", "Account of", "Apply the filter", "Approve", "Reject", "Request changes"):
        assert name in told


def test_the_inbox_is_light_and_nothing_moves_while_it_loads(page: Page, scene: Scene) -> None:
    sign_in(page, "everywhere")
    page.reload()
    look = page.evaluate(LOOK)
    assert look["shift"] <= 0.02
    assert look["requests"] <= 8
