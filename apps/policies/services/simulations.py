"""Trying rules on the past: begun by a person, done by a worker batch by batch. It changes nothing but its own row."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.audit.services import advance, record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.gate import holds, require, require_human
from apps.core.models import ClockTimestamp, User
from apps.core.queue import ring
from apps.core.rules import digest_of
from apps.core.services import system_user
from apps.policies.models import Policy, PolicyVersion, Simulation
from apps.policies.rules.alike import Trial
from apps.policies.rules.levers import Lever, levers_of
from apps.policies.rules.replay import Gap
from apps.policies.rules.simulations import MAX_ACTIONS, MAX_DAYS, SimulationState
from apps.policies.rules.tallies import Tally, tally_of
from apps.policies.selectors import release_number
from apps.policies.selectors.simulations import (
    Past,
    next_past_of,
    past_of,
    refuse_unseen_past,
    running_for,
    trial_of,
)
from apps.policies.services.policies import PUBLISH, require_quick, require_sound

VIEW = "policies.view_policy"
LEAST = timedelta(days=1)
"""Of less than a day nothing is said by the day."""
BATCH = 500
"""A worker's thread is taken for so many actions at a time, some tenths of a second."""


@transaction.atomic
def start_simulation(
    actor: User,
    *,
    policy: Policy,
    since: datetime,
    until: datetime,
    version: PolicyVersion | None = None,
    rules: list[dict[str, Any]] | None = None,
    lever: str = "",
) -> Simulation:
    """Try a version of ``policy``, ``rules`` that stand nowhere yet, or one amount at several steps, on the past.

    ``lever``: a rule in force whose amount is turned. Raises InvalidError at ``rules``, ``lever``, ``since`` or
    ``until``; NotAllowedError where it covers more than ``actor`` may see; ConflictError where the same person's last
    one still runs, with its id.
    """
    require_human(actor)
    require(actor, VIEW, policy)
    until = min(until, timezone.now())  # what comes later has not come yet, and would never be all there
    _require_range(since, until)
    wanted = _wanted(policy, version, rules, lever)
    if version is None:
        require_sound(actor, wanted, policy=policy)
    require_quick(wanted)
    turning = _lever(wanted, lever) if lever else None
    if running := running_for(actor):
        raise ConflictError(_("Your last simulation still runs; wait for it, or cancel it."), simulation=running.pk)
    made = Simulation(
        policy=policy,
        person=actor,
        version=version,
        base=policy.in_force,
        unit=version.unit if version else policy.unit.slug if policy.unit else "",
        rules=wanted,
        digest=digest_of(wanted),
        lever={**asdict(turning), "steps": list(turning.steps)} if turning else None,
        release=release_number(actor),
        since=since,
        until=until,
    )
    refuse_unseen_past(actor, made)
    past = past_of(made)
    if first := past.first():  # days before there was anything to look at would only thin out what is said of a day
        made.since = max(since, min(first.created_at, until - LEAST))
    made.total = past.count()
    if made.total > MAX_ACTIONS:
        raise InvalidError(errors={"since": [_("That are %d actions; at most a million.") % made.total]})
    made.tallies = [Tally().as_json() for _step in (turning.steps if turning else (0,))]
    _create(made)
    told: dict[str, Any] = {"policy": policy.slug, "digest": made.digest, "release": made.release, "items": made.total}
    record(
        actor,
        made,
        SimulationState.RUNNING,
        payload={**told, "since": made.since.isoformat(), "until": until.isoformat(), "rule": lever},
    )
    ring("simulations")
    return made


def _create(made: Simulation) -> None:
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError as error:  # two requests of one person at once
        raise ConflictError(_("Your last simulation still runs; wait for it, or cancel it.")) from error


def _require_range(since: datetime, until: datetime) -> None:
    if not since < until:
        raise InvalidError(errors={"until": [_("The end comes after the beginning.")]})
    if (until - since).days > MAX_DAYS:
        raise InvalidError(errors={"since": [_("At most %d days.") % MAX_DAYS]})


