"""Simulations that one may see, the rules that they compare, and the past that they look at."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db.models import Case as Either
from django.db.models import F, JSONField, Q, QuerySet, Value, When
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.selectors import unit_ids_below
from apps.agents.models import Action
from apps.agents.rules import ActionState, Environment
from apps.classification.rules import Classed, Veil, values_at
from apps.classification.rules import Place as Shown
from apps.classification.selectors import hidden_for
from apps.core.errors import NotAllowedError, NotFoundError
from apps.core.gate import remembering, scope_for, visible
from apps.core.models import User
from apps.policies.models import Policy, Release, Simulation, Waiver
from apps.policies.rules import compile_rule, read_rules
from apps.policies.rules.alike import Trial
from apps.policies.rules.levers import Lever, Place, turned
from apps.policies.rules.replay import PARAMETERS, Kept
from apps.policies.rules.tallies import NO_HINDSIGHT, Case, Hindsight, Later
from apps.policies.selectors.releases import RulesInForce

VIEW = "policies.view_policy"
NOTHING = Value({}, JSONField())
IF_CLASSED = Either(When(classed={}, then=NOTHING), default=F("parameters"))
"""Without rules that read parameters they are needed to say whether something else quotes them."""
MARGIN_MS = 60_000
"""Ids begin with the time of the process that made them; the database's clock may differ by less than this."""
LATER = {
    ActionState.SUCCEEDED: Later.WELL,
    ActionState.FAILED: Later.FAILED,
    ActionState.UNKNOWN: Later.UNKNOWN,
    ActionState.COMPENSATED: Later.COMPENSATED,
}


def simulations_for(actor: User) -> QuerySet[Simulation]:
    """The simulations of policies that ``actor`` may see, newest first.

    Only those whose past lay in units in which ``actor`` may see policies: they count what happened there.
    """
    rows = Simulation.objects.select_related("policy__unit", "policy__in_force", "person", "version", "base")
    rows = visible(actor, VIEW, rows).order_by("-id")
    scope = scope_for(actor, VIEW)
    if scope.everywhere:
        return rows
    seen = BusinessUnit.objects.filter(pk__in=scope.units).values("slug")
    return rows.filter(Q(base=None) | Q(base__unit__in=seen), unit__in=seen)


def refuse_unseen_past(actor: User, simulation: Simulation) -> None:
    """Raise NotAllowedError where it would count what happened in units in which ``actor`` may see no policies."""
    scope = scope_for(actor, VIEW)
    found = BusinessUnit.objects.filter(slug__in=covered_by(simulation)).values_list("slug", "pk")
    seen = {slug for slug, pk in found if pk in scope.units}
    if not scope.everywhere and seen != covered_by(simulation):
        raise NotAllowedError(_("It covers units in which you may see no policies."))


def covered_by(simulation: Simulation) -> set[str]:
    """The units whose past it looks at: what its rules cover, and what those in force do; "" for everything."""
    return {simulation.unit, simulation.base.unit if simulation.base else simulation.unit}


def simulation_for(actor: User, simulation_id: UUID) -> Simulation:
    """One of them. Raises NotFoundError."""
    if found := simulations_for(actor).filter(pk=simulation_id).first():
        return found
    raise NotFoundError


def simulations_of(actor: User, policy: Policy, *, last: int = 10) -> list[Simulation]:
    """The last ones of a policy that was fetched for ``actor``."""
    return list(simulations_for(actor).filter(policy=policy)[:last])


def running_for(actor: User) -> Simulation | None:
    """The one that ``actor`` started and that runs."""
    return Simulation.objects.filter(person=actor, state="running").first()


def lever_of(simulation: Simulation) -> Lever | None:
    """The amount that it turns; None where it compares one draft."""
    told = simulation.lever
    return Lever(tuple(told["rules"]), Place(told["place"]), told["amount_minor"], told["currency"]) if told else None


def drafts_of(simulation: Simulation) -> list[list[dict[str, Any]]]:
    """The rules that it tries in the place of those in force: one set, or one for each step of its lever."""
    lever = lever_of(simulation)
    if lever is None or simulation.lever is None:
        return [simulation.rules]
    return [turned(simulation.rules, lever, amount) for amount in simulation.lever["steps"]]


@lru_cache(maxsize=4)
def trial_of(simulation_id: UUID) -> Trial:
    """What was in force when it began, then each draft in its place. Kept: a simulation's rules never change.

    Raises KeyError, TypeError or ValueError (ExpressionError is one) for rules that do not compile any more.
    """
    simulation = Simulation.objects.select_related("policy").get(pk=simulation_id)
    release = Release.objects.filter(number=simulation.release).first()
    lines = release.policies if release else []
    others = [line for line in lines if line["policy"] != simulation.policy.slug]
    held = [line for line in lines if line["policy"] == simulation.policy.slug]
    drafts = [
        {"policy": simulation.policy.slug, "version": 0, "author": "", "unit": simulation.unit, "rules": rules}
        for rules in drafts_of(simulation)
    ]
    shared = _compiled(others)
    sets = [RulesInForce((*shared, *_compiled(each))) for each in (held, *([draft] for draft in drafts))]
    read = {name for rules in sets for rule in rules.rules if not rule.rule.is_shadow for name in rule.program.reads}
    return Trial([rules.about for rules in sets], reads_parameters=PARAMETERS in read)


