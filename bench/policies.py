"""How fast rules judge: 50 rules on 3 KB of parameters, in one process, without the database and with it.

``python bench/policies.py`` prints medians of processor time, so that other work on the machine matters less.
With ``--database`` it also measures ``evaluate_action`` (one query) on the configured database, in a transaction that
is rolled back.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from apps.core.rules import digest_of
from apps.policies.rules import AgentFacts, Facts, RuleInForce, compile_rule, judge, read_rules

SHAPES = (
    "action.amount_minor <= {n}00",
    "action.amount_minor > {n}000 && action.currency == 'EUR'",
    "agent.risk in ['high', 'critical'] && action.effect == 'irreversible'",
    "has(action.parameters.vendor) && action.parameters.vendor.startsWith('V-{n}')",
    "action.parameters.lines.all(l, l.quantity > 0) && run.workflow == 'purchase-order'",
)
EFFECTS = ("allow", "require_approval", "deny", "flag", "allow")


def documents(count: int) -> list[dict[str, object]]:
    """``count`` rules of five shapes and all effects."""
    rules = []
    for n in range(count):
        effect = EFFECTS[n % len(EFFECTS)]
        queue = {"queue": "finance"} if effect == "require_approval" else {}
        when = SHAPES[n % len(SHAPES)].format(n=n)
        rules.append({"slug": f"rule{n}", "when": when, "effect": effect, **queue})
    return rules


def compiled(count: int) -> list[RuleInForce]:
    """The same, ready to judge."""
    rules, findings = read_rules(documents(count))
    assert not findings, findings
    return [compile_rule(rule, policy="bench", version=1) for rule in rules]


def facts() -> Facts:
    """A purchase of thirty lines, about 3 KB."""
    lines = [{"sku": f"SKU-{n:06}", "quantity": n + 1, "price_minor": 1_000 + n, "text": "x" * 40} for n in range(30)]
    parameters = {"vendor": "V-1", "lines": lines}
    return Facts(
        operation="erp.create_purchase_order",
        effect="irreversible",
        amount_minor=4_500,
        currency="EUR",
        parameters=parameters,
        parameters_digest=digest_of(parameters),
        agent=AgentFacts(slug="buyer", risk="medium", state="active", owner="uma"),
        units=frozenset({"finance"}),
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )


def median_us(work: Callable[[], object], times: int) -> float:
    """Median processor time of ``work``, in microseconds."""
    taken = []
    for _ in range(times):
        start = time.process_time_ns()
        work()
        taken.append(time.process_time_ns() - start)
    return statistics.median(taken) / 1_000


def with_database(times: int) -> float:
    """Median of ``evaluate_action`` on a release of 50 rules."""
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
    django.setup()
    from django.db import transaction

    from apps.access.models import Queue
    from apps.core.services import system_user
    from apps.policies.services import apply_policy, evaluate_action

    with transaction.atomic():
        actor = system_user("console")
        queues = list(Queue.objects.values_list("slug", flat=True)[:1])
        rules = [{**rule, "queue": queues[0]} if "queue" in rule and queues else rule for rule in documents(50)]
        rules = [rule for rule in rules if "queue" not in rule or queues]
        apply_policy(actor, slug="bench", name="Bench", rules=rules)
        found = replace(facts(), now=None, units=None)
        taken = []
        for _ in range(times):
            start = time.perf_counter_ns()
            evaluate_action(actor, facts=found)
            taken.append(time.perf_counter_ns() - start)
        transaction.set_rollback(True)
    return statistics.median(taken) / 1_000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=500)
    parser.add_argument("--database", action="store_true")
    options = parser.parse_args()
    rules, asked = compiled(50), facts()
    for name, number in (("10 rules", 10), ("50 rules", 50)):
        print(f"judge, {name:<12} {median_us(lambda n=number: judge(rules[:n], asked), options.times):8.0f} us")
    print(f"context alone        {median_us(asked.activation, options.times):8.0f} us")
    print(f"as stored            {median_us(lambda: judge(rules, asked).as_json(), options.times):8.0f} us")
    if options.database:
        print(f"evaluate_action      {with_database(options.times):8.0f} us (wall)")


if __name__ == "__main__":
    main()
