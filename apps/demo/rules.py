"""Reading real declarations out of an event log."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

CASE, AMOUNT = "case_id", "case_amount"
SAMPLE_RUNS: tuple[tuple[str, dict[str, object]], ...] = (
    ("expense-declaration", {"declaration_id": "D-1", "amount_minor": 4250, "currency": "EUR", "purpose": "taxi"}),
    ("expense-declaration", {"declaration_id": "D-2", "amount_minor": 31840, "currency": "EUR", "purpose": "hotel"}),
    ("expense-declaration", {"declaration_id": "D-3", "amount_minor": 78900, "currency": "EUR", "purpose": "flight"}),
    ("expense-declaration", {"declaration_id": "D-4", "amount_minor": 9600, "currency": "EUR", "purpose": "dinner"}),
    (
        "purchase-order",
        {
            "request_id": "R-1",
            "vendor_id": "delta-it",
            "suppliers": ["delta-it", "nordlicht", "ferrum"],
            "requester": "olga@meridian.example",
            "cost_center": "it",
            "item": "projectors",
            "quantity": 40,
        },
    ),
    (
        "purchase-order",
        {
            "request_id": "R-2",
            "vendor_id": "grey-harbor",
            "suppliers": ["grey-harbor", "eastgate"],
            "requester": "olga@meridian.example",
            "cost_center": "office",
            "item": "shelving",
            "quantity": 5,
        },
    ),
)
"""What goes on when the demo starts for the first time: workflow and input."""


class LogError(ValueError):
    """The file is not a log of declarations; the message says what is missing or wrong, and in which row."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """One case of the log with its real amount in cents."""

    case_id: str
    amount_minor: int

    @property
    def key(self) -> str:
        """The key of its run."""
        return f"declaration:{self.case_id}"

    @property
    def input(self) -> dict[str, str | int]:
        """The input of its run."""
        return {"declaration_id": self.case_id, "amount_minor": self.amount_minor, "currency": "EUR"}


def declarations_in(rows: Iterable[Mapping[str, str]], *, limit: int) -> list[Declaration]:
    """The first ``limit`` cases in the order in which they first appear. Raises LogError."""
    found: dict[str, Declaration] = {}
    for number, row in enumerate(rows, start=2):  # line 1 holds the names of the columns
        if row.get(CASE) is None or row.get(AMOUNT) is None:
            raise LogError(f"Line {number} has no {CASE} or no {AMOUNT}.")
        if row[CASE] not in found:
            if len(found) >= limit:
                break
            found[row[CASE]] = Declaration(row[CASE], cents_of(row[AMOUNT], number))
    return list(found.values())


def cents_of(text: str, number: int) -> int:
    """An amount as written in the log, half up to whole cents."""
    try:
        amount = Decimal(text)
        cents = int((amount * 100).quantize(Decimal(1), ROUND_HALF_UP))
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise LogError(f"Line {number}: {text!r} is no amount.") from error
    if cents < 0:
        raise LogError(f"Line {number}: an amount below zero.")
    return cents
