"""Scenes in which a page offers an act: a person's browser, and the address of the page that offers it."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from allauth.mfa.models import Authenticator
from django.test import Client
from django.utils import timezone

from apps.access.services import arm_emergency, create_token, plan_absence, save_calendar, save_rota, swap_duty
from apps.access.services.directory import save_mapping
from apps.agents.services import ask_change, save_version, set_cases
from apps.agents.services.access_tokens import issue_token
from apps.connectors.models import Connector, OperationPermission
from apps.connectors.services import request_access, set_secret
from apps.core.models import ClockTimestamp, User
from apps.halts.models import Breaker
from apps.halts.rules import BreakerTerms
from apps.halts.services import end_breaker, save_breaker
from apps.notifications.models import Browser
from apps.notifications.services import save_chat_target
from apps.oversight.models import SavedView
from apps.oversight.services import make_standing_approval
from apps.policies.services import retire_policy
from apps.policies.services.budgets import end_budget
from apps.policies.services.simulations import start_simulation
from apps.telemetry.models import DiscoveredAgent, Span, ToolFinding
from apps.workflows.services import ask_erasure, publish_document
from tests.agents.test_flags import flagged
from tests.factories import telemetry
from tests.factories.access import grant, make_admin, make_holder, make_queue, make_role, make_unit, make_user
from tests.factories.access_reviews import age_rights, line_of, open_review
from tests.factories.agents import make_action, make_agent, make_key_for
from tests.factories.budgets import make_budget
from tests.factories.connectors import make_operation, permit
from tests.factories.drills import announced
from tests.factories.kpis import make_approved, make_target
from tests.factories.oversight import make_payment
from tests.factories.policies import make_policy, make_rule
from tests.factories.waivers import make_waiver
from tests.factories.workflows import make_run, make_workflow
from tests.kpis.test_event_log_doors import imported
from tests.kpis.test_event_log_imports import begun
from tests.kpis.test_event_log_wizard import left
from tests.kpis.test_worth_a_look import unusual
from tests.workflows.actions import make_desk, the_action, the_item

PASSWORD = "a long one that nobody guesses"
type Scene = Callable[[], tuple[Client, str]]


def signed_in(person: User | None = None) -> Client:
    """The browser of ``person``, or of somebody who may everything."""
    client = Client()
    client.force_login(person or make_admin())
    return client


def at(path: str) -> Scene:
    """A page that offers it whatever there is."""
    return lambda: (signed_in(), path)


def sessions() -> tuple[Client, str]:
    admin = make_admin()
    signed_in(admin)
    return signed_in(admin), "/settings/sessions/"


def person() -> tuple[Client, str]:
    return signed_in(), f"/access/people/{make_holder('kpis.view_kpi').username}/"


def leaving() -> tuple[Client, str]:
    return signed_in(), f"/access/people/{make_holder('kpis.view_kpi').username}/leave/"


def renamed() -> tuple[Client, str]:
    return signed_in(), f"/access/people/{make_user().username}/edit/"


def tokens() -> tuple[Client, str]:
    admin = make_admin()
    create_token(admin, user=admin, name="Nightly")
    return signed_in(admin), "/settings/tokens/"


def absences() -> tuple[Client, str]:
    admin = make_admin()
    now = timezone.now()
    plan_absence(admin, user=admin, starts_at=now + timedelta(hours=1), ends_at=now + timedelta(days=1))
    return signed_in(admin), "/settings/absences/"


def second_factor(rest: str) -> Scene:
    def scene() -> tuple[Client, str]:
        admin = make_admin(password=PASSWORD)
        client = Client()
        client.force_login(admin)
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        Authenticator.objects.create(user=admin, type="recovery_codes", data={"seed": "0" * 40, "used_mask": 0})
        Authenticator.objects.create(user=admin, type="totp", data={"secret": "GEZDGNBVGY3TQOJQ"})
        key = Authenticator.objects.create(user=admin, type="webauthn", data={"name": "Laptop", "credential": {}})
        client.post("/accounts/2fa/reauthenticate/", {"code": ""})
        return client, f"/accounts/2fa/{rest}".replace("KEY", str(key.pk))

    return scene


def agent() -> tuple[Client, str]:
    """With a key, a token that it got with it, and an operation that it may use."""
    found = make_agent()
    permit(found.user, make_operation())
    make_key_for(found)
    issue_token(found.credentials.select_related("agent__user").get(), resource="here")
    return signed_in(), f"/agents/{found.slug}/"


def agent_page(rest: str) -> Scene:
    return lambda: (signed_in(), f"/agents/{make_agent().slug}/{rest}")


def agent_tests() -> tuple[Client, str]:
    found, used = make_agent(), make_operation()
    case = {"name": "small", "operation": used.slug, "parameters": {}, "expect": "deny"}
    set_cases(make_admin(), agent=found, cases=[case])
    return signed_in(), f"/agents/{found.slug}/tests/"


def older_version() -> tuple[Client, str]:
    found = make_agent()
    save_version(make_admin(), agent=found, instructions="Be bolder.")
    return signed_in(), f"/agents/{found.slug}/versions/1/"


def asked_change(*, own: bool = False) -> Scene:
    def scene() -> tuple[Client, str]:
        found, admin = make_agent(risk="high"), make_admin()
        assert ask_change(admin, agent=found, kind="risk", to="low", reason="It only reads.")
        return signed_in(admin if own else None), f"/agents/{found.slug}/"

    return scene


def sizing() -> tuple[Client, str]:
    desk = make_desk()
    permit(desk.agent.user, make_operation(slug="spare.pay"))
    OperationPermission.objects.update(granted_at=ClockTimestamp() - timedelta(days=60))
    return signed_in(), f"/agents/{desk.agent.slug}/right-size/"


def flags() -> tuple[Client, str]:
    flagged()
    return signed_in(), "/flags/"


def flagged_agent() -> tuple[Client, str]:
    desk, _flag = flagged()
    return signed_in(), f"/agents/{desk.agent.slug}/"


def tool_findings() -> tuple[Client, str]:
    ToolFinding.objects.create(agent=make_agent(), tool="bank_pay", last_at=ClockTimestamp())
    return signed_in(), "/tool-findings/"


def discovered() -> tuple[Client, str]:
    found = DiscoveredAgent.objects.create(sender=make_agent(), service="scraper", last_at=ClockTimestamp())
    return signed_in(), f"/discovered-agents/{found.pk}/"


def emergency() -> tuple[Client, str]:
    admin = make_admin()
    arm_emergency(admin, username="break-glass")
    return signed_in(admin), "/access/emergency/"


def access_requests() -> tuple[Client, str]:
    request_access(make_agent().user, operation=make_operation().slug, reason="It is needed.")
    return signed_in(), "/access/requests/"


def mapping() -> tuple[Client, str]:
    admin = make_admin()
    save_mapping(admin, slug="m", group="Sales", role=make_role("kpis.view_kpi"), unit=make_unit())
    return signed_in(admin), "/access/groups/m/end/"


def rota(rest: str) -> Scene:
    def scene() -> tuple[Client, str]:
        admin, unit, now = make_admin(), make_unit(), timezone.now()
        role = make_role("oversight.decide_escalation")
        ada, ben = make_user(), make_user()
        for one in (ada, ben):
            grant(one, role, unit)
        made, _ = save_rota(
            admin, slug="r", unit=unit, timezone="UTC", starts=date(2026, 1, 1), people=[ada.username], name="R"
        )
        swap_duty(admin, rota=made, begins=now, ends=now + timedelta(days=1), user=ben)
        return signed_in(admin), f"/access/rotas/r/{rest}"

    return scene


def calendar() -> tuple[Client, str]:
    admin = make_admin()
    save_calendar(admin, slug="c", name="C", timezone="UTC", hours={"mon": ["09:00-17:00"]})
    return signed_in(admin), "/access/calendars/c/remove/"


def a_breaker() -> Breaker:
    return save_breaker(make_admin(), slug="b", terms=BreakerTerms("denied", "agent", 5, 300), name="B")[0]


def breaker() -> tuple[Client, str]:
    return signed_in(), f"/breakers/{a_breaker().slug}/"


def breaker_change() -> tuple[Client, str]:
    found = a_breaker()
    end_breaker(make_admin(), breaker=found, reason="Not needed.")
    return signed_in(), f"/breakers/{found.slug}/"


def budget() -> tuple[Client, str]:
    return signed_in(), f"/budgets/{make_budget(make_agent(), cap=1000).slug}/"


def budget_change() -> tuple[Client, str]:
    found = make_budget(make_agent(), cap=1000)
    end_budget(make_admin(), budget=found, reason="Not needed.")
    return signed_in(), f"/budgets/{found.slug}/"


def waiver(*, approved: bool) -> Scene:
    def scene() -> tuple[Client, str]:
        desk = make_desk()
        found = make_waiver(desk.policy, "large", scope="agent", target=desk.agent.slug, approved=approved)
        return signed_in(), f"/waivers/{found.pk}/"

    return scene


def halts() -> tuple[Client, str]:
    make_agent()
    return signed_in(), "/halts/"


def simulation() -> tuple[Client, str]:
    desk, admin = make_desk(), make_admin()
    desk.ask(50_000)
    now = timezone.now()
    made = start_simulation(
        admin, policy=desk.policy, since=now - timedelta(days=9), until=now + timedelta(days=1), rules=[make_rule()]
    )
    return signed_in(admin), f"/policies/simulations/{made.pk}/"


def erasure(*, asked: bool, own: bool = False) -> Scene:
    def scene() -> tuple[Client, str]:
        desk, admin = make_desk(), make_admin()
        desk.ask(50_000)
        type(the_action()).objects.update(state="succeeded")
        trail = the_action().trail
        if asked:
            ask_erasure(admin, trail_id=trail, reason="A person asked for it.")
        return signed_in(admin if own else None), f"/audit/trails/{trail}/erase/"

    return scene


def connector() -> tuple[Client, str]:
    found, admin = make_operation().connector, make_admin()
    Connector.objects.filter(pk=found.pk).update(auth={"type": "bearer"})
    found.refresh_from_db()
    set_secret(admin, connector=found, secret="the-first-of-them")
    set_secret(admin, connector=found, secret="the-second-of-them", overlap_s=3600)
    Connector.objects.filter(pk=found.pk).update(inside_asked_by=admin)
    return signed_in(), f"/connectors/{found.slug}/"


def goals() -> tuple[Client, str]:
    make_target()
    make_approved()
    return signed_in(), "/dashboards/goals/"


def goal_to_remove() -> tuple[Client, str]:
    found = make_approved()
    type(found).objects.filter(pk=found.pk).update(removal_by=make_admin())
    return signed_in(), "/dashboards/goals/"


def event_log() -> tuple[Client, str]:
    make_queue()
    log, _ = imported(make_admin())
    return signed_in(), f"/dashboards/event-logs/{log.pk}/"


def log_upload() -> tuple[Client, str]:
    client = signed_in()
    return client, left(client)


def log_import() -> tuple[Client, str]:
    client = signed_in()
    return client, begun(client)


def anomalies() -> tuple[Client, str]:
    unusual("w")
    return signed_in(), "/dashboards/unusual/"


def browsers() -> tuple[Client, str]:
    admin = make_admin()
    said = {"name": "Firefox", "endpoint": "https://push.example.com/1", "host": "push.example.com", "key_id": "k"}
    Browser.objects.create(user=admin, **said)
    return signed_in(admin), "/settings/notifications/"


def chats() -> tuple[Client, str]:
    admin = make_admin()
    save_chat_target(admin, slug="team", queue=make_payment().queue, url="https://chat.example.com/x")
    return signed_in(admin), "/access/chats/"


def views() -> tuple[Client, str]:
    admin = make_admin()
    SavedView.objects.create(owner=admin, name="High", query="risk=high")
    return signed_in(admin), "/inbox/"


def item(rest: str = "", **fields: Any) -> Scene:
    def scene() -> tuple[Client, str]:
        payment = make_payment(**fields)
        for right in ("halts.engage_halt",):
            grant(payment.ada, make_role(right), payment.unit)
        return signed_in(payment.ada), f"/inbox/{payment.item.pk}/{rest}"

    return scene


def bulk() -> tuple[Client, str]:
    payment = make_payment()
    return signed_in(payment.ada), f"/inbox/bulk/?verdict=reject&ids={payment.item.pk}"


def standing() -> tuple[Client, str]:
    desk = make_desk(obligations={"standing": {"times": 20, "days": 7, "up_to_minor": 300_000}})
    desk.ask(250_000)
    make_standing_approval(desk.approver, escalation_id=the_item().pk, version=1, times=3, days=7, up_to_minor=250_000)
    return signed_in(desk.approver), "/inbox/standing/"


def standing_item() -> tuple[Client, str]:
    client, _list = standing()
    return client, f"/inbox/{the_item().pk}/"


def drills() -> tuple[Client, str]:
    announced(make_payment())
    return signed_in(), "/inbox/drills/"


def review(rest: str = "") -> Scene:
    def scene() -> tuple[Client, str]:
        admin, holder = make_admin(), make_holder("halts.engage_halt")
        age_rights()
        made = open_review(admin, kinds=["role"])
        line = line_of(made, holder)
        return signed_in(admin), f"/access/reviews/{made.pk}/{rest}".replace("LINE", str(line.pk))

    return scene


def policy(*, rest: str = "", retiring: bool = False, versions: int = 1) -> Scene:
    def scene() -> tuple[Client, str]:
        found = make_policy(make_rule(effect="deny" if retiring else "allow"), unit=make_unit())
        for number in range(1, versions):
            make_policy(make_rule(message=f"Version {number}"), unit=found.unit, slug=found.slug)
        if retiring:
            retire_policy(make_admin(), policy=found, reason="Over.")
        return signed_in(), f"/policies/{found.slug}/{rest}"

    return scene


def run() -> tuple[Client, str]:
    flow = make_workflow({"steps": {"a": {"agent": "lab.do"}}})
    return signed_in(), f"/runs/{make_run(flow).pk}/"


def workflow() -> tuple[Client, str]:
    flow = make_workflow({"steps": {"a": {"agent": "lab.do"}}})
    text = flow.active.source.replace("Flow", "Flow, again")
    publish_document(make_admin(), source=text)
    return signed_in(), f"/workflows/{flow.slug}/?version=1"


def span() -> tuple[Client, str]:
    """What an agent sent, and nothing links to work."""
    telemetry.send(make_agent(), telemetry.body_of(telemetry.span(1, {})))
    return signed_in(), f"/spans/{Span.objects.get().pk}/"


def compensation() -> tuple[Client, str]:
    """Something was paid that a second operation pays back."""
    back = make_operation(
        path="/refunds", parameters={"type": "object", "properties": {"id": {"type": "string"}}}, amount=None, target=""
    )
    way = {"operation": back.slug, "parameters": {"id": "response.id"}}
    paying = make_operation(connector=back.connector, compensation=way)
    done = make_action(
        operation=paying.slug, connector=back.connector.slug, effect="irreversible", state="succeeded",
        parameters={"amount_minor": 100, "currency": "EUR", "iban": "DE89"}, result={"id": "p-1"},
    )  # fmt: skip
    return signed_in(), f"/actions/{done.pk}/compensate/"
