"""Where each role begins, and what an admin should look at first."""

from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.access.selectors import emergency_rights_of
from apps.agents.models import AgentCredential
from apps.agents.rules import WORKING, ActionState, FlagState
from apps.agents.selectors import actions_for, agents_for, flags_for
from apps.audit.selectors import lag_s_for, overdue_deliveries_for, stumbles_for
from apps.connectors.rules.health import Condition
from apps.connectors.selectors import connectors_for, requests_for
from apps.connectors.selectors import health_for as connector_health_for
from apps.connectors.selectors.inside import inside_waiting_for
from apps.console.selectors.duty import rosters_for
from apps.core.models import ClockTimestamp, User, database_now
from apps.halts.rules import DRILL_EVERY_DAYS
from apps.halts.selectors import engaged_for, is_drill_due_for
from apps.kpis.selectors.data_quality import reconciled_for
from apps.notifications.rules import Channel
from apps.notifications.selectors import failing_for
from apps.oversight.selectors.access_reviews import reviews_waiting_for
from apps.oversight.selectors.stuck import stuck_for
from apps.policies.selectors.health import standing_faults_for
from apps.workflows.selectors.erasing import erasures_asked_for

LAG_S = 30
RECENTLY = timedelta(days=2)
EXPIRING_DAYS = 14
DRILLS, HALTS = "/halts/drills/", "/halts/"

HELD = """
SELECT DISTINCT permission FROM access_rolegrant g JOIN access_role r ON r.id = g.role_id,
       jsonb_array_elements_text(r.permissions) AS permission
WHERE g.user_id = %s AND g.revoked_at IS NULL AND (g.until IS NULL OR g.until > clock_timestamp())
"""

HOMES = (
    ("oversight.decide_escalation", "/inbox/?view=mine"),
    ("access.manage_access", "/control/"),
    ("workflows.operate_run", "/runs/?state=attention"),
    ("kpis.view_kpi", "/dashboards/overview/"),
    ("audit.view_entry", "/audit/"),
)
"""Whoever holds the permission begins there; the first that fits."""


def permissions_held_by(actor: User) -> frozenset[str]:
    """Every permission that ``actor`` holds anywhere by role; one query. The menu shows what it admits."""
    if not actor.is_active:
        return frozenset()
    if actor.is_emergency:
        return emergency_rights_of(actor)
    with connection.cursor() as cursor:
        cursor.execute(HELD, [actor.pk])
        return frozenset(row[0] for row in cursor.fetchall())


def home_of(actor: User) -> str:
    """The address at which ``actor`` begins; an emergency account where things are stopped."""
    if actor.is_emergency:
        return HALTS
    held = permissions_held_by(actor)
    return next((url for permission, url in HOMES if permission in held), "/help/")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the health list. ``tone``: ok, warn or bad."""

    tone: str
    title: str
    detail: str
    url: str


def health_for(actor: User) -> list[Finding]:
    """What needs an admin's attention now, gravest first; a line that says so where nothing does."""
    found = [
        *_halts(actor),
        *_connectors(actor),
        *_deliveries(actor),
        *_messages(actor),
        *_lag(actor),
        *_reconciled(actor),
        *_stumbles(actor),
        *_keys(actor),
        *_owners(actor),
        *_duty(actor),
        *_inside(actor),
        *_stuck(actor),
        *_erasures(actor),
        *_drills(actor),
        *_flags(actor),
        *_faults(actor),
        *_requests(actor),
        *_reviews(actor),
        *_denials(actor),
        *_unknown(actor),
    ]
    order = {"bad": 0, "warn": 1, "ok": 2}
    return sorted(found, key=lambda finding: order[finding.tone])


def _halts(actor: User) -> list[Finding]:
    return [
        Finding("bad", _("%s is halted") % (halt.target or _("Everything")), halt.reason, "/halts/")
        for halt in engaged_for(actor)
    ]


def _connectors(actor: User) -> list[Finding]:
    found = []
    for connector in connectors_for(actor):
        health = connector_health_for(actor, connector)
        if health.condition in {Condition.FAILING, Condition.OVER_BUDGET}:
            told = {"bad": health.troubled, "n": health.calls, "budget": health.errors_per_1000 / 10}
            detail = _("%(bad)d of its last %(n)d calls went wrong; its budget is %(budget)g %%.") % told
            found.append(
                Finding("bad", _("%s is in trouble") % connector.name, detail, f"/connectors/{connector.slug}/")
            )
    return found


