"""Bringing the sample company to life: its documents, its prices, its past, its keys, its first runs."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from apps.access.models import BusinessUnit, Role
from apps.access.rules import ADMINISTRATOR
from apps.access.services import grant_role, save_person
from apps.agents.models import Agent, AgentCredential
from apps.agents.rules import MAX_LIVE, AgentState
from apps.agents.services import create_credential, revoke_credential
from apps.configuration.services import apply_documents
from apps.connectors.models import Connector
from apps.connectors.services import save_connector
from apps.core.errors import ConflictError
from apps.core.keys import read_key
from apps.core.models import ClockTimestamp, User
from apps.demo.rules import SAMPLE_RUNS, Declaration
from apps.demo.selectors import PASSWORD, USERNAMES
from apps.demo.systems.keys import keys_in
from apps.kpis.models import HistoryImport, PriceBook
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules.history import HistoryPlan, expected_runs, parts_of, scale_of
from apps.kpis.rules.invented_acts import acts_of, marks_of_history
from apps.kpis.rules.traits import sample_acts, sample_traits
from apps.kpis.services.goals import save_price
from apps.kpis.services.history import import_history, unfinished_history
from apps.workflows.models import Run
from apps.workflows.services import start_run

COMPANY = Path(__file__).parent / "company"
TOP_UNIT = "meridian"
SYSTEMS = ("erp", "crm", "desk", "mail")
SYSTEMS_URL = "http://127.0.0.1:8099"
HOMES = re.compile(rf"http://127\.0\.0\.1:\d+/({'|'.join(SYSTEMS)})")
PRICES_MICRO = {"demo-small": ("0.25", "1.25"), "demo-large": ("3", "15")}
FRESH = timedelta(days=14)
HISTORY_DAYS, YEAR_DAYS, HISTORY_SEED = 91, 365, 7
SCALES = {"1k": 1_000, "30k": 30_000, "1m": 1_000_000}
"""About so many runs in a year of history."""


def load_company(actor: User) -> list[str]:
    """Apply the documents where there is no company yet; a line per object that was created or changed.

    What people changed since is theirs: a later start only follows the sample systems to their address (``--port``) and
    the sample people to the password that the start tells. Both come from this process's environment.
    """
    os.environ["ACP_DEMO_PASSWORD"] = os.environ.get("ACP_DEMO_PASSWORD") or PASSWORD
    if BusinessUnit.objects.filter(slug=TOP_UNIT).exists():
        return [*_follow_systems(actor), *_follow_password(actor)]
    os.environ.update(keys_in(settings.ACP_DATA_DIR))
    texts = {path.name: _at_home(path.read_text()) for path in sorted(COMPANY.glob("*.yaml"))}
    made = apply_documents(actor, texts=texts)
    _follow_password(actor)  # none that a document may give: it is printed, and shorter than people's own
    return made


def _at_home(text: str) -> str:
    return text.replace(SYSTEMS_URL, os.environ.get("ACP_SYSTEMS_URL", SYSTEMS_URL))


def _follow_systems(actor: User) -> list[str]:
    """Systems that still stand where a start has put them; one that people moved elsewhere stays there."""
    moved = []
    for connector in Connector.objects.filter(slug__in=SYSTEMS).order_by("slug"):
        home = _at_home(f"{SYSTEMS_URL}/{connector.slug}")
        if connector.base_url != home and HOMES.fullmatch(connector.base_url):
            save_connector(
                actor,
                slug=connector.slug,
                name=connector.name,
                base_url=home,
                adapter=connector.adapter,
                allow_internal=connector.allow_internal,
                auth=connector.auth,
                unit=connector.unit,
                limits=connector.limits,
                cleared=connector.cleared,
                test_base_url=connector.test_base_url,
                test_allow_internal=connector.test_allow_internal,
            )
            moved.append(f"changed   Connector {connector.slug} (base_url)")
    return moved


def _follow_password(actor: User) -> list[str]:
    changed = []
    for person in User.objects.filter(username__in=USERNAMES, is_active=True).order_by("username"):
        saved = save_person(
            actor,
            username=person.username,
            name=person.name,
            email=person.email,
            is_staff=person.is_staff,
            password=os.environ["ACP_DEMO_PASSWORD"],
        )
        if saved[1] != "unchanged":
            changed.append(f"changed   User {person.username} (password)")
    return changed


@transaction.atomic
def load_prices(actor: User) -> None:
    """What the sample agents' models cost per token, where nobody has said it yet."""
    since = datetime(2020, 1, 1, tzinfo=UTC)
    told = set(PriceBook.objects.filter(model__in=PRICES_MICRO).values_list("model", flat=True))
    for model in PRICES_MICRO.keys() - told:
        input_micro, output_micro = PRICES_MICRO[model]
        save_price(
            actor,
            model=model,
            valid_from=since,
            input_micro=Decimal(input_micro),
            output_micro=Decimal(output_micro),
        )