def _wanted(
    policy: Policy, version: PolicyVersion | None, rules: list[dict[str, Any]] | None, lever: str
) -> list[dict[str, Any]]:
    if [version is not None, rules is not None, bool(lever)].count(True) != 1:
        raise InvalidError(errors={"version": [_("Say one of: a version, rules, a lever.")]})
    if version is not None:
        return list(version.rules)
    if rules is not None:
        return rules
    if policy.in_force is None:
        raise InvalidError(errors={"lever": [_("The policy is not in force; there is nothing to turn.")]})
    return list(policy.in_force.rules)


def _lever(rules: Sequence[dict[str, Any]], name: str) -> Lever:
    known = levers_of(rules)
    if found := next((lever for lever in known if name in lever.rules), None):
        return found
    names = ", ".join(sorted(rule for lever in known for rule in lever.rules)) or _("none")
    raise InvalidError(errors={"lever": [_("No amount of this rule can be turned. These rules have one: %s.") % names]})


@transaction.atomic
def cancel_simulation(actor: User, *, simulation: Simulation) -> Simulation:
    """End one that runs; what it counted so far stays. Whoever started it, or publishes the policy, may."""
    require_human(actor)
    if simulation.person_id != actor.pk and not holds(actor, PUBLISH, simulation.policy):
        raise NotAllowedError
    return advance(actor, simulation, SimulationState.CANCELLED, finished_at=ClockTimestamp())


CLAIM = """
UPDATE policies_simulation SET claimed_until = clock_timestamp() + interval '60 seconds'
WHERE id = (SELECT id FROM policies_simulation WHERE state = 'running' AND claimed_until <= clock_timestamp()
            ORDER BY claimed_until, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id
"""


def judge_on() -> int:
    """Judge the next actions for the simulation that waits longest; how many were looked at, at least 1 if any waited.

    The claim commits first, so that a worker that dies holds it up for a minute. What a batch counted is written with
    how far it came, and only by the one who still finds it where it was: no action is counted twice.
    """
    with connection.cursor() as cursor:
        cursor.execute(CLAIM)
        found = cursor.fetchone()
    if found is None:
        return 0
    simulation = Simulation.objects.select_related("policy", "base", "person").get(pk=found[0])
    try:
        trial = trial_of(simulation.pk)
    except (KeyError, TypeError, ValueError):
        _end(simulation, SimulationState.FAILED)
        return 1
    past = next_past_of(simulation, limit=BATCH, with_parameters=trial.reads_parameters)
    _write(simulation, past, trial)
    if len(past) < BATCH:
        _end(simulation, SimulationState.DONE)
    return len(past) or 1


def _write(simulation: Simulation, past: Sequence[Past], trial: Trial) -> None:
    tallies = [tally_of(stored) for stored in simulation.tallies]
    gaps, otherwise, waived = dict(simulation.gaps), 0, 0
    for one in past:
        told = trial.replay(one.kept)
        if isinstance(told, Gap):
            gaps[told] = gaps.get(told, 0) + 1
            continue
        before, *after = told
        otherwise += before.effect != one.effect
        waived += any(each.is_waived for each in told)
        for tally, replayed in zip(tallies, after, strict=True):
            tally.add(one.case, before, replayed)
    mine = Simulation.objects.filter(pk=simulation.pk, state=SimulationState.RUNNING, cursor=simulation.cursor)
    if past:
        mine.update(
            cursor=past[-1].case.id,
            done=F("done") + len(past),
            judged_otherwise=F("judged_otherwise") + otherwise,
            waived=F("waived") + waived,
            gaps=gaps,
            tallies=[tally.as_json() for tally in tallies],
            claimed_until=ClockTimestamp(),
        )


def _end(simulation: Simulation, state: SimulationState) -> None:
    with transaction.atomic():
        row = Simulation.objects.select_for_update().get(pk=simulation.pk)
        if row.state == SimulationState.RUNNING:
            counts: dict[str, Any] = {"items": row.done}
            advance(system_user("plane"), row, state, payload=counts, finished_at=ClockTimestamp())