def _deliveries(actor: User) -> list[Finding]:
    if not (count := overdue_deliveries_for(actor)[:100].count()):
        return []
    title = ngettext("%d reaction keeps failing", "%d reactions keep failing", count) % count
    return [Finding("bad", title, _("Something that should have followed did not. The log says why."), "/audit/")]


def _messages(actor: User) -> list[Finding]:
    if not (failed := failing_for(actor)):
        return []
    count = len(failed)
    title = ngettext("%d message does not arrive", "%d messages do not arrive", count) % count
    by = {Channel.CHAT: _("chat"), Channel.PUSH: _("browser push")}.get(Channel(failed[0].channel), _("mail"))
    detail = _("Given up within a day. The newest, by %(by)s: %(outcome)s") % {"by": by, "outcome": failed[0].outcome}
    return [Finding("bad", title, detail, "/access/chats/" if failed[0].channel == Channel.CHAT else "/audit/")]


def _lag(actor: User) -> list[Finding]:
    lag_s = lag_s_for(actor, "kpis")
    if lag_s < LAG_S:
        return []
    why = _("The scheduler may be down, or an entry may stop it: its log says which.")
    return [Finding("warn", _("Dashboards are %d s behind") % lag_s, why, "/dashboards/")]


def _reconciled(actor: User) -> list[Finding]:
    """What is kept differed from the facts in the last night."""
    found = reconciled_for(actor)
    if found is None or not found.mended or database_now() - found.at > RECENTLY:
        return []
    title = ngettext("%d kept figure differed from the facts", "%d kept figures differed from the facts", found.mended)
    why = _("They were mended. Something wrote to the tables of figures beside the plane, or it has a fault.")
    return [Finding("warn", title % found.mended, why, "/dashboards/data-quality/")]


def _stumbles(actor: User) -> list[Finding]:
    found = stumbles_for(actor)
    if not (count := found.count()):
        return []
    title = ngettext("%d entry is missing from the figures", "%d entries are missing from the figures", count) % count
    first = found.values("entry_id", "projection", "error")[0]
    why = _("Entry %(entry_id)d does not fit %(projection)s (%(error)s). It is tried again each hour.") % first
    return [Finding("bad", title, why, f"/audit/{first['entry_id']}/")]


def _keys(actor: User) -> list[Finding]:
    agents = agents_for(actor).filter(state__in=WORKING)
    soon = (
        AgentCredential.objects.filter(
            AgentCredential.live(), agent__in=agents, expires_at__lt=ClockTimestamp() + timedelta(days=EXPIRING_DAYS)
        )
        .select_related("agent")
        .order_by("expires_at")
    )
    found = [
        Finding(
            "warn",
            _("A key of %s expires soon") % key.agent.name,
            _("Make a new one; both work until then."),
            f"/agents/{key.agent.slug}/",
        )
        for key in soon
    ]
    keyless = agents.exclude(pk__in=AgentCredential.objects.filter(AgentCredential.live()).values("agent"))
    return found + [
        Finding("warn", _("%s has no key") % agent.name, _("It cannot ask for anything."), f"/agents/{agent.slug}/")
        for agent in keyless
    ]


def _owners(actor: User) -> list[Finding]:
    left = agents_for(actor).filter(Q(owner__is_active=False), state__in=WORKING)
    return [
        Finding("bad", _("%s has no owner") % agent.name, _("%s has left.") % agent.owner, f"/agents/{agent.slug}/")
        for agent in left
    ]


def _duty(actor: User) -> list[Finding]:
    """Rotas by which nobody is reached at this moment."""
    return [
        Finding(
            "bad",
            _("Nobody is on duty by %s") % roster.rota,
            (_("%s has left.") if roster.now.has_left else _("%s is away, and nobody stands in.")) % roster.now.name,
            f"/access/rotas/{roster.rota.slug}/",
        )
        for roster in rosters_for(actor)
        if roster.now and (roster.now.has_left or (roster.is_away and roster.stands_in is None))
    ]