def load_history(
    actor: User,
    *,
    scale: str = "",
    seed: int = HISTORY_SEED,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
) -> int:
    """Simulated runs through the fact writer, once: a quarter, or with a ``scale`` about so many in a year; how many.

    It comes in parts, in the order of time. One that was interrupted goes on where it stopped, by its own plan.
    ``tell`` is called after each part with how many runs are done, of about how many.
    """
    plan, there = unfinished_history() or (None, 0)
    known = HistoryImport.objects.order_by("created_at").first()
    if known and scale and (known.plan.get("runs"), known.plan.get("seed")) != (SCALES[scale], seed):
        raise ConflictError("Another history is here already; bin/demo --reset begins anew.")
    if known and plan is None:
        return 0
    unit = BusinessUnit.objects.in_bulk(field_name="slug")
    traits = sample_traits(*(unit[slug].pk for slug in ("procurement", "finance", "compliance")))
    acts = sample_acts(*(unit[slug].pk for slug in ("procurement", "finance", "operations")))
    zone, until = reporting_zone(), database_now()
    if plan is None:
        days = YEAR_DAYS if scale else HISTORY_DAYS
        quarter = sum(expected_runs(one, until, days, zone) for one in traits)
        plan = HistoryPlan(seed=seed, runs=SCALES.get(scale) or round(quarter), days=days, until=until)
    done = came = 0
    beside = [acts_of(acts, plan, zone, scale_of(plan, traits, zone))]
    for number, (facts, is_last) in enumerate(parts_of(plan, traits, zone, beside), start=1):
        if is_last:
            facts.extend(marks_of_history(traits, plan, zone))
        if number > there:
            came += import_history(actor, facts=facts, plan=plan, part=number, is_last=is_last)
        done += len(facts.runs)
        tell(done, plan.runs)
    return came


@transaction.atomic
def load_administrator(actor: User) -> None:
    """The one user of a demo without a sample company, once; what people changed about it since is kept."""
    os.environ["ACP_DEMO_PASSWORD"] = os.environ.get("ACP_DEMO_PASSWORD") or PASSWORD
    if User.objects.filter(username="admin").exists():
        _follow_password(actor)
        return
    password = os.environ["ACP_DEMO_PASSWORD"]
    user, _ = save_person(
        actor, username="admin", name="Administrator", email="admin@example.com", password=password, is_staff=True
    )
    grant_role(actor, user=user, role=Role.objects.get(slug=ADMINISTRATOR))


@transaction.atomic
def make_keys(actor: User, *, known: Mapping[str, str]) -> dict[str, str]:
    """A key for each working agent that has none in ``known`` which still lives for a while; all keys by slug.

    A key that somebody revoked stays the agent's key, and dead: a restart is no way around a revocation.
    """
    keys: dict[str, str] = {}
    for agent in Agent.objects.exclude(state=AgentState.RETIRED).exclude(slug="newcomer").order_by("slug"):
        key = known.get(agent.slug, "")
        keys[agent.slug] = key if _stays(agent, key) else _new_key(actor, agent)
    return keys


def _stays(agent: Agent, text: str) -> bool:
    key = read_key(text, "acp_agt")
    fresh_or_revoked = Q(expires_at__gt=ClockTimestamp() + FRESH) | Q(revoked_at__isnull=False)
    return key is not None and agent.credentials.filter(fresh_or_revoked, digest=key.digest).exists()


def _new_key(actor: User, agent: Agent) -> str:
    """A new key; the oldest goes where two live already, since nobody has kept it."""
    live = agent.credentials.filter(AgentCredential.live()).order_by("id")
    if len(live) >= MAX_LIVE:
        revoke_credential(actor, credential=live[0], reason="The sample company's file of keys was lost.")
    return create_credential(actor, agent=agent).text


def start_samples(actor: User) -> int:
    """A few runs, so that something goes on before the first agent looks; none when there ever were any."""
    if Run.objects.exists():
        return 0
    for workflow, given in SAMPLE_RUNS:
        start_run(actor, workflow=workflow, input=dict(given))
    return len(SAMPLE_RUNS)


def submit_declarations(
    actor: User, *, declarations: Iterable[Declaration], tell: Callable[[int, int], None] = lambda _done, _all: None
) -> int:
    """Start one *expense declaration* run per declaration that never had one; how many were started.

    ``tell`` is called after each with how many are done, of how many.
    """
    wanted = {declaration.key: declaration for declaration in declarations}
    runs = Run.objects.filter(workflow__slug="expense-declaration", key__in=wanted)
    there = set(runs.values_list("key", flat=True))
    missing = [declaration for key, declaration in wanted.items() if key not in there]
    for done, declaration in enumerate(missing, start=1):
        start_run(actor, workflow="expense-declaration", input=declaration.input)
        tell(done, len(missing))
    return len(missing)
