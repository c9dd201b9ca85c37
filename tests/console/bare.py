"""One object of each kind that has pages, with as little about it as there can be: a browser, and the object's page."""

from collections.abc import Callable

from django.test import Client

from apps.audit.models import Entry
from apps.halts.services import engage_halt
from apps.oversight.models import Vote
from apps.oversight.services import start_bulk
from tests.console import offers
from tests.console.offers import Scene, signed_in
from tests.factories.access import make_admin, make_calendar, make_user
from tests.factories.agents import make_action, make_agent
from tests.factories.classification import make_data_class
from tests.factories.connectors import make_connector, make_operation
from tests.factories.oversight import make_payment, say
from tests.factories.policies import make_policy
from tests.factories.workflows import make_workflow

type Found = tuple[Client, str]


def made(path: str, make: Callable[[], object]) -> Scene:
    """The page of what ``make`` makes, by the name that its address asks for."""
    return lambda: (signed_in(), path.format(make()))


def under(scene: Scene, rest: str, *, of: str = "") -> Scene:
    """A page below the one of ``scene``, or in the place of its last part ``of``."""

    def found() -> Found:
        client, path = scene()
        return client, path.partition("?")[0].removesuffix(of) + rest

    return found


def a_workflow() -> str:
    return make_workflow({"steps": {"a": {"agent": "lab.do"}}}).slug


def an_operation() -> str:
    found = make_operation()
    return f"/connectors/{found.connector.slug}/operations/{found.slug}/"


def a_halt() -> str:
    return str(engage_halt(make_admin(), scope="agent", target=make_agent().slug, reason="Look first.").pk)


def an_entry() -> int:
    a_halt()
    return Entry.objects.latest("id").pk


def seen() -> Found:
    payment = make_payment()
    say(payment.ada, payment.item)
    return signed_in(payment.ada), f"/inbox/{payment.item.pk}/seen/{Vote.objects.get().pk}/"


def job() -> Found:
    payment = make_payment()
    started = start_bulk(payment.ada, verdict="reject", ids=[payment.item.pk], reason="Closed.")
    return signed_in(payment.ada), f"/jobs/{started.pk}/"


