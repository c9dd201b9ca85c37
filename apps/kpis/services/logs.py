"""Commands on event logs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.selectors import queues_near_for
from apps.access.services.units import require_manager
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError
from apps.core.models import ClockTimestamp, User
from apps.core.rules import digest_of
from apps.kpis.models import EventLog
from apps.kpis.models.clock import reporting_currency, reporting_zone
from apps.kpis.rules.buckets import local_day
from apps.kpis.rules.eventlogs import (
    Attributes,
    Columns,
    Event,
    LogError,
    LogFigures,
    Spelling,
    cases_in,
    draft_of,
    figures_of,
    read_log,
)
from apps.kpis.rules.eventlogs.previews import is_table
from apps.kpis.rules.eventlogs.reading import digest_of_file, zone_of
from apps.kpis.rules.eventlogs.xes import READING as XES_READING
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.rules.imports import ImportStep
from apps.kpis.services.baselines import save_baseline
from apps.kpis.services.cases import keep_cases
from apps.kpis.services.goals import MANAGE, unit_of
from apps.workflows.models import Workflow, WorkflowVersion
from apps.workflows.rules.schema import DASHBOARDS
from apps.workflows.services.definitions import PUBLISH, save_draft

MAX_NAME = 120
MICRO = 1_000_000
type Tell = Callable[[ImportStep, int, int], None]
"""Is told what an import is at, and how much of how much is done; it may raise to end it."""


def _untold(_step: ImportStep, _done: int, _total: int) -> None:
    """For whom nobody waits."""


def import_event_log(
    actor: User,
    *,
    file: BinaryIO,
    name: str,
    workflow: str = "",
    tz: str = "",
    columns: Columns | None = None,
    encoding: str = "",
    spelling: Spelling | None = None,
    attributes: Sequence[str] = (),
    tell: Tell = _untold,
    finish: Callable[[EventLog, str], None] | None = None,
) -> tuple[EventLog, str]:
    """Read a log whole and keep what it says; with ``created``, ``changed`` or ``unchanged``.

    The same file, read in the same way, changes nothing; another one under the same name takes its place. With a
    ``workflow``, whose baselines are set from it: how long a case took, how many there were a day, how many were
    worked on again, and what one cost if each case says so. ``attributes``: columns of a CSV, or attributes of an
    XES's traces, that are kept of each case. Nothing is kept of a log that has a fault. ``finish`` is
    called in the transaction that writes it. Raises InvalidError, which says where.
    """
    require_manager(actor, unit_of(workflow), MANAGE)
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidError(errors={"name": [f"1 to {MAX_NAME} printable characters."]})
    columns = columns or Columns()
    try:
        zone = zone_of(tz) if tz else reporting_zone()
        said = Attributes(attributes)
        digest = _digest_of(file, columns, zone, encoding, spelling or Spelling(), said)
        known = EventLog.objects.filter(name=name, workflow=workflow, digest=digest, has_cases=True).first()
        if known is None:
            cases = cases_in(
                read_log(
                    file,
                    zone=zone,
                    columns=columns,
                    encoding=encoding,
                    spelling=spelling,
                    money=reporting_currency(),
                    attributes=said,
                )
            )
            tell(ImportStep.FIGURES, 0, sum(map(len, cases.values())))
            found = figures_of(cases, zone, said)
    except LogError as error:
        raise InvalidError(errors={"file": [str(error)]}) from error
    with transaction.atomic():
        log, outcome = (
            (known, "unchanged")
            if known is not None
            else _keep(
                actor,
                name=name,
                workflow=workflow,
                zone=zone,
                digest=digest,
                found=found,
                cases=cases,
                said=said,
                tell=tell,
            )
        )
        if finish is not None:
            finish(log, outcome)
    return log, outcome


def _digest_of(
    file: BinaryIO, columns: Columns, zone: ZoneInfo, encoding: str, spelling: Spelling, kept: Attributes
) -> str:
    """Of the file and of how it is read; what is not said otherwise is left out.

    Of an XES also what is read at all, and in which currency: imported before its costs were, it is another one now.
    """
    said = {name: value for name, value in asdict(columns).items() if value or name not in {"lifecycle", "cost"}}
    usual = asdict(Spelling())
    spelled = {name: str(value) for name, value in asdict(spelling).items() if value != usual[name]}
    told: dict[str, Any] = {"file": digest_of_file(file), "columns": said, "tz": zone.key, "encoding": encoding}
    if spelled:
        told["spelling"] = spelled
    if kept.names:
        told["attributes"] = sorted(kept.names)
    if not is_table(file):
        told["xes"] = [XES_READING, reporting_currency()]
    file.seek(0)
    return digest_of(told)


@transaction.atomic
def _keep(
    actor: User,
    *,
    name: str,
    workflow: str,
    zone: ZoneInfo,
    digest: str,
    found: LogFigures,
    cases: Mapping[str, Sequence[Event]],
    said: Attributes,
    tell: Tell,
) -> tuple[EventLog, str]:
    require_manager(actor, unit_of(workflow), MANAGE)  # reading took its time
    values: dict[str, Any] = {
        "workflow": workflow,
        "tz": zone.key,
        "digest": digest,
        "cases": found.cases,
        "events": found.events,
        "duplicates": found.duplicates,
        "first_at": found.first_at,
        "last_at": found.last_at,
        "figures": found.figures,
        "has_cases": True,
        "imported_by": actor,
    }
    before = EventLog.objects.select_for_update().filter(name=name).first()
    if before is not None:
        require_manager(actor, unit_of(before.workflow, known=False), MANAGE)
    log, is_new = EventLog.objects.update_or_create(
        name=name, defaults={**values, "imported_at": ClockTimestamp()}, create_defaults=values
    )
    if before is None and not is_new:
        raise ConflictError("Somebody else imported a log of this name just now.")
    keep_cases(log, cases, said, zone, lambda done: tell(ImportStep.WRITING, done, found.cases))
    told = {"name": name, "workflow": workflow, "cases": found.cases, "events": found.events, "digest": digest}
    record(actor, log, "created" if is_new else "changed", payload=told)
    if workflow:
        _set_baselines(actor, log, zone)
    log.refresh_from_db()
    return log, "created" if is_new else "changed"


def _set_baselines(actor: User, log: EventLog, zone: ZoneInfo) -> None:
    """How it was, for runs that start after the log's last day."""
    first, last = local_day(log.first_at, zone), local_day(log.last_at, zone)
    days = (last - first).days + 1
    measured = {
        "cycle_time_p50_s": log.figures["cycle_time_s"]["p50"],
        "throughput": log.cases / days,
        "rework_rate": log.figures["rework_share"],
    }
    if (cost := log.figures["cost"]) is not None and cost["cases"] == log.cases:
        measured["cost_per_success_minor"] = cost["mean"] * MICRO / micro_per_minor(reporting_currency())
    for kpi, value in measured.items():
        save_baseline(
            actor,
            slug=f"log-{log.workflow}-{kpi}"[:120].replace("_", "-"),
            kpi=kpi,
            value=value,
            valid_from=last,
            source=f"Event log {log.name}"[:300],
            workflow=log.workflow,
            n=log.cases,
            period=f"{first} to {last}",
            owner=actor if actor.kind == "human" else None,
            reason=f"Event log {log.name}"[:300],
        )


