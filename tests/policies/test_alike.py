"""What is remembered of alike actions is what each would have come to by itself; what rules look at tells apart."""

from dataclasses import replace as changed
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apps.policies.rules import RunFacts
from apps.policies.rules.alike import Trial, telling_of
from apps.policies.rules.replay import Gap, Kept, replay
from tests.factories.policies import make_rule
from tests.policies.test_replay import facts_of, kept_of, rules_of, sets_of

BOARD = {"n": 2, "over_minor": 500, "queue": "board"}
ASKS: dict[str, Any] = {
    "effect": "require_approval",
    "queue": "finance",
    "obligations": {"quorum": [{"n": 1}, BOARD]},
}
RULES = rules_of(
    make_rule(when="action.amount_minor <= 100", obligations={"limit": {"amount_minor": 90}}),
    make_rule(when="1000 > action.amount_minor && agent.slug != 'odd'"),
    make_rule(when="action.amount_minor > 100", **ASKS),
    make_rule(effect="deny", when="action.amount_minor == 700 || action.target == 'DE9'", currency="EUR"),
    make_rule(effect="deny", when="run.workflow == 'w' && action.amount_minor >= 40", scope={"connectors": ["erp"]}),
    make_rule(effect="deny", when="action.amount_minor / 3 == 5", scope={"environments": ["test"]}),
)  # fmt: skip
PLAIN = RULES[:-1]
READING = rules_of(
    make_rule(when="action.parameters.total == 1"),
    make_rule(effect="deny", when="action.parameters.vendor.country == 'DE' && action.amount_minor > 100"),
    make_rule(when="has(action.parameters.memo)", **ASKS),
    make_rule(effect="flag", when="action.parameters.lines.all(l, l.quantity > 0)"),
    make_rule(effect="deny", when="action.parameters.lines.exists(l, l.sku == 'bad')", scope={"connectors": ["erp"]}),
)
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3)
PARAMETERS = st.fixed_dictionaries(
    {"vendor": st.fixed_dictionaries({"country": st.sampled_from(["DE", "FR"]), "name": WORDS})},
    optional={
        "total": st.sampled_from([1, 1.0, True, "1", None, 2]),
        "memo": WORDS,
        "other": st.integers(0, 9),
        "lines": st.lists(
            st.fixed_dictionaries(
                {"quantity": st.integers(0, 1)}, optional={"sku": st.sampled_from(["bad", "ok"]), "text": WORDS}
            ),
            max_size=2,
        ),
    },
)
AMOUNTS = st.one_of(
    st.none(), st.integers(-5, 1200), st.sampled_from([39, 40, 41, 89, 90, 91, 99, 100, 101, 500, 501, 700, 999, 1000])
)


@given(
    asked=st.lists(
        st.tuples(
            AMOUNTS,
            st.sampled_from(["EUR", "USD"]),
            st.sampled_from(["odd", "even"]),
            st.sampled_from(["DE9", "DE1"]),
            st.sampled_from(["", "w"]),
            st.sampled_from(["erp", "bank"]),
            st.booleans(),
        ),
        min_size=2,
        max_size=30,
    ),
    lifted=st.booleans(),
)
@example(asked=[(90, "EUR", "odd", "DE1", "", "bank", True), (91, "EUR", "odd", "DE1", "", "bank", True)], lifted=False)
def test_it_comes_to_what_each_comes_to_by_itself(asked: list[tuple[Any, ...]], lifted: bool) -> None:
    for rules in (PLAIN, RULES):
        sets = sets_of(rules, rules[1:])
        trial = Trial(sets)
        for amount, currency, agent, target, workflow, connector, compensable in asked:
            facts = facts_of(
                amount_minor=amount,
                currency=currency,
                target=target,
                connector=connector,
                is_compensable=compensable,
                run=RunFacts(workflow=workflow),
            )
            facts = changed(facts, agent=changed(facts.agent, slug=agent))
            kept = kept_of(facts, lifted=frozenset({("p", "no-rule", "digest")}) if lifted else frozenset())
            assert trial.replay(kept) == replay(kept, sets)


@given(asked=st.lists(st.tuples(PARAMETERS, st.sampled_from([100, 101])), min_size=2, max_size=20))
def test_so_it_does_where_rules_read_parameters(asked: list[tuple[dict[str, Any], int]]) -> None:
    sets = sets_of(READING, READING[1:])
    assert telling_of(READING) is not None
    trial = Trial(sets)
    for parameters, amount in asked:
        kept = kept_of(facts_of(parameters=parameters, amount_minor=amount))
        assert trial.replay(kept) == replay(kept, sets)


