"""Amounts: minor units with an ISO 4217 currency; never a float, never a string."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from apps.core.amounts import EXPONENTS, exponent_of, whole_text
from apps.core.rules import MAX_INTEGER, ValueProblem

TARGET_MAX, BEGINNING = 200, 135


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units."""

    minor: int
    currency: str

    def __str__(self) -> str:
        return money_text(self.minor, self.currency)

    @property
    def whole(self) -> str:
        """As a form begins with it: ``1240.50``."""
        return whole_text(self.minor, self.currency)


def money_text(minor: int, currency: str) -> str:
    """``12,400.00 EUR``: grouped, with the digits that the currency has, and a real minus sign."""
    digits = exponent_of(currency)
    whole, part = divmod(abs(minor), 10**digits)
    text = f"{whole:,}" + (f".{part:0{digits}d}" if digits else "")
    return f"{'−' if minor < 0 else ''}{text} {currency}"


def value_at(parameters: object, path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    for name in path.split("."):
        if not isinstance(parameters, Mapping):
            return None
        parameters = parameters.get(name)
    return parameters


def money_of(parameters: Mapping[str, Any], amount: Mapping[str, str] | None) -> Money | None:
    """The amount of an action by its operation's ``amount: {path, currency_path | currency}``; None if none is given.

    Raises ValueProblem, with its path, for what is no amount: text, fractions, booleans, negatives, unknown currencies.
    """
    if not amount:
        return None
    path = amount["path"]
    minor = value_at(parameters, path)
    if minor is None:
        return None
    if isinstance(minor, bool) or not isinstance(minor, int):
        raise ValueProblem("An amount is an integer number of minor units.", path)
    if not 0 <= minor <= MAX_INTEGER:
        raise ValueProblem("An amount is neither negative nor beyond 2^53 - 1.", path)
    currency_path = amount.get("currency_path", "")
    currency = value_at(parameters, currency_path) if currency_path else amount.get("currency")
    if not isinstance(currency, str) or currency not in EXPONENTS:
        raise ValueProblem("An amount needs a currency of ISO 4217.", currency_path or path)
    return Money(minor, currency)


def is_within_limit(amount: Money | None, limit: Money | None) -> bool:
    """Whether a permission with this limit covers this amount. No amount and another currency are beyond."""
    if limit is None:
        return True
    return amount is not None and amount.currency == limit.currency and amount.minor <= limit.minor


def is_wider_limit(limit: Money | None, held: Money | None) -> bool:
    """Whether ``limit`` lets through what ``held`` does not."""
    return held is not None and not is_within_limit(limit, held)


def target_of(parameters: Mapping[str, Any], path: str) -> str:
    """Whom or what an action is aimed at, as text of at most 200 characters; empty where nothing says so.

    A longer one ends with its digest: rules, history and approvals in advance tell it from all that begin like it.
    """
    found = value_at(parameters, path) if path else None
    if not isinstance(found, str | int) or isinstance(found, bool):
        return ""
    text = str(found)
    return text if len(text) <= TARGET_MAX else f"{text[:BEGINNING]}#{sha256(text.encode()).hexdigest()}"