@transaction.atomic
def delete_event_log(actor: User, *, log: EventLog) -> None:
    """Forget a log with its cases. Baselines that were set from it stay; the ledger keeps that it was here."""
    require_manager(actor, unit_of(log.workflow, known=False), MANAGE)
    record(actor, log, "deleted", payload={"name": log.name, "workflow": log.workflow, "digest": log.digest})
    log.delete()


@transaction.atomic
def start_workflow(actor: User, *, log: EventLog, slug: str, unit: BusinessUnit, queue: str) -> WorkflowVersion:
    """Keep the way that most cases of a log took as the draft of a new workflow, which people of ``queue`` do.

    Nothing of it is in force before somebody publishes it. Raises NotAllowedError, and InvalidError by field; nothing
    is kept then.
    """
    require_manager(actor, unit, PUBLISH)
    if not log.figures["map"]["variants"]:
        raise InvalidError(_("Nothing happened in this log: there is no way to begin with."))
    if not queues_near_for(actor, PUBLISH).filter(slug=queue).exists():
        raise InvalidError(errors={"queue": [_("There is no such queue near these units.")]})
    if slug in DASHBOARDS:
        raise InvalidError(errors={"slug": [_("A page of the house has this name: choose another one.")]})
    if Workflow.objects.filter(slug=slug).exists():
        raise InvalidError(errors={"slug": [_("There is a workflow of this name already: choose another one.")]})
    version = save_draft(actor, source=draft_of(log.name, log.figures["map"], unit=unit.slug, slug=slug, queue=queue))
    if version.number > 1:  # somebody else began one of this name just now
        raise ConflictError(_("Somebody else made a workflow of this name just now: choose another one."))
    return version