def _compiled(lines: Collection[Mapping[str, Any]]) -> list[Any]:
    found = []
    for line in lines:
        rules, findings = read_rules(line["rules"])
        if findings:
            raise ValueError(str(findings[0]))
        about = {name: line[name] for name in ("policy", "version", "author", "unit")}
        found += [compile_rule(rule, **about) for rule in rules]
    return found


@dataclass(frozen=True, slots=True)
class Past:
    """One action of the past: what was kept of it, what it counts as, what was said of it then."""

    kept: Kept
    case: Case
    effect: str


def past_of(simulation: Simulation) -> QuerySet[Action]:
    """The actions that its draft may concern: asked for in earnest, in its time, in the units that it covers."""
    rows = Action.objects.filter(
        environment=Environment.LIVE,
        pk__gte=_id_at(simulation.since, -MARGIN_MS),
        pk__lt=_id_at(simulation.until, MARGIN_MS),
        created_at__gte=simulation.since,
        created_at__lt=simulation.until,
    )
    covered = covered_by(simulation)
    if "" not in covered:
        rows = rows.filter(unit__in={pk for slug in covered for pk in unit_ids_below(slug)})
    return rows.order_by("pk")


def asked_within(simulation: Simulation) -> timedelta | None:
    """How long before its end the first of its actions was asked for; None where there is none."""
    first = past_of(simulation).values_list("created_at", flat=True).first()
    return None if first is None else simulation.until - first


def _id_at(moment: datetime, more_ms: int) -> UUID:
    return UUID(int=(int(moment.timestamp() * 1000) + more_ms) << 80)


def next_past_of(simulation: Simulation, *, limit: int, with_parameters: bool = True) -> list[Past]:
    """The next actions behind its cursor, in the order in which they were asked for.

    Parameters are most of what an action is, and left where they are unless some rule reads them.
    """
    rows = past_of(simulation)
    if simulation.cursor:
        rows = rows.filter(pk__gt=simulation.cursor)
    found = list(
        rows.annotate(
            told=KeyTransform("facts", "verdict"),
            said=KeyTextTransform("effect", "verdict"),
            waivers=KeyTransform("waivers", "verdict"),
            given=F("parameters") if with_parameters else IF_CLASSED,
        ).values_list(
            "pk", "unit__slug", "agent__slug", "connector", "given", "amount_minor", "currency", "state",
            "erased_at", "unit", "classed", "told", "said", "waivers",
        )[:limit]
    )  # fmt: skip
    seen = hindsight_of([row[0] for row in found])
    lifted = _lifted_of({told["id"] for row in found for told in row[-1] or ()})
    with remembering(simulation.person):
        return [_past(simulation.person, row, seen.get(row[0], NO_HINDSIGHT), lifted) for row in found]


def _lifted_of(waivers: Collection[str]) -> dict[str, tuple[str, str, str]]:
    """What each waiver lifts: policy, rule, and its digest. No query where none was used."""
    if not waivers:
        return {}
    rows = Waiver.objects.filter(pk__in=waivers).values_list("pk", "policy__slug", "rule", "digest")
    return {str(pk): (policy, rule, digest) for pk, policy, rule, digest in rows}


def _past(person: User, row: tuple[Any, ...], seen: Hindsight, lifted: Mapping[str, tuple[str, str, str]]) -> Past:
    pk, unit, agent, connector, parameters, amount_minor, currency, state, erased_at, *told = row
    unit_id, classed, facts, effect, waivers = told
    hide = hidden_for(person, classed, unit=unit_id, place=Shown.TRACE) if classed else ()
    used = frozenset(lifted[told["id"]] for told in waivers or () if told["id"] in lifted)
    later = LATER.get(state)
    if seen.is_overturned and later is Later.WELL:
        later = Later.OVERTURNED
    hidden = {slug: classed[slug] for slug in hide}
    quoting = _quoting(hidden, parameters, facts or {}) if hidden else frozenset()
    return Past(
        Kept(facts, connector, parameters, erased_at is not None, seen.is_edited, used, hidden, quoting),
        Case(pk, unit, agent or "", amount_minor, currency, seen.decided, later),
        effect or "",
    )


def _quoting(hidden: Classed, parameters: Any, facts: Mapping[str, Any]) -> frozenset[str]:
    """The facts in which something hidden stands, such as the target; a short text where it stands alone."""
    veil = Veil([(hidden, parameters)])
    exact = {str(value) for paths in hidden.values() for path in paths for value in values_at(parameters, path)}
    return frozenset(name for name, value in facts.items() if str(value) in exact or veil.over(value) != value)


def hindsight_of(ids: Collection[UUID]) -> Mapping[UUID, Hindsight]:
    """What people made of actions, from the floor above that knows (``settings.POLICY_HINDSIGHT``)."""
    ask = cast("Callable[[Collection[UUID]], Mapping[UUID, Hindsight]]", import_string(settings.POLICY_HINDSIGHT))
    return ask(ids)


def paces_of(queues: Collection[str]) -> Mapping[str, float]:
    """Seconds that a decision takes in each queue, from the same floor (``settings.POLICY_PACES``)."""
    ask = cast("Callable[[Collection[str]], Mapping[str, float]]", import_string(settings.POLICY_PACES))
    return ask(queues)


def currency_of(simulation: Simulation) -> str:
    """In what rules that name no currency state their amounts: that of the unit covered, or of the topmost."""
    which = {"slug": simulation.unit} if simulation.unit else {"parent": None}
    units = BusinessUnit.objects.filter(**which)
    return units.order_by("pk").values_list("currency", flat=True).first() or ""
