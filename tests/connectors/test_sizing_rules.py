"""What would be enough of a permission, and what less would have stopped: by arithmetic alone."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from apps.connectors.rules import Money
from apps.connectors.rules.sizing import Size, Use, proposed_size, replayed

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["amount_minor"],
    "properties": {"amount_minor": {}, "currency": {}, "note": {}, "to": {"properties": {"name": {}, "iban": {}}}},
}
AT = datetime(2026, 1, 1, tzinfo=UTC)


def use(minor: int | None = 500, *, let_through: bool = True, currency: str = "EUR", **parameters: Any) -> Use:
    given = {"amount_minor": minor, "currency": currency, **parameters}
    money = None if minor is None else Money(minor, currency)
    return Use(UUID(int=minor or 0), AT, let_through, given, money)


def erased(minor: int) -> Use:
    return Use(UUID(int=minor), AT, True, None, Money(minor, "EUR"))


def propose(*uses: Use, held: Size | None = None, schema: Any = SCHEMA, has_amount: bool = True) -> Size | None:
    return proposed_size(uses, held=held or Size(), schema=schema, path="/pay", has_amount=has_amount)


@pytest.mark.parametrize("uses", [(), (use(let_through=False),)])
def test_what_nobody_needed_is_revoked(uses: tuple[Use, ...]) -> None:
    assert propose(*uses) == Size(revoke=True)


def test_the_parameters_that_were_used_and_the_most_that_was_moved() -> None:
    assert propose(use(500), use(80_000), use(90_000, let_through=False, note="x")) == Size(
        fields=["amount_minor", "currency"], limit=Money(80_000, "EUR")
    )


def test_what_is_required_stays_even_where_it_was_not_used() -> None:
    found = propose(Use(UUID(int=1), AT, True, {"note": "x"}, None))
    assert found == Size(fields=["amount_minor", "note"])


def test_several_currencies_or_none_at_all_have_no_limit() -> None:
    assert propose(use(1), use(1, currency="USD")) == Size(fields=["amount_minor", "currency"])
    assert propose(use(1), use(None)) == Size(fields=["amount_minor", "currency"])
    assert propose(use(1), has_amount=False) == Size(fields=["amount_minor", "currency"])


def test_where_parameters_were_erased_all_of_them_stay() -> None:
    assert propose(use(500), erased(700)) == Size(limit=Money(700, "EUR"))


def test_what_is_held_is_never_widened() -> None:
    held = Size(fields=["amount_minor", "currency", "to.iban"], limit=Money(600, "EUR"))
    assert propose(use(900, note="x"), held=held) == Size(fields=["amount_minor", "currency"], limit=Money(600, "EUR"))
    assert propose(use(500, to={"iban": "DE"}), held=held) == Size(fields=held.fields, limit=Money(500, "EUR"))


def test_who_uses_all_of_it_is_left_alone() -> None:
    everything = use(500, note="x", to={"name": "n", "iban": "i"})
    assert propose(everything) == Size(limit=Money(500, "EUR"))
    assert propose(everything, held=Size(limit=Money(500, "EUR"))) is None


def test_an_open_schema_is_narrowed_to_what_was_named() -> None:
    assert propose(use(1), schema={"type": "object"}, has_amount=False) == Size(fields=["amount_minor", "currency"])


class TestReplay:
    USES = (use(500), use(900, note="x"), use(2_000), use(3_000, let_through=False), erased(100))

    @pytest.mark.parametrize(
        ("size", "stopped", "needed", "unknown"),
        [
            (Size(), 0, 0, 0),
            (Size(revoke=True), 5, 4, 0),
            (Size(limit=Money(1_000, "EUR")), 2, 1, 0),
            (Size(limit=Money(1_000, "USD")), 5, 4, 0),
            (Size(fields=["amount_minor", "currency"]), 1, 1, 1),
            (Size(fields=["amount_minor"]), 4, 3, 1),
        ],
    )
    def test_what_it_would_have_stopped(self, size: Size, stopped: int, needed: int, unknown: int) -> None:
        found = replayed(self.USES, size, path="/pay")
        assert (found.requests, found.stopped, found.needed, found.not_replayable) == (5, stopped, needed, unknown)

    def test_examples_begin_with_what_was_let_through(self) -> None:
        found = replayed(self.USES, Size(limit=Money(1_000, "EUR")), path="/pay")
        assert found.samples == (UUID(int=2_000), UUID(int=3_000))

    def test_what_is_proposed_would_have_stopped_nothing_that_was_needed(self) -> None:
        size = propose(*self.USES)
        assert size is not None
        assert replayed(self.USES, size, path="/pay").needed == 0
