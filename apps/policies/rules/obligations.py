"""What a matched rule demands besides its effect, and how demands of several rules become one.

Every demand merges by a lattice, so that the order of rules never matters and a further rule never loosens:
limits, expiry, what may be approved together and in advance take the smaller; hold, sample and step-up the larger;
exclusions, redactions and notices the union. Who must agree is in ``quorums``.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import reduce
from typing import Any

from apps.core.rules import MAX_INTEGER, Risk

_DURATION = re.compile(r"^([1-9]\d{0,6})([smhdw])$")
_SHARE = re.compile(r"^(\d{1,3}(?:\.\d{1,2})?)%$")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
MAX_TOGETHER = 200
MAX_STANDING_DAYS, MAX_STANDING_TIMES = 90, 1_000
TOGETHER_RISKS = (Risk.LOW, Risk.MEDIUM)
"""The tiers that may be approved together: higher ones ask each approver to repeat a value, item by item."""
TEN_THOUSAND = 10_000
MAX_SECONDS = 366 * 86_400


class Exclusion(StrEnum):
    """Who may not decide, in a rule's words."""

    REQUESTER = "requester"
    AGENT_OWNER = "agent_owner"
    RUN_STARTER = "run_starter"
    POLICY_AUTHOR = "policy_author"


class DocumentError(ValueError):
    """A part of a rule that does not fit; ``field`` says which."""

    def __init__(self, field: str, message: str) -> None:
        self.field, self.message = field, message
        super().__init__(f"{field}: {message}")


@dataclass(frozen=True, slots=True)
class Bulk:
    """What one person may approve at once: items up to a tier, how many (0: none), and up to which sum.

    The defaults are what holds where a rule says nothing.
    """

    risk: Risk = Risk.LOW
    items: int = 50
    total_minor: int | None = None

    def __or__(self, other: "Bulk") -> "Bulk":
        """What both let through."""
        return Bulk(
            risk=min(self.risk, other.risk, key=TOGETHER_RISKS.index),
            items=min(self.items, other.items),
            total_minor=_least(self.total_minor, other.total_minor),
        )

    def as_json(self) -> dict[str, Any]:
        """For the API."""
        total = {} if self.total_minor is None else {"total_minor": self.total_minor}
        return {"risk": self.risk.value, "items": self.items, **total}


USUAL_BULK = Bulk()


def bulk_of(stored: dict[str, Any] | None) -> Bulk | None:
    """What ``as_json`` wrote down; None where a rule said nothing."""
    return Bulk(Risk(stored["risk"]), stored["items"], stored.get("total_minor")) if stored else None


@dataclass(frozen=True, slots=True)
class StandingLimit:
    """What one person may approve in advance: how often, for how many days, up to which amount each (None: none).

    ``same``: the parameters that must say what they said then, besides the target: a name is not yet an account.
    ``times`` 0: nothing, which is what holds where a rule that asks says nothing.
    """

    times: int = 0
    days: int = 0
    up_to_minor: int | None = None
    same: frozenset[str] = frozenset()

    def __or__(self, other: "StandingLimit") -> "StandingLimit":
        """What both let be approved in advance. Without an amount only what has none is: it is the smallest of all."""
        both = (self.up_to_minor, other.up_to_minor)
        return StandingLimit(
            times=min(self.times, other.times),
            days=min(self.days, other.days),
            up_to_minor=None if None in both else _least(*both),
            same=self.same | other.same,
        )

    def as_json(self) -> dict[str, Any]:
        """For the API."""
        amount = {} if self.up_to_minor is None else {"up_to_minor": self.up_to_minor}
        same = {"same": sorted(self.same)} if self.same else {}
        return {"times": self.times, "days": self.days, **amount, **same}


NOTHING_STANDING = StandingLimit()


def standing_of(stored: dict[str, Any] | None) -> StandingLimit | None:
    """What ``as_json`` wrote down; None where a rule said nothing."""
    if stored is None:
        return None
    return StandingLimit(stored["times"], stored["days"], stored.get("up_to_minor"), frozenset(stored.get("same", ())))