AGENT = made("/agents/{}/", lambda: make_agent().slug)
CALENDAR = made("/access/calendars/{}/", lambda: make_calendar(slug="bare").slug)
CONNECTOR = made("/connectors/{}/", lambda: make_connector().slug)
DASHBOARD = made("/dashboards/{}/", a_workflow)
ITEM = offers.item()
LOG = offers.event_log
OPERATION = made("{}", an_operation)
POLICY = made("/policies/{}/", lambda: make_policy().slug)
REVIEW = offers.review()
OF_ONE: dict[str, Scene] = {
    "access/calendars/<slug:slug>/": CALENDAR,
    "access/calendars/<slug:slug>/edit/": under(CALENDAR, "edit/"),
    "access/calendars/<slug:slug>/remove/": under(CALENDAR, "remove/"),
    "access/groups/<slug:slug>/": under(offers.mapping, "", of="end/"),
    "access/groups/<slug:slug>/end/": offers.mapping,
    "access/people/<str:username>/": made("/access/people/{}/", lambda: make_user().username),
    "access/people/<str:username>/edit/": offers.renamed,
    "access/people/<str:username>/leave/": offers.leaving,
    "access/reviews/<uuid:review_id>/": REVIEW,
    "access/reviews/<uuid:review_id>/rights/<uuid:line_id>/": offers.review("rights/LINE/"),
    "access/reviews/<uuid:review_id>/together/<str:act>/": under(REVIEW, "together/revoke_unused/"),
    "access/rotas/<slug:slug>/": offers.rota(""),
    "access/rotas/<slug:slug>/edit/": offers.rota("edit/"),
    "access/rotas/<slug:slug>/remove/": offers.rota("remove/"),
    "actions/<uuid:action_id>/": made("/actions/{}/", lambda: make_action().pk),
    "actions/<uuid:action_id>/compensate/": offers.compensation,
    "agents/<slug:slug>/": AGENT,
    "agents/<slug:slug>/edit/": under(AGENT, "edit/"),
    "agents/<slug:slug>/feedback/": under(AGENT, "feedback/"),
    "agents/<slug:slug>/first-call/": under(AGENT, "first-call/"),
    "agents/<slug:slug>/right-size/": under(AGENT, "right-size/"),
    "agents/<slug:slug>/tests/": under(AGENT, "tests/"),
    "agents/<slug:slug>/unit/": under(AGENT, "unit/"),
    "agents/<slug:slug>/versions/<int:number>/": under(AGENT, "versions/1/"),
    "agents/<slug:slug>/versions/new/": under(AGENT, "versions/new/"),
    "audit/<int:entry_id>/": made("/audit/{}/", an_entry),
    "audit/trails/<uuid:trail_id>/erase/": offers.erasure(asked=False),
    "breakers/<slug:slug>/": offers.breaker,
    "budgets/<slug:slug>/": offers.budget,
    "connectors/<slug:slug>/": CONNECTOR,
    "connectors/<slug:slug>/address/": under(CONNECTOR, "address/"),
    "connectors/<slug:slug>/edit/": under(CONNECTOR, "edit/"),
    "connectors/<slug:slug>/import/": under(CONNECTOR, "import/"),
    "connectors/<slug:slug>/review/": under(CONNECTOR, "review/"),
    "connectors/<slug:slug>/operations/<str:operation>/call/": under(OPERATION, "call/"),
    "connectors/<slug:slug>/operations/<str:operation>/edit/": under(OPERATION, "edit/"),
    "dashboards/cost/behind/<slug:part>/": lambda: (signed_in(), "/dashboards/cost/behind/costs/"),
    "dashboards/data-quality/behind/<slug:part>/": lambda: (
        signed_in(),
        "/dashboards/data-quality/behind/other-currencies/",
    ),
    "dashboards/oversight/behind/<slug:part>/": lambda: (signed_in(), "/dashboards/oversight/behind/rejected/"),
    "dashboards/<slug:slug>/": DASHBOARD,
    "dashboards/<slug:slug>/<slug:kpi>/": under(DASHBOARD, "error_rate/"),
    "dashboards/<slug:slug>/versions/": under(DASHBOARD, "versions/"),
    "dashboards/<slug:slug>/weeks/": under(DASHBOARD, "weeks/"),
    "dashboards/<slug:slug>/weeks/<str:week>/": under(DASHBOARD, "weeks/2026-W20/"),
    "dashboards/agents/<slug:slug>/": made("/dashboards/agents/{}/", lambda: make_agent().slug),
    "dashboards/agents/<slug:slug>/versions/": made("/dashboards/agents/{}/versions/", lambda: make_agent().slug),
    "dashboards/uptime/of-<slug:kind>/<slug:slug>/": made(
        "/dashboards/uptime/of-agents/{}/", lambda: make_agent().slug
    ),
    "dashboards/event-logs/<uuid:log_id>/": LOG,
    "dashboards/event-logs/<uuid:log_id>/cases/": under(LOG, "cases/"),
    "dashboards/event-logs/files/<uuid:upload_id>/": offers.log_upload,
    "data-classes/<slug:slug>/": made("/data-classes/{}/", lambda: make_data_class().slug),
    "discovered-agents/<uuid:discovered_id>/": offers.discovered,
    "halts/<uuid:halt_id>/": made("/halts/{}/", a_halt),
    "inbox/<uuid:escalation_id>/": ITEM,
    "inbox/<uuid:escalation_id>/propose/": under(ITEM, "propose/"),
    "inbox/<uuid:escalation_id>/seen/<uuid:vote_id>/": seen,
    "inbox/<uuid:escalation_id>/standing/": under(ITEM, "standing/"),
    "jobs/<uuid:job_id>/": job,
    "policies/<slug:slug>/": POLICY,
    "policies/<slug:slug>/diff/": under(POLICY, "diff/"),
    "policies/<slug:slug>/edit/": under(POLICY, "edit/"),
    "policies/<slug:slug>/simulate/": under(POLICY, "simulate/"),
    "policies/<slug:slug>/v/<int:number>/": under(POLICY, "v/1/"),
    "policies/simulations/<uuid:simulation_id>/": offers.simulation,
    "reports/weekly/<str:week>/": made("/reports/weekly/{}/", lambda: "2026-W20"),
    "runs/<uuid:run_id>/": offers.run,
    "spans/<uuid:span_id>/": offers.span,
    "waivers/<uuid:waiver_id>/": offers.waiver(approved=False),
    "workflows/<slug:slug>/": made("/workflows/{}/", a_workflow),
}
