"""Baselines and targets, read whole: there are few."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from apps.core.errors import NotFoundError
from apps.core.gate import require
from apps.core.models import User
from apps.kpis.models import Baseline, Target
from apps.kpis.models.clock import reporting_currency, reporting_zone
from apps.kpis.rules.buckets import local_day, local_midnight
from apps.kpis.rules.definitions import Definition
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.rules.goals import BaselineSeen, TargetSeen, baseline_in_force, mixed_baseline, target_in_force

VIEW = "kpis.view_kpi"
COST_KPI = "cost_per_success_minor"


@dataclass(frozen=True, slots=True)
class BaselineCost:
    """What a success cost before, for runs that started in ``since`` until before ``until``."""

    workflow: str
    since: datetime
    until: datetime | None
    micro: int


@dataclass(frozen=True, slots=True)
class Goals:
    """Every baseline and target."""

    baselines: tuple[BaselineSeen, ...]
    targets: tuple[TargetSeen, ...]

    def baseline_of(self, definition: Definition, asked: KpiFilter, mix: dict[str, int]) -> BaselineSeen | None:
        """What this figure was before; of several workflows by their mix of runs, unless one baseline is for all."""
        day = local_day(asked.period.end, asked.zone)
        own = baseline_in_force(self.baselines, asked.workflow, definition.key, day)
        if own is not None or asked.workflow:
            return own
        found = {name: baseline_in_force(self.baselines, name, definition.key, day) for name in mix}
        value = mixed_baseline(definition, {name: one.value if one else None for name, one in found.items()}, mix)
        known = [found[name] for name in sorted(found) if mix[name] and found[name]]
        return None if value is None else _mixed([one for one in known if one], value)

    def target_of(self, definition: Definition, asked: KpiFilter) -> TargetSeen | None:
        """What this figure should be."""
        return target_in_force(self.targets, asked.workflow, definition.key)

    def costs(self) -> list[BaselineCost]:
        """The baseline costs in the order in which they apply: a workflow's own before one for all, newest first."""
        rows = [one for one in self.baselines if one.kpi == COST_KPI]
        scale, zone, found = micro_per_minor(reporting_currency()), reporting_zone(), list[BaselineCost]()
        for workflow in sorted({one.workflow for one in rows}, reverse=True):
            own = sorted((one for one in rows if one.workflow == workflow), key=lambda one: one.valid_from)
            starts: list[datetime | None] = [*(local_midnight(one.valid_from, zone) for one in own), None]
            for one, (since, until) in zip(own, pairwise(starts), strict=True):
                assert since is not None
                found.append(BaselineCost(workflow, since, until, round(one.value * scale)))
        return found


def _mixed(parts: list[BaselineSeen], value: float) -> BaselineSeen:
    """One baseline for several workflows together; its source names each of theirs."""
    if len({one.source for one in parts}) == 1:
        source = parts[0].source
    else:
        source = _("Mixed by the runs of each. %s") % " ".join(
            f"{one.workflow or _('All')}: {one.source}" for one in parts
        )
    since = max(one.valid_from for one in parts)
    return BaselineSeen(workflow="", kpi=parts[0].kpi, value=value, valid_from=since, source=source)


def goals_for(actor: User) -> Goals:
    """Every baseline and target, for who may see KPIs at all."""
    require(actor, VIEW)
    baselines = tuple(
        BaselineSeen(
            workflow=row.workflow,
            kpi=row.kpi,
            value=float(row.value),
            valid_from=row.valid_from,
            source=row.source,
            period=row.period,
        )
        for row in Baseline.objects.all()
    )
    targets = tuple(
        TargetSeen(
            workflow=row.workflow,
            kpi=row.kpi,
            value=float(row.value),
            direction=row.direction,
            tolerance=float(row.tolerance),
        )
        for row in Target.objects.all()
    )
    return Goals(baselines, targets)


def baselines_for(actor: User) -> QuerySet[Baseline]:
    """The baselines, for who may see KPIs."""
    require(actor, VIEW)
    return Baseline.objects.select_related("owner")


def targets_for(actor: User) -> QuerySet[Target]:
    """The targets, for who may see KPIs."""
    require(actor, VIEW)
    return Target.objects.all()


def baseline_for(actor: User, slug: str) -> Baseline:
    """One baseline. Raises NotFoundError."""
    found = baselines_for(actor).filter(slug=slug).first()
    if found is None:
        raise NotFoundError
    return found


def target_for(actor: User, slug: str) -> Target:
    """One target. Raises NotFoundError."""
    found = targets_for(actor).filter(slug=slug).first()
    if found is None:
        raise NotFoundError
    return found