@dataclass(frozen=True, slots=True)
class Obligations:
    """Demands, of one rule or merged. None and empty mean: nothing demanded."""

    exclude: frozenset[Exclusion] = frozenset()
    expires_in_s: int | None = None
    hold_s: int | None = None
    sample: int | None = None
    limit_minor: int | None = None
    step_up: bool = False
    dry_run_first: bool = False
    compensable: bool = False
    redact: frozenset[str] = frozenset()
    notify: frozenset[str] = frozenset()
    bulk: Bulk | None = None
    standing: StandingLimit | None = None

    def __or__(self, other: "Obligations") -> "Obligations":
        """The demands of both."""
        return Obligations(
            exclude=self.exclude | other.exclude,
            expires_in_s=_least(self.expires_in_s, other.expires_in_s),
            hold_s=_most(self.hold_s, other.hold_s),
            sample=_most(self.sample, other.sample),
            limit_minor=_least(self.limit_minor, other.limit_minor),
            step_up=self.step_up or other.step_up,
            dry_run_first=self.dry_run_first or other.dry_run_first,
            compensable=self.compensable or other.compensable,
            redact=self.redact | other.redact,
            notify=self.notify | other.notify,
            bulk=self.bulk | other.bulk if self.bulk and other.bulk else self.bulk or other.bulk,
            standing=self.standing | other.standing
            if self.standing and other.standing
            else self.standing or other.standing,
        )

    def beyond_amounts(self) -> "Obligations":
        """What is demanded of an amount beyond every one named: in another currency nothing else can be said of it."""
        together, ahead = self.bulk, self.standing
        return replace(
            self,
            bulk=Bulk(together.risk, 0) if together and together.total_minor is not None else together,
            standing=NOTHING_STANDING if ahead and ahead.up_to_minor is not None else ahead,
        )

    def as_json(self) -> dict[str, Any]:
        """What is demanded, by name; nothing where nothing is (a limit of 0 is something)."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: sorted(value)
            if isinstance(value, frozenset)
            else value.as_json()
            if name in {"bulk", "standing"}
            else value
            for name, value in found.items()
            if value is not None and value is not False and value != frozenset()
        }


NONE = Obligations()


def merge(demands: Iterable[Obligations]) -> Obligations:
    """The demands of all, whatever their order."""
    return reduce(lambda one, other: one | other, (demand for demand in demands if demand is not NONE), NONE)


def obligations_of(stored: dict[str, Any]) -> Obligations:
    """The demands that ``as_json`` wrote down."""
    return Obligations(
        exclude=frozenset(map(Exclusion, stored.get("exclude", ()))),
        expires_in_s=stored.get("expires_in_s"),
        hold_s=stored.get("hold_s"),
        sample=stored.get("sample"),
        limit_minor=stored.get("limit_minor"),
        step_up=stored.get("step_up", False),
        dry_run_first=stored.get("dry_run_first", False),
        compensable=stored.get("compensable", False),
        redact=frozenset(stored.get("redact", ())),
        notify=frozenset(stored.get("notify", ())),
        bulk=bulk_of(stored.get("bulk")),
        standing=standing_of(stored.get("standing")),
    )


def _least(one: int | None, other: int | None) -> int | None:
    return min((value for value in (one, other) if value is not None), default=None)


def _most(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)


def read_obligations(raw: object) -> Obligations:
    """The demands that a document states under ``obligations``, but for its quorum. Raises DocumentError."""
    if not isinstance(raw, dict):
        raise DocumentError("obligations", "An object is wanted.")
    if unknown := sorted(set(map(str, raw)) - set(_READERS) - {"quorum"}):
        raise DocumentError(f"obligations.{unknown[0]}", "There is no such obligation.")
    found: dict[str, Any] = {}
    for name, (field, read) in _READERS.items():
        if name in raw:
            found[field] = read(f"obligations.{name}", raw[name])
    return Obligations(**found)


def seconds_of(field: str, raw: object) -> int:
    """Seconds of a duration such as ``4h``. Raises DocumentError."""
    match = _DURATION.match(raw) if isinstance(raw, str) else None
    if match is None:
        raise DocumentError(field, "A duration is wanted, such as 30m, 4h or 2d.")
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds > MAX_SECONDS:
        raise DocumentError(field, "At most 366d.")
    return seconds


def share_of(field: str, raw: object) -> int:
    """Ten-thousandths of a share such as ``2%`` or ``0.5%``. Raises DocumentError."""
    match = _SHARE.match(raw) if isinstance(raw, str) else None
    share = round(float(match[1]) * 100) if match else 0
    if not 1 <= share <= TEN_THOUSAND:
        raise DocumentError(field, "A share is wanted, from 0.01% to 100%, such as 2%.")
    return share


def whole_number(field: str, raw: object, least: int, most: int | None = None) -> int:
    """A whole number between two others, or from one on. Raises DocumentError."""
    if isinstance(raw, bool) or not isinstance(raw, int) or raw < least or (most is not None and raw > most):
        to = f"to {most}" if most is not None else "on"
        raise DocumentError(field, f"A number from {least} {to} is wanted.")
    return raw


def flag_of(field: str, raw: object) -> bool:
    """``true`` or ``false``. Raises DocumentError."""
    if not isinstance(raw, bool):
        raise DocumentError(field, "true or false is wanted.")
    return raw


def _exclusions(field: str, raw: object) -> frozenset[Exclusion]:
    words = _texts(field, raw)
    if wrong := sorted(words - set(Exclusion)):
        raise DocumentError(field, f"{wrong[0]!r} is none of {', '.join(Exclusion)}.")
    return frozenset(map(Exclusion, words))


def _texts(field: str, raw: object) -> frozenset[str]:
    if not isinstance(raw, list) or not all(isinstance(item, str) and item for item in raw):
        raise DocumentError(field, "A list of texts is wanted.")
    return frozenset(raw)


def _limit(field: str, raw: object) -> int:
    amount = raw.get("amount_minor") if isinstance(raw, dict) and set(raw) == {"amount_minor"} else None
    if isinstance(amount, bool) or not isinstance(amount, int) or not 0 <= amount <= MAX_INTEGER:
        raise DocumentError(field, "{amount_minor: n} is wanted, a whole number of minor units.")
    return amount


def _bulk(field: str, raw: object) -> Bulk:
    if raw is False:
        return Bulk(items=0)
    if not isinstance(raw, dict) or not raw:
        raise DocumentError(field, "false is wanted, or {risk, items, total_minor}.")
    if unknown := sorted(set(map(str, raw)) - {"risk", "items", "total_minor"}):
        raise DocumentError(f"{field}.{unknown[0]}", "Unknown key.")
    risk, items = raw.get("risk", USUAL_BULK.risk), raw.get("items", USUAL_BULK.items)
    if risk not in TOGETHER_RISKS:
        raise DocumentError(f"{field}.risk", "low or medium is wanted: higher tiers are approved one by one.")
    items = whole_number(f"{field}.items", items, 1, MAX_TOGETHER)
    total = raw.get("total_minor")
    if "total_minor" in raw and (isinstance(total, bool) or not isinstance(total, int) or total < 0):
        raise DocumentError(f"{field}.total_minor", "A whole number of minor units is wanted.")
    return Bulk(Risk(risk), items, total)


def _standing(field: str, raw: object) -> StandingLimit:
    if not isinstance(raw, dict):
        raise DocumentError(field, "{times, days, up_to_minor, same} is wanted.")
    if unknown := sorted(set(map(str, raw)) - {"times", "days", "up_to_minor", "same"}):
        raise DocumentError(f"{field}.{unknown[0]}", "Unknown key; days, same, times, up_to_minor are known.")
    amount = whole_number(f"{field}.up_to_minor", raw["up_to_minor"], 1) if "up_to_minor" in raw else None
    return StandingLimit(
        times=whole_number(f"{field}.times", raw.get("times"), 1, MAX_STANDING_TIMES),
        days=whole_number(f"{field}.days", raw.get("days"), 1, MAX_STANDING_DAYS),
        up_to_minor=amount,
        same=_texts(f"{field}.same", raw.get("same", [])),
    )


_READERS: dict[str, tuple[str, Any]] = {
    "exclude": ("exclude", _exclusions),
    "expires_in": ("expires_in_s", seconds_of),
    "hold": ("hold_s", seconds_of),
    "sample": ("sample", share_of),
    "step_up": ("step_up", flag_of),
    "limit": ("limit_minor", _limit),
    "redact": ("redact", _texts),
    "notify": ("notify", _texts),
    "dry_run_first": ("dry_run_first", flag_of),
    "compensable": ("compensable", flag_of),
    "bulk": ("bulk", _bulk),
    "standing": ("standing", _standing),
}
"""An obligation's name in a document, where it is kept, and how it is read."""
