"""What a decision takes, by tier: one key, a restated value, a second person and a fresh sign-in."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from apps.core.rules import Risk
from apps.oversight.rules.states import VERDICTS, Kind, VoteVerdict

EDIT = "edit"
GRAVE = frozenset({Risk.HIGH, Risk.CRITICAL})


def is_grave(risk: Risk) -> bool:
    """Whether the tier asks for a restated value and hides others' votes until one has voted."""
    return risk in GRAVE


def allowed_verdicts(
    kind: Kind,
    risk: Risk,
    restate: str | None,
    *,
    step_up: bool = False,
    goes_back: bool = True,
    cannot_take: Collection[str] = (),
) -> dict[str, dict[str, Any]]:
    """What may be said and what it takes: ``{approve: {restate: field | null, step_up: bool}, ...}``.

    ``restate`` is the field the plane chose; only grave tiers ask for it. ``step_up`` is a rule's own obligation.
    ``goes_back``: whether the work can go back from here; where not, no changes are requested. ``cannot_take``: what
    whoever asked could not follow, of ``edit`` and ``request_changes``.
    """
    found: dict[str, dict[str, Any]] = {}
    for verdict in VERDICTS[kind]:
        match verdict:
            case VoteVerdict.REQUEST_CHANGES if not goes_back or verdict in cannot_take:
                continue
            case VoteVerdict.APPROVE:
                found[verdict] = {
                    "restate": restate if risk in GRAVE else None,
                    "step_up": step_up or risk == Risk.CRITICAL,
                    "edit": kind == Kind.ACTION and EDIT not in cannot_take,
                }
            case VoteVerdict.ANSWER:
                found[verdict] = {"restate": None, "step_up": step_up or risk == Risk.CRITICAL}
            case _:
                found[verdict] = {"restate": None, "step_up": False, "reason": True}
    return found


def restate_field(values: Mapping[str, Any], *, preferred: Sequence[str] = ()) -> str | None:
    """The path whose value has to be retyped: the first preferred one that holds a value, else the first scalar."""
    for path in (*preferred, *sorted(values)):
        found = value_at(values, path)
        if isinstance(found, str | int | float | Decimal) and not isinstance(found, bool) and str(found):
            return path
    return None


def value_at(values: Any, path: str) -> Any:
    """What stands at a dotted path; None if nothing does."""
    for step in path.split("."):
        if isinstance(values, Mapping):
            values = values.get(step)
        elif isinstance(values, list) and step.isdigit() and int(step) < len(values):
            values = values[int(step)]
        else:
            return None
    return values


def is_restated(expected: Any, given: Any, *, exponent: int | None = None) -> bool:
    """Whether ``given`` says ``expected``. Money (``exponent`` decimals) may be said in minor or in whole units."""
    if given is None or isinstance(given, bool | dict | list):
        return False
    said = str(given).strip()
    if isinstance(expected, str):
        return said.casefold() == expected.strip().casefold()
    number = _number(said)
    if number is None:
        return False
    wanted = Decimal(str(expected))
    return number == wanted or (exponent is not None and number.scaleb(exponent) == wanted)


def _number(text: str) -> Decimal | None:
    try:
        found = Decimal(text.replace(",", "").replace("_", "").replace(" ", ""))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None
