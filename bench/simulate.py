"""Judging the past once more: 50 rules on 3 KB of parameters, in memory and from the database, on one core."""

import json
import statistics
import time
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from apps.agents.models import Action
from apps.policies.models import Simulation
from apps.policies.rules import compile_rule, judge, read_rules
from apps.policies.rules.replay import Kept, replay
from apps.policies.services.simulations import judge_on, start_simulation
from bench.policies import documents, facts
from tests.factories.access import make_admin, make_queue
from tests.factories.agents import make_action, make_agent
from tests.factories.policies import make_policy

ACTIONS, TIMES, MILLION = 20_000, 5, 1_000_000
LATER = "action.amount_minor > 123456"
"""The draft differs in one rule."""
MULTIPLY = """
INSERT INTO agents_action ({columns}) SELECT {values} FROM agents_action a, generate_series(1, %s) WHERE a.id = %s
"""


def measure_pure() -> float:
    """Replays a second of processor time: what is in force and a draft, of fifty rules each; median of five."""
    rules = [compile_rule(rule, policy="bench", version=1) for rule in read_rules(documents(50))[0]]
    draft = [compile_rule(rule, policy="bench") for rule in read_rules(drafted(documents(50)))[0]]
    asked = facts()
    kept = Kept(json.loads(json.dumps(judge(rules, asked).facts)), "erp", asked.parameters)
    sets = [lambda _operation: rules, lambda _operation: draft]
    found = []
    for _ in range(TIMES):
        began = time.process_time()
        for _ in range(2_000):
            replay(kept, sets)
        found.append(2_000 / (time.process_time() - began))
    return statistics.median(found)


def drafted(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*rules[:-1], {**rules[-1], "when": LATER}]


def measure_whole() -> tuple[float, float]:
    """Actions a second of this process's time, and of the clock: read, replayed, counted, written; median of five."""
    admin, queue = make_admin(), make_queue()
    rules = [{**rule, "queue": queue.slug} if "queue" in rule else rule for rule in documents(50)]
    policy = make_policy(*rules)
    agent, asked = make_agent(), facts()
    compiled = [compile_rule(rule, policy=policy.slug, version=1) for rule in read_rules(rules)[0]]
    action = make_action(
        agent=agent,
        parameters=asked.parameters,
        verdict=judge(compiled, asked).as_json(),
        operation=asked.operation,
        amount_minor=4_500,
        currency="EUR",
        state="succeeded",
    )
    _multiply(action, ACTIONS - 1)
    busy, clock = [], []
    for _ in range(TIMES):
        now = timezone.now() + timedelta(minutes=1)
        made = start_simulation(admin, policy=policy, rules=drafted(rules), since=now - timedelta(days=1), until=now)
        began, started = time.process_time(), time.perf_counter()
        while judge_on():
            pass
        busy.append(ACTIONS / (time.process_time() - began))
        clock.append(ACTIONS / (time.perf_counter() - started))
        done = Simulation.objects.get(pk=made.pk)
        if (done.state, done.done, done.gaps) != ("done", ACTIONS, {}):
            raise SystemExit(f"It counted {done.done} of {ACTIONS}: {done.state}, {done.gaps}.")
    return statistics.median(busy), statistics.median(clock)


def _multiply(action: Action, times: int) -> None:
    """The same action under other ids, in the database itself."""
    columns = [field.column for field in Action._meta.concrete_fields]
    values = ["uuidv7()" if name == "id" else f"a.{name}" for name in columns]
    with connection.cursor() as cursor:
        cursor.execute(MULTIPLY.format(columns=", ".join(columns), values=", ".join(values)), [times, action.pk])
        cursor.execute("ANALYZE agents_action")