def _inside(actor: User) -> list[Finding]:
    """Addresses inside one's own network that somebody else asked for."""
    detail = _("Somebody asks to let it reach an address inside your own network. You may allow or refuse it.")
    return [
        Finding("warn", _("%s waits for another person") % connector.name, detail, f"/connectors/{connector.slug}/")
        for connector in inside_waiting_for(actor)
    ]


def _stuck(actor: User) -> list[Finding]:
    """Items that end undecided unless roles change."""
    if not (found := stuck_for(actor)):
        return []
    title = ngettext("%d item has too few to decide it", "%d items have too few to decide them", len(found))
    queues = ", ".join(sorted({group.queue.name for item in found for group in item.asked_groups()}))
    detail = _("In %s. Give somebody who had no part in it the role there; else it ends in time.") % queues
    return [Finding("bad", title % len(found), detail, "/access/")]


def _erasures(actor: User) -> list[Finding]:
    if not (count := erasures_asked_for(actor).exclude(asked_by=actor)[:100].count()):
        return []
    title = ngettext("%d erasure waits for somebody to agree", "%d erasures wait for somebody to agree", count) % count
    return [Finding("warn", title, _("Nobody erases alone."), "/audit/erasures/")]


def _drills(actor: User) -> list[Finding]:
    if not is_drill_due_for(actor):
        return []
    title = _("No drill of a halt in %d days") % DRILL_EVERY_DAYS
    return [Finding("warn", title, _("Hold one: it shows how fast this plane stops. It stops nothing real."), DRILLS)]


def _flags(actor: User) -> list[Finding]:
    if not (count := flags_for(actor, state=FlagState.OPEN)[:100].count()):
        return []
    title = ngettext("%d flag of an agent stands", "%d flags of agents stand", count) % count
    return [Finding("warn", title, _("An agent keeps asking for what people rejected."), "/flags/")]


def _faults(actor: User) -> list[Finding]:
    """Rules in force that could not be judged lately, but for those that had no say."""
    if not (count := standing_faults_for(actor)[:100].count()):
        return []
    title = ngettext("%d rule cannot be judged", "Rules cannot be judged, for %d reasons", count) % count
    why = _("Where it denies or asks, it does so whatever comes; where it allows, it allows nothing.")
    return [Finding("bad", title, why, "/policy-health/")]


def _requests(actor: User) -> list[Finding]:
    if not (count := requests_for(actor, state="open")[:100].count()):
        return []
    title = ngettext("%d request for access waits", "%d requests for access wait", count) % count
    return [Finding("warn", title, _("An agent was refused something and asks for it."), "/access/requests/")]


def _reviews(actor: User) -> list[Finding]:
    """Access reviews in which rights wait for the reader."""
    if not (count := reviews_waiting_for(actor)[:100].count()):
        return []
    title = ngettext("%d access review waits for you", "%d access reviews wait for you", count) % count
    return [Finding("warn", title, _("Rights to keep, narrow or revoke before it is due."), "/access/reviews/")]


def _denials(actor: User) -> list[Finding]:
    day = actions_for(actor).filter(state=ActionState.DENIED, created_at__gt=ClockTimestamp() - timedelta(days=1))
    if not (count := day.count()):
        return []
    title = ngettext("%d action was denied today", "%d actions were denied today", count) % count
    return [
        Finding(
            "warn",
            title,
            _("Look whether agents try what they should not, or rules say too little."),
            "/actions/?state=denied",
        )
    ]


def _unknown(actor: User) -> list[Finding]:
    """What fell silent: the plane repeats what is safe to repeat, all else is for people."""
    unknown = actions_for(actor).filter(state=ActionState.UNKNOWN)
    repeated = unknown.filter(carried_out__retry_at__isnull=False).count()
    for_people = unknown.count() - repeated
    url = "/actions/?state=unknown"
    found = []
    if for_people:
        title = ngettext("The outcome of %d action is unknown", "The outcomes of %d actions are unknown", for_people)
        found.append(Finding("bad", title % for_people, _("A person must find out what the system did."), url))
    if repeated:
        title = ngettext("%d action is asked for again", "%d actions are asked for again", repeated)
        detail = _("The system fell silent; it is safe to repeat, so the plane does. Nobody need act yet.")
        found.append(Finding("warn", title % repeated, detail, url))
    return found
