"""What got clearly worse: nothing, as a rule, where nothing changed; and what did is still said."""

from random import Random

import pytest

from apps.kpis.rules.definitions import DEFINITIONS
from apps.kpis.rules.figures import Figure, figure_of
from apps.kpis.rules.sentences import Compared, attention_sentence
from apps.kpis.rules.statistics import order_ranks, percentile

SHARES = {"error_rate": 0.05, "sla_adherence": 0.93, "escalation_rate": 0.2}
MEDIANS = {"cycle_time_p50_s": 3_000.0, "approval_latency_p50_s": 900.0}
RANKS = {n: order_ranks(n, 0.5) for n in (40, 100, 250)}


def share(key: str, of: float, n: int, source: Random) -> Figure:
    definition = DEFINITIONS[key]
    top = sum(source.random() < of for _ in range(n))
    return figure_of(definition, {definition.numerator: top, definition.denominator: n}, "EUR")


def median(key: str, usual: float, n: int, source: Random) -> Figure:
    values = sorted(source.lognormvariate(0, 1) * usual for _ in range(n))
    low, high = (values[(rank or 1) - 1] for rank in RANKS[n])
    return Figure(DEFINITIONS[key], percentile(values, 0.5), n, "EUR", low=low, high=high)


def week_of(source: Random, workflows: int, n: int, *, failing: float = SHARES["error_rate"]) -> list[Compared]:
    """Five figures of each workflow, alike in both weeks but for how often the first one fails."""
    found = []
    for at in range(workflows):
        for key, of in SHARES.items():
            after = failing if key == "error_rate" and not at else of
            found.append(
                Compared(workflow=f"w{at}", name="", now=share(key, after, n, source), was=share(key, of, n, source))
            )
        for key, usual in MEDIANS.items():
            now, was = (median(key, usual, n, source) for _ in range(2))
            found.append(Compared(workflow=f"w{at}", name="", now=now, was=was))
    return found


@pytest.mark.parametrize(("workflows", "n"), [(1, 100), (10, 40), (10, 100), (10, 250)])
def test_unchanged_weeks_are_said_to_be_worse_in_one_of_twenty_at_most(workflows: int, n: int) -> None:
    source, weeks = Random(7), 120
    said = [attention_sentence(week_of(source, workflows, n), None, 0).kpi for _ in range(weeks)]
    assert sum(map(bool, said)) <= 0.05 * weeks


def test_what_did_get_worse_is_said_among_many() -> None:
    found = [attention_sentence(week_of(Random(seed), 10, 250, failing=0.25), None, 0) for seed in range(20)]
    assert [(one.workflow, one.kpi) for one in found] == [("w0", "error_rate")] * 20


def test_what_few_runs_show_is_neither_said_nor_counted_among_what_was_asked() -> None:
    source = Random(7)
    few = [
        Compared(workflow="few", name="", now=share("error_rate", 1, 9, source), was=share("error_rate", 0, 9, source))
    ]
    assert not attention_sentence(few, None, 0).kpi
    (clear,) = [one for one in week_of(source, 1, 100, failing=0.19) if one.now.definition.key == "error_rate"]
    assert attention_sentence([clear, *few * 1_000], None, 0).kpi == "error_rate"
