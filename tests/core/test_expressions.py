"""The expression adapter: what compiles, what comes back, and what it refuses."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.expressions import (
    Activation,
    ContextError,
    Declarations,
    EvaluationError,
    ExpressionError,
    Function,
    FunctionCall,
    Kind,
    Limits,
    Program,
    check_expression,
    compile_expression,
    path_of,
    walk,
)
from apps.core.expressions.trial import slow_expressions, worst_contexts

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
COUNT = Function("history.count", (Kind.STRING, Kind.STRING, Kind.STRING))
WORLD = Declarations(
    {
        "action.amount_minor": Kind.INT,
        "action.currency": Kind.STRING,
        "action.parameters": Kind.MAP,
        "agent.capabilities": Kind.STRINGS,
        "now": Kind.TIMESTAMP,
        "input": Kind.MAP,
        "steps": Kind.MAP,
        "item": Kind.DYN,
    },
    functions=(COUNT,),
)
FACTS: dict[str, Any] = {
    "action.amount_minor": 125_000,
    "action.currency": "EUR",
    "action.parameters": {"iban": "DE00", "lines": [{"qty": 1}, {"qty": 2}], "note": None},
    "agent.capabilities": ["invoice.pay"],
    "now": NOW,
    "input": {"suppliers": ["a", "b"], "amount": 3, "x-y": 4},
    "steps": {"select": {"vendor": "acme", "decided_by": ["ada"]}},
    "item": "a",
}


def run(source: str, world: Declarations = WORLD, **values: Any) -> Any:
    facts = FACTS if world is WORLD else {}
    return compile_expression(source, world).evaluate(world.activation({**facts, **values}))


OPERATORS = st.sampled_from(["+", "-", "*", "/", "%", "==", "<", "&&", "||", "in"])
SOURCES = st.recursive(
    st.sampled_from(["input.amount", "1", "'a'", "true", "item"]),
    lambda below: st.one_of(
        st.tuples(below, OPERATORS, below).map(" ".join).map("({})".format),
        st.lists(below, max_size=3).map(", ".join).map("[{}]".format),
        below.map("!({})".format),
        below.map("size({})".format),
        below.map("[1, 2].exists(v, v == {})".format),
    ),
    max_leaves=8,
)
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(TEXTS, below, max_size=4),
    max_leaves=20,
)


class TestResults:
    @pytest.mark.parametrize(
        ("source", "value"),
        [
            ("action.amount_minor > 100000", True),
            ("action.amount_minor / 100", 1250),
            ("'po:' + input.suppliers[0]", "po:a"),
            ("has(action.parameters.missing)", False),
            ("has(action.parameters.note) && action.parameters.note == null", True),
            ("action.parameters.lines.all(l, l.qty > 0)", True),
            ("'invoice.pay' in agent.capabilities", True),
            ("steps.select", {"vendor": "acme", "decided_by": ["ada"]}),
            ("steps.select.decided_by + ['run']", ["ada", "run"]),
            ("input.suppliers.map(s, {'supplier': s})", [{"supplier": "a"}, {"supplier": "b"}]),
            ("input['x-y'] > 3 ? 2 : 1", 2),
            ("now - duration('1h')", NOW - timedelta(hours=1)),
            ("now", NOW),
            ("null", None),
            ("1.5", 1.5),
            ("b'a'", b"a"),
            ("[]", []),
            ("{}", {}),
            ("size('€')", 1),
        ],
    )
    def test_are_plain_python(self, source: str, value: object) -> None:
        result = run(source)
        assert result == value
        assert type(result) is type(value)

    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            ("action.parameters.missing > 3", "missing"),
            ("action.parameters.iban > 3", "overload"),
            ("input.amount / 0", "divide by zero"),
            ("9223372036854775807 + input.amount", "overflow"),
            ("[1][5] == 1", "index"),
            ("{'a': 1, 'a': input.amount}", "duplicate"),
            ("1.0 / 0.0", "finite"),
            ("{1: 2}", "not text"),
            ("'\\u0000'", "U+0000"),
            ("type(1)", "no result"),
            ("string(b'\\xff')", "UTF-8"),
        ],
    )
    def test_are_an_error_value_where_there_is_none(self, source: str, reason: str) -> None:
        result = run(source)
        assert isinstance(result, EvaluationError)
        assert reason.lower() in result.message.lower()
        assert "[" + "INVALID_ARGUMENT" not in result.message

    def test_a_missing_variable_is_an_error_value(self) -> None:
        program = compile_expression("item == 'a'", WORLD)
        assert isinstance(program.test(WORLD.activation({})), EvaluationError)

    def test_an_error_is_neither_true_nor_false(self) -> None:
        with pytest.raises(TypeError):
            bool(run("1 / 0"))

    def test_an_error_beside_a_certain_answer_does_not_count(self) -> None:
        assert run("action.parameters.missing > 3 || action.amount_minor > 1") is True
        assert run("action.parameters.missing > 3 && action.amount_minor < 1") is False

    @pytest.mark.parametrize("source", ["input.amount", "'true'", "null", "[true]"])
    def test_a_condition_is_true_false_or_an_error(self, source: str) -> None:
        assert isinstance(compile_expression(source, WORLD).test(WORLD.activation(FACTS)), EvaluationError)

    def test_one_activation_serves_many_programs(self) -> None:
        activation = WORLD.activation(FACTS)
        programs = [compile_expression(f"action.amount_minor > {limit}", WORLD) for limit in (0, 10**6)]
        assert [program.test(activation) for program in programs] == [True, False]

    def test_a_result_shared_a_million_times_is_not_copied(self) -> None:
        world = Declarations({"input": Kind.MAP})
        result = run("input.l.map(a, input.l.map(b, input.l))", world, input={"l": ["x"] * 90})
        assert isinstance(result, EvaluationError)


class TestCompiling:
    @pytest.mark.parametrize(
        ("source", "line", "column", "word"),
        [
            ("", 1, 1, "empty"),
            ("   ", 1, 1, "empty"),
            ("action.amount_minr > 1", 1, 7, "action.amount_minr"),
            ("action.amount_minor >", 1, 22, "It ends too early: something is missing after “>”."),
            ("action.amount_minor > 1\n  && foo", 2, 6, "foo"),
            ("action.amount_minor > 'a'", 1, 21, "“>” does not take a whole number with a text."),
            ("action.amount_minor > 1.5", 1, 21, "does not take a whole number with a number with a point"),
            ("if", 1, 1, "reserved"),
            ("history.count('a', '1d')", 1, 1, "history"),
            ("cel.bind(x, 1, x)", 1, 10, "x"),
            ("'a'.format([1])", 1, 11, "format"),
            ("𐍈 + 1", 1, 1, "“𐍈” is no sign that can stand here."),
            ("'a\ud800'", 1, 3, "U+D800"),
            ("true ||\n 1 \x00 2", 2, 4, "U+0000"),
        ],
    )
    def test_a_mistake_has_its_line_and_column(self, source: str, line: int, column: int, word: str) -> None:
        with pytest.raises(ExpressionError) as refusal:
            compile_expression(source, WORLD)
        assert (refusal.value.line, refusal.value.column) == (line, column)
        assert word in refusal.value.message
        assert "container" not in refusal.value.message

    @pytest.mark.parametrize(
        ("source", "column", "said"),
        [
            ("true & true", 6, "“&” is no sign here. Did you mean “&&”?"),
            ("true | true", 6, "“|” is no sign here. Did you mean “||”?"),
            ("item = 'a'", 6, "“=” is no sign here. Did you mean “==”?"),
            ("item === 'a'", 8, "“=” is no sign here. Did you mean “==”?"),
            ("item => 'a'", 6, "“=>” is no sign here. Did you mean “>=”?"),
            ("item <> 'a'", 7, "“<>” is no sign here. Did you mean “!=”?"),
            ("true and false", 6, "“and” is no word here. Did you mean “&&”?"),
            ("not true", 5, "“not” is no word here. Did you mean “!”?"),
            ("item like 'a'", 6, "“like” is no word here. Did you mean .contains(…)?"),
            ("item == “a”", 9, 'A text stands between straight quotes, such as "EUR".'),
            ("item == 'a", 9, "This text is not closed: a second ' is missing."),
            ("(1 > 2", 7, "“)” is missing at the end."),
            ("1 > 2)", 6, "No “(” stands before this “)”."),
            ("item in ['a'", 13, "“]” is missing at the end."),
            ("[1,,2] == [1]", 4, "A value is missing before “,”."),
            ("1 > 1,000", 6, "A number is written without separators, such as 1000."),
            ("true true", 6, "Between “true” and “true” a sign is missing, such as && or ==."),
            ("true;", 5, "Nothing closes an expression: leave “;” out."),
            ("true # why", 6, "A comment begins with “//”."),
            ("if true", 1, "“if” is reserved: it names nothing. A choice is written: condition ? one : other."),
            ("true ? 1", 9, "“:” is missing at the end. A choice is written: condition ? one : other."),
            ("steps.", 7, "It ends too early: something is missing after “steps.”."),
            ("!action.amount_minor", 1, "“!” does not take a whole number."),
            ("size(now)", 5, "“size” does not take a time."),
        ],
    )
    def test_what_cannot_be_read_is_said_once_in_words(self, source: str, column: int, said: str) -> None:
        (problem,) = check_expression(source, WORLD)
        assert (problem.line, problem.column, problem.message) == (1, column, said)

    @given(st.text(alphabet="ab1 ()[]{}.,:?!&|=<>+-*/%'\"#;~“\n", max_size=20))
    def test_no_word_of_the_parser_is_passed_on(self, source: str) -> None:
        for problem in check_expression(source, WORLD):
            assert not any(word in problem.message for word in ("EOF", "NUM_INT", "Syntax", "overload", "<<nil>>"))

    def test_all_mistakes_are_told_at_once(self) -> None:
        problems = check_expression("foo && bar", WORLD)
        assert [(problem.line, problem.column) for problem in problems] == [(1, 1), (1, 8)]
        assert check_expression("true", WORLD) == ()

    def test_the_kind_of_result_is_checked_where_it_can_be_known(self) -> None:
        assert check_expression("1 + 1", WORLD, returns=Kind.BOOL)
        assert check_expression("'a'", WORLD, returns=Kind.LIST)
        assert not check_expression("input.flag", WORLD, returns=Kind.BOOL)
        assert not check_expression("[1]", WORLD, returns=Kind.LIST)
        assert not check_expression("{'a': 1}", WORLD, returns=Kind.MAP)
        assert not check_expression("1", WORLD, returns=Kind.DYN)

    @given(st.text(max_size=60) | st.text("acdein.()[]{}'\"+-*/<>=&|!?:, 019\n\t", max_size=120))
    def test_any_text_compiles_or_is_refused_with_a_position(self, source: str) -> None:
        problems = check_expression(source, WORLD)
        assert all(problem.line >= 1 and problem.column >= 1 and problem.message for problem in problems)
        if not problems:
            run(source)

    @given(SOURCES)
    def test_whatever_compiles_evaluates_to_a_plain_value_or_an_error(self, source: str) -> None:
        if not check_expression(source, WORLD):
            result = run(source)
            assert result is None or isinstance(result, bool | int | float | str | list | dict | EvaluationError)


class TestHostileExpressions:
    @pytest.mark.parametrize(
        ("source", "word"),
        [
            ("'" + "a" * 2_048 + "'", "2048"),
            ("[1].all(a, [1].all(b, [1].all(c, true)))", "macros"),
            ("input.l.map(a, 'x' + 'y')", "Concatenation"),
            ("input.l.map(a, a + a)", "Concatenation"),
            ("input.l.exists(a, size(a + 'x') > 1)", "Concatenation"),
            ("input.l.map(a, [a] + [a])", "Concatenation"),
            ("input.l.map(a, b'x' + b'y')", "Concatenation"),
            ("input.l.filter(a, [1].map(b, a + item) == item)", "Concatenation"),
            ("input.l.all(a, a.matches('(a?){200}b'))", "matches"),
            ("input.text.matches(input.pattern)", "literal"),
            ("(" * 200 + "1" + ")" * 200, "recursion"),
            ("[" * 200 + "1" + "]" * 200, "recursion"),
            ("input" + ".a" * 200, "recursion"),
            (" + ".join(["1"] * 200), "recursion"),
            ("true ? 1 : " * 100 + "1", "recursion"),
        ],
    )
    def test_are_refused_when_saved(self, source: str, word: str) -> None:
        with pytest.raises(ExpressionError) as refusal:
            compile_expression(source, WORLD)
        assert any(word in problem.message for problem in refusal.value.problems)

    def test_arithmetic_inside_a_macro_is_not_concatenation(self) -> None:
        assert run("action.parameters.lines.map(l, l.qty + 1)") == [2, 3]
        assert run("[1, 2].exists(a, a + input.amount == 5)") is True

    def test_nested_loops_over_much_data_end_with_a_spent_budget(self) -> None:
        world = Declarations({"input": Kind.MAP})
        result = run("input.l.all(a, input.l.all(b, a == b || true))", world, input={"l": list(range(1_000))})
        assert isinstance(result, EvaluationError)
        assert "budget" in result.message

    def test_signs_by_the_thousand_do_no_harm(self) -> None:
        assert run("!" * 2_000 + "true") is True
        assert isinstance(run("-" * 1_999 + "item"), EvaluationError)


class Word(StrEnum):
    EUR = "EUR"


class TestContext:
    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (Decimal("1.5"), "Decimal"),
            (date(2026, 1, 1), "date"),
            (NOW, "datetime"),
            ({1, 2}, "set"),
            ((1, 2), "tuple"),
            (b"x", "bytes"),
            (object(), "object"),
            (2**63, "too large"),
            (float("nan"), "finite"),
            (float("inf"), "finite"),
            ("a\x00b", "U+0000"),
            ("\ud800", "surrogate"),
            ("é" * 8_193, "longer"),
            ([0] * 1_001, "items"),
            ({1: 2}, "not text"),
            ({"a\x00": 1}, "U+0000"),
            (["x" * 16_000] * 5, "larger"),
        ],
    )
    def test_refuses_what_expressions_would_misread(self, value: object, reason: str) -> None:
        for nested, path in ((value, "item"), ([value], "item[0]"), ({"a": [0, value]}, "item.a[1]")):
            with pytest.raises(ContextError) as refusal:
                WORLD.activation({"item": nested})
            assert refusal.value.path.startswith(path)
            assert reason in refusal.value.message

    def test_refuses_deep_nesting(self) -> None:
        deep: Any = 1
        for _ in range(100):
            deep = [deep]
        with pytest.raises(ContextError, match="deeply"):
            WORLD.activation({"item": deep})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("action.amount_minor", "1"),
            ("action.amount_minor", 1.0),
            ("action.amount_minor", True),
            ("action.currency", None),
            ("action.parameters", []),
            ("agent.capabilities", "a"),
            ("now", "2026-01-01T00:00:00Z"),
            ("now", NOW.replace(tzinfo=None)),
            ("unheard_of", 1),
        ],
    )
    def test_refuses_a_value_of_another_kind_than_declared(self, name: str, value: object) -> None:
        with pytest.raises(ContextError):
            WORLD.activation({name: value})

    def test_takes_words_of_an_enum(self) -> None:
        assert run("action.currency == 'EUR'", **{"action.currency": Word.EUR}) is True

    def test_limits_are_the_callers(self) -> None:
        wide = Declarations({"item": Kind.DYN}, limits=Limits(context_bytes=256 * 1024, list_items=10_000))
        assert run("size(item)", wide, item=list(range(5_000))) == 5_000
        assert run("size(item)", wide, item=["x" * 16_000] * 15) == 15

    def test_times_are_compared_as_instants(self) -> None:
        other = NOW.astimezone(ZoneInfo("Asia/Tokyo"))
        assert run("now == timestamp('2026-03-01T12:00:00Z')", now=other) is True

    @given(JSON)
    def test_json_goes_in_and_comes_out_unchanged(self, value: object) -> None:
        assert run("item", item=value) == value


class TestBoundFunctions:
    CALL = FunctionCall("history.count", ("bank.pay", "30d", "agent"))

    def program(self) -> Program:
        return compile_expression("history.count('bank.pay', '30d', 'agent') < 5", WORLD)

    def bound(self, value: int) -> Activation:
        return WORLD.activation(FACTS, {self.CALL: value})

    def test_say_what_must_be_bound(self) -> None:
        assert self.program().calls == (self.CALL,)

    def test_see_the_value_of_their_own_activation(self) -> None:
        program = self.program()
        assert [program.test(self.bound(value)) for value in (4, 5)] == [True, False]

    def test_unbound_are_an_error_value(self) -> None:
        result = self.program().test(WORLD.activation(FACTS))
        assert isinstance(result, EvaluationError)

    def test_need_literal_arguments(self) -> None:
        with pytest.raises(ExpressionError, match="literals"):
            compile_expression("history.count(input.operation, '30d', 'agent') < 5", WORLD)


def test_paths_name_the_variables_read() -> None:
    program = compile_expression("steps.select.vendor == input['x-y'] && has(steps.late.at) && [1][0] == 1", WORLD)
    paths = {path for path in map(path_of, walk(program.tree)) if path}
    assert {("steps", "select", "vendor"), ("input", "x-y"), ("steps", "late", "at")} <= paths


class TestTrial:
    """What is slow at its worst is found before it is used, in a process that is killed."""

    SLOW = "input.l.all(a, input.l.all(b, !input.text.contains(input.word)))"

    def tried(self, *sources: str) -> list[str]:
        programs = [compile_expression(source, WORLD) for source in sources]
        return [program.source for program in slow_expressions(programs, WORLD)]

    def test_finds_the_slow_ones_among_others(self) -> None:
        quick = "input.lines.all(l, l.qty > 0 && l.name != 'x')"
        assert self.tried(quick, self.SLOW, "input.a > 1", quick) == [self.SLOW]

    def test_leaves_alone_what_has_no_loop(self) -> None:
        assert self.tried("input.text.contains(input.word)", "history.count('a', '1d', 'b') > 1") == []

    @pytest.mark.parametrize(
        "source",
        [SLOW, "input.lines.all(l, l.qty > 0)", "agent.exists(c, c == 'x')", "input.l.all(a, input == input)"],
    )
    def test_tries_contexts_within_the_limits(self, source: str) -> None:
        world = Declarations({"input": Kind.MAP, "agent": Kind.STRINGS})
        program = compile_expression(source, world)
        contexts = list(worst_contexts(program, world))
        assert len(contexts) == 3
        for context in contexts:
            assert context
            world.activation(context)
