"""What work costs, in millionths of the currency's unit."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

HUMAN_CAP_S = 15 * 60
"""An open item costs at most this much of a person's time: waiting in an inbox costs nothing."""

MOST = 2**63 - 1
"""As much as a column of amounts holds. What is more, which somebody made up, says so much and stops no figure."""


class CostKind(StrEnum):
    """Who was paid."""

    LLM = "llm"
    HUMAN = "human"
    CONNECTOR = "connector"
    AGENT = "agent"


class PricedBy(StrEnum):
    """Where an amount comes from; ``unpriced`` means that nobody knows it yet.

    ``rate``: of the book; ``hourly_rate``: a unit's own, of people's time; ``covered``: an agent's own word, where its
    rate says what its work costs already.
    """

    BOOK = "book"
    REPORTED = "reported"
    HOURLY_RATE = "hourly_rate"
    FEE = "fee"
    RATE = "rate"
    COVERED = "covered"
    UNPRICED = "unpriced"


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """Prices of one model, in millionths of the unit per token; they may be fractions."""

    input_micro: Decimal
    output_micro: Decimal
    cache_read_micro: Decimal
    cache_write_micro: Decimal
    reasoning_micro: Decimal | None = None
    """None: as any other token out."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one call used; ``input`` counts cached tokens too, ``output`` the reasoning."""

    input: int
    output: int
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0


def llm_cost_micro(tokens: Tokens, price: TokenPrice) -> Decimal:
    """(input − cache read − cache write)·p + read·p + write·p + (output − reasoning)·p + reasoning·p, not rounded."""
    thought = price.output_micro if price.reasoning_micro is None else price.reasoning_micro
    fresh = max(0, tokens.input - tokens.cache_read - tokens.cache_write)
    return (
        fresh * price.input_micro
        + tokens.cache_read * price.cache_read_micro
        + tokens.cache_write * price.cache_write_micro
        + (tokens.output - tokens.reasoning) * price.output_micro
        + tokens.reasoning * thought
    )


def human_time_ms(open_ms: int, together: int = 1) -> int:
    """Estimated active time of a decision: from asked to decided, at most 15 minutes, never negative.

    Where nobody's look at it is known. What one act decided ``together`` shares one such time.
    """
    return max(0, min(open_ms, HUMAN_CAP_S * 1000)) // together


def human_cost_micro(active_ms: int, hourly_micro: int) -> int:
    """Active time at an hourly rate, half up."""
    amount = Decimal(active_ms) * hourly_micro / Decimal(3_600_000)
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))