def counted_replays(monkeypatch: pytest.MonkeyPatch) -> list[Kept]:
    judged = []

    def counted(kept: Kept, sets: Any) -> Any:
        judged.append(kept)
        return replay(kept, sets)

    monkeypatch.setattr("apps.policies.rules.alike.replay", counted)
    return judged


def test_what_differs_in_nothing_that_is_read_is_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = counted_replays(monkeypatch)
    trial = Trial(sets_of(READING))
    for n in range(50):
        parameters = {"total": 1, "vendor": {"country": "DE", "name": f"V-{n}"}, "lines": [], "other": n}
        trial.replay(kept_of(facts_of(parameters=parameters)))
    assert [kept.parameters for kept in judged] == [{"total": 1, "vendor": {"country": "DE"}, "lines": []}]
    for other in ({"total": 1.0}, {"total": True}, {"total": "1"}, {"vendor": {"country": "FR"}}, {"memo": ""}):
        parameters = {"total": 1, "vendor": {"country": "DE"}, "lines": [], **other}
        trial.replay(kept_of(facts_of(parameters=parameters)))
    assert len(judged) == 6


def test_amounts_between_two_that_rules_name_are_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = counted_replays(monkeypatch)
    trial = Trial(sets_of(PLAIN))
    for amount in range(101, 500):
        trial.replay(kept_of(facts_of(amount_minor=amount)))
    assert len(judged) == 1
    trial.replay(kept_of(facts_of(amount_minor=100)))
    trial.replay(kept_of(facts_of(amount_minor=500)))
    trial.replay(kept_of(facts_of(amount_minor=501)))
    assert len(judged) == 4


@pytest.mark.parametrize(
    "when",
    [
        "size(action.parameters) > 1",
        "now > timestamp('2026-01-01T00:00:00Z')",
        "action.confidence > 0.5",
        "'pii' in action.data_classes",
        "history.count('bank.pay', '1d', 'agent') > 3",
    ],
)
def test_what_is_hardly_ever_the_same_is_not_remembered(when: str) -> None:
    assert telling_of(rules_of(make_rule(when=when))) is None


@pytest.mark.parametrize(
    ("when", "steps"),
    [
        ("action.amount_minor > 5 && 9 >= action.amount_minor", (5, 9)),
        ("action.amount_minor > 5 && action.amount_minor % 2 == 0", None),
        ("double(action.amount_minor) > 5.5", None),
        ("action.amount_minor in [1, 2]", None),
        ("action.currency == 'EUR'", ()),
    ],
)
def test_only_a_comparison_with_a_number_makes_steps(when: str, steps: tuple[int, ...] | None) -> None:
    told = telling_of(rules_of(make_rule(when=when)))
    assert told is not None
    assert ("action.amount_minor" in told.names) == (steps is None)
    assert steps is None or told.steps == steps


def test_what_was_not_kept_is_said_as_before() -> None:
    trial = Trial(sets_of(PLAIN))
    kept = kept_of(facts_of(amount_minor=5))
    assert trial.replay(kept) == replay(kept, trial.sets)
    assert trial.replay(kept_of(facts_of(amount_minor=5), is_erased=True)) is Gap.ERASED
    assert trial.replay(kept_of(facts_of(amount_minor=5), is_edited=True)) is Gap.EDITED
    assert trial.replay(Kept(None)) is Gap.FACTS
    assert kept.facts is not None
    odd = {name: value for name, value in kept.facts.items() if name != "agent.owner"}
    assert trial.replay(Kept(odd)) is Gap.UNFIT
    assert trial.replay(Kept({**kept.facts, "action.target": ["a"]})) is Gap.UNFIT


def test_a_leading_dot_names_the_same_fact() -> None:
    (dotted,) = rules_of(make_rule(when="[1].exists(action, .action.amount_minor > 500)"))
    assert dotted.program.reads == {"action.amount_minor"}
    told = telling_of([dotted])
    assert told is not None
    assert told.steps == (500,)
    kept = [kept_of(facts_of(amount_minor=amount)) for amount in (500, 501)]
    trial = Trial(sets_of([dotted]))
    assert [replay(each, trial.sets) for each in kept] == [trial.replay(each) for each in kept]
    assert [one.effect for each in kept for one in trial.replay(each)] == ["deny", "allow"]
