"""Judging the past once more, in memory and from the database, on one core: no action of it like another.

Two sets of rules: such as look at amounts, agents and workflows, as those of the sample company do, to which many
actions are alike; and such as read long parameters, of actions that differ where these rules look in one of two hundred
ways, and of actions that differ there each from every other.
"""

import json
import statistics
import time
from dataclasses import replace
from datetime import timedelta
from math import exp
from random import Random
from typing import Any

from django.db import connection
from django.utils import timezone

from apps.agents.models import Action
from apps.policies.models import Simulation
from apps.policies.rules import compile_rule, judge, read_rules
from apps.policies.rules.alike import AMOUNT, Trial
from apps.policies.rules.replay import Kept
from apps.policies.services.simulations import judge_on, start_simulation
from bench.policies import documents, facts
from tests.factories.access import make_admin, make_queue
from tests.factories.agents import make_action, make_agent
from tests.factories.policies import make_policy

ACTIONS, TIMES, MILLION = 20_000, 5, 1_000_000
LATER = "action.amount_minor > 123456"
"""The draft differs in one rule."""
VENDORS = 200
SPREAD = "floor(exp(4 + 9 * random()))::bigint"
"""Amounts from 0.55 to 4,400.00, small ones more often."""
MULTIPLY = f"""
INSERT INTO agents_action ({{columns}})
SELECT {{values}} FROM agents_action a,
    LATERAL (SELECT {SPREAD} AS amount, i FROM generate_series(1, %s) AS i) AS n WHERE a.id = %s
"""
PLAIN = (
    "agent.slug != '' && action.amount_minor <= {n}000",
    "action.amount_minor > {n}000",
    "agent.slug == '' && run.workflow == 'purchase-order'",
    "action.effect == 'write'",
    "agent.risk in ['high', 'critical'] && action.amount_minor > {n}00",
)


def plain(count: int) -> list[dict[str, Any]]:
    """``count`` rules that read no parameters."""
    rules: list[dict[str, Any]] = documents(count)
    return [{**rule, "when": PLAIN[n % len(PLAIN)].format(n=n + 1)} for n, rule in enumerate(rules)]


def parameters_of(number: int, whole: dict[str, Any], *, alike: bool) -> dict[str, Any]:
    """One action's: its text is its own; so is one quantity, which the rules read, unless they are ``alike``."""
    first, *lines = whole["lines"]
    own = {**first, "text": f"{number:040}", "quantity": 1 if alike else number + 1}
    return {**whole, "vendor": f"V-{number % VENDORS}", "lines": [own, *lines]}


def measure_pure(documents: list[dict[str, Any]], *, alike: bool = True) -> float:
    """Actions a second of processor time: what is in force and a draft; median of five, each with other amounts."""
    rules = [compile_rule(rule, policy="bench", version=1) for rule in read_rules(documents)[0]]
    draft = [compile_rule(rule, policy="bench") for rule in read_rules(drafted(documents))[0]]
    asked, chance = facts(), Random(7)
    told = judge(rules, asked).facts
    found = []
    for _ in range(TIMES):
        trial = Trial([lambda _operation: rules, lambda _operation: draft])
        past = [
            Kept(
                json.loads(json.dumps({**told, AMOUNT: int(exp(chance.uniform(4, 13)))})),
                "erp",
                parameters_of(number, asked.parameters, alike=alike),
            )
            for number in range(5_000)
        ]
        began = time.process_time()
        for kept in past:
            trial.replay(kept)
        found.append(len(past) / (time.process_time() - began))
    return statistics.median(found)


def drafted(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*rules[:-1], {**rules[-1], "when": LATER}]


def measure_whole(
    documents: list[dict[str, Any]], actions: int = ACTIONS, *, alike: bool = True
) -> tuple[float, float]:
    """Actions a second of this process's time, and of the clock: read, replayed, counted, written; median of five."""
    admin, queue = make_admin(), make_queue()
    rules = [{**rule, "queue": queue.slug} if "queue" in rule else rule for rule in documents]
    agent, asked = make_agent(), facts()
    policy = make_policy(*rules, unit=agent.unit)
    compiled = [compile_rule(rule, policy=policy.slug, unit=agent.unit.slug) for rule in read_rules(rules)[0]]
    asked = replace(asked, units=frozenset({agent.unit.slug}), agent=replace(asked.agent, slug=agent.slug))
    action = make_action(
        agent=agent,
        parameters=asked.parameters,
        verdict=judge(compiled, asked).as_json(),
        operation=asked.operation,
        amount_minor=4_500,
        currency="EUR",
        state="succeeded",
    )
    _multiply(action, actions - 1, alike=alike)
    busy, clock = [], []
    for _ in range(TIMES):
        now = timezone.now() + timedelta(minutes=1)
        made = start_simulation(admin, policy=policy, rules=drafted(rules), since=now - timedelta(days=1), until=now)
        began, started = time.process_time(), time.perf_counter()
        while judge_on():
            pass
        busy.append(actions / (time.process_time() - began))
        clock.append(actions / (time.perf_counter() - started))
        done = Simulation.objects.get(pk=made.pk)
        if (done.state, done.done, done.gaps) != ("done", actions, {}):
            raise SystemExit(f"It counted {done.done} of {actions}: {done.state}, {done.gaps}.")
    return statistics.median(busy), statistics.median(clock)


def _multiply(action: Action, times: int, *, alike: bool) -> None:
    """The same action under other ids, with other amounts and parameters, in the database itself."""
    own = f"jsonb_set(a.parameters, '{{vendor}}', to_jsonb('V-' || n.i %% {VENDORS}))"
    own = f"jsonb_set({own}, '{{lines,0,text}}', to_jsonb(lpad(n.i::text, 40, '0')))"
    columns = [field.column for field in Action._meta.concrete_fields]
    other = {
        "id": "uuidv7()",
        "amount_minor": "n.amount",
        "parameters": own if alike else f"jsonb_set({own}, '{{lines,0,quantity}}', to_jsonb(n.i + 1))",
        "verdict": f"jsonb_set(a.verdict, '{{facts,{AMOUNT}}}', to_jsonb(n.amount))",
    }
    values = [other.get(name, f"a.{name}") for name in columns]
    with connection.cursor() as cursor:
        cursor.execute(MULTIPLY.format(columns=", ".join(columns), values=", ".join(values)), [times, action.pk])
        cursor.execute("ANALYZE agents_action")
