"""A rule as a form has it: words per field. What no field takes stays as it is written, and nothing is lost.

``filled`` reads a rule's document into fields, ``document_of`` writes fields back. What a person left alone comes back
just as it was written before, whatever its form.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from apps.core.rules import Risk
from apps.policies.rules.documents import Effect, Mode
from apps.policies.rules.obligations import Exclusion

TEXTS = ("expires_in", "hold", "sample")
"""Demands that are a text."""
FLAGS = ("step_up", "compensable")
SCOPES = ("operations", "agents", "units", "workflows", "connectors", "versions", "steps", "environments")
_PARTS = re.compile(r"[,\s]+")

type Fields = dict[str, Any]


def words_in(text: str) -> list[str]:
    """Slugs with commas or blanks between them."""
    return [word for word in _PARTS.split(text) if word]


def filled(rule: Mapping[str, Any], *, digits: int) -> Fields:
    """The fields of a rule's document; ``rest`` has the demands that no field takes. ``digits``: of its currency."""
    demands = dict(rule.get("obligations") or {})
    found: Fields = {
        "slug": rule.get("slug", ""),
        "effect": rule.get("effect", Effect.REQUIRE_APPROVAL.value),
        "when": rule.get("when", ""),
        "queue": rule.get("queue", ""),
        "currency": rule.get("currency", ""),
        "message": rule.get("message", ""),
        "risk": rule.get("risk", ""),
        "confidential": rule.get("confidential", False),
        "is_shadow": rule.get("mode") == Mode.SHADOW,
        "share": rule.get("share", ""),
        **{name: ", ".join(rule.get("scope", {}).get(name, ())) for name in SCOPES},
        **_people(demands),
        "exclude": _taken(demands, "exclude", _are_exclusions) or [],
        "limit": _limit(demands, digits),
        **{name: _taken(demands, name, _is_text) or "" for name in TEXTS},
        **{name: bool(_taken(demands, name, lambda value: value is True)) for name in FLAGS},
    }
    return {**found, "rest": demands}


def _taken(demands: dict[str, Any], name: str, fits: Any) -> Any:
    return demands.pop(name) if name in demands and fits(demands[name]) else None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _are_exclusions(value: object) -> bool:
    known = [exclusion.value for exclusion in Exclusion]
    return isinstance(value, list) and bool(value) and value == [name for name in known if name in value]


def _people(demands: dict[str, Any]) -> Fields:
    """A number of people, of one role; every other quorum stays text."""
    quorum = demands.get("quorum")
    if type(quorum) is int:
        del demands["quorum"]
        return {"people": quorum, "role": ""}
    if isinstance(quorum, dict) and set(quorum) == {"n", "role"}:
        del demands["quorum"]
        return {"people": quorum["n"], "role": quorum["role"]}
    return {"people": None, "role": ""}


def _limit(demands: dict[str, Any], digits: int) -> Decimal | None:
    limit = demands.get("limit")
    if isinstance(limit, dict) and set(limit) == {"amount_minor"} and type(limit["amount_minor"]) is int:
        del demands["limit"]
        return Decimal(limit["amount_minor"]).scaleb(-digits)
    return None


def document_of(fields: Mapping[str, Any], *, digits: int, before: Mapping[str, Any]) -> dict[str, Any]:
    """The rule that the fields say. ``before``: what it was; keys of the same meaning keep the way it was written."""
    said, meant = _document(fields, digits), _document(filled(before, digits=digits), digits)
    order = [*before, *said]
    found = {
        name: before[name] if name in before and said.get(name) == meant.get(name) else said.get(name)
        for name in dict.fromkeys(order)
    }
    return {name: value for name, value in found.items() if value is not None}


def _document(fields: Mapping[str, Any], digits: int) -> dict[str, Any]:
    plain = {name: fields[name] for name in ("slug", "when", "effect")}
    optional = {name: fields[name] or None for name in ("queue", "currency", "message", "risk", "share")}
    scope = {name: words_in(fields[name]) for name in SCOPES if words_in(fields[name])}
    demands = _demands(fields, digits)
    return {
        **plain,
        **optional,
        "scope": scope or None,
        "obligations": demands or None,
        "confidential": True if fields["confidential"] else None,
        "mode": Mode.SHADOW.value if fields["is_shadow"] else None,
    }


def _demands(fields: Mapping[str, Any], digits: int) -> dict[str, Any]:
    people, role, limit = fields["people"], fields["role"], fields["limit"]
    quorum = {"n": people or 1, "role": role} if role else people
    found = {
        "quorum": quorum,
        "exclude": _in_order(fields["exclude"]) or None,
        "limit": None if limit is None else {"amount_minor": int(limit.scaleb(digits))},
        **{name: fields[name] or None for name in TEXTS},
        **{name: True if fields[name] else None for name in FLAGS},
    }
    return {**{name: value for name, value in found.items() if value is not None}, **fields["rest"]}


def _in_order(names: Sequence[str]) -> list[str]:
    return [exclusion.value for exclusion in Exclusion if exclusion in names]


EFFECTS = tuple(effect.value for effect in (Effect.ALLOW, Effect.REQUIRE_APPROVAL, Effect.DENY, Effect.FLAG))
RISKS = tuple(risk.value for risk in Risk)
