"""A rule as it is written down: read strictly, so that a misspelt limit never passes as no limit."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from apps.core.rules import Moves, Risk
from apps.policies.rules.obligations import NONE, DocumentError, Obligations, read_obligations
from apps.policies.rules.quorums import Quorum, read_quorums

MAX_RULES = 200
MAX_MESSAGE = 500
EVERY_AGENT = 100
_SHARE = re.compile(r"^[1-9][0-9]?%$")
_CURRENCY = re.compile(r"^[A-Z]{3}$")
_SLUG = re.compile(r"^[a-z0-9][a-z0-9_-]{0,62}$")
_KEYS = (
    "slug",
    "when",
    "effect",
    "currency",
    "queue",
    "scope",
    "obligations",
    "message",
    "risk",
    "confidential",
    "mode",
    "share",
)


class Mode(StrEnum):
    """Whether a rule judges, or only writes down what it would have said."""

    ENFORCED = "enforced"
    SHADOW = "shadow"


class PolicyState(StrEnum):
    """Where a policy is."""

    DRAFT = "draft"
    IN_FORCE = "in_force"
    RETIRED = "retired"


POLICY_MOVES: Moves = {
    PolicyState.DRAFT: frozenset({PolicyState.IN_FORCE, PolicyState.RETIRED}),
    PolicyState.IN_FORCE: frozenset({PolicyState.IN_FORCE, PolicyState.RETIRED}),
    PolicyState.RETIRED: frozenset({PolicyState.IN_FORCE}),
}


class Effect(StrEnum):
    """What a matched rule does: ``deny`` over ``require_approval`` over ``allow``; ``flag`` only annotates."""

    FLAG = "flag"
    ALLOW = "allow"
    REQUIRE_APPROVAL = "require_approval"
    DENY = "deny"


STRICTNESS: Mapping[str, int] = {effect: place for place, effect in enumerate(Effect)}
"""A stricter effect has the larger number."""


@dataclass(frozen=True, slots=True)
class Scope:
    """To what a rule applies. A filter, never a priority; an empty list means everything.

    ``units`` hold below them as well; ``versions`` are ``<agent>@<number>``.
    """

    operations: frozenset[str] = frozenset()
    connectors: frozenset[str] = frozenset()
    agents: frozenset[str] = frozenset()
    versions: frozenset[str] = frozenset()
    workflows: frozenset[str] = frozenset()
    steps: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()
    environments: frozenset[str] = frozenset()

    def as_json(self) -> dict[str, list[str]]:
        """The lists that are not empty."""
        return {part.name: sorted(getattr(self, part.name)) for part in fields(self) if getattr(self, part.name)}


EVERYWHERE = Scope()


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition with its effect and demands. Every amount in it is in ``currency``; empty: in that of its unit.

    ``share``: on how many of a hundred agents it has its say; for the others it is in shadow.
    """

    slug: str
    when: str
    effect: Effect
    queue: str = ""
    scope: Scope = EVERYWHERE
    obligations: Obligations = NONE
    quorums: tuple[Quorum, ...] = ()
    message: str = ""
    risk: Risk | None = None
    confidential: bool = False
    currency: str = ""
    is_shadow: bool = False
    share: int = EVERY_AGENT
    document: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: ``field`` is a path such as ``rules.2.when``; a warning refuses nothing."""

    field: str
    message: str
    rule: str = ""
    line: int | None = None
    column: int | None = None
    is_warning: bool = False

    def as_json(self) -> dict[str, Any]:
        """The finding for the API."""
        place = {} if self.line is None else {"line": self.line, "column": self.column}
        severity = "warning" if self.is_warning else "error"
        return {"field": self.field, "rule": self.rule, "severity": severity, "message": self.message, **place}

    def __str__(self) -> str:
        place = "" if self.line is None else f"line {self.line}, column {self.column}: "
        return f"{place}{self.message}"


def read_rules(raw: object) -> tuple[tuple[Rule, ...], tuple[Finding, ...]]:
    """The rules of a document that can be read, and what is wrong with the others."""
    if not isinstance(raw, list):
        return (), (Finding("rules", "A list of rules is wanted."),)
    if len(raw) > MAX_RULES:
        return (), (Finding("rules", f"More than {MAX_RULES} rules."),)
    rules: list[Rule] = []
    findings: list[Finding] = []
    for place, item in enumerate(raw):
        try:
            rule = read_rule(item)
        except DocumentError as error:
            name = item.get("slug", "") if isinstance(item, dict) else ""
            findings.append(Finding(f"rules.{place}.{error.field}".rstrip("."), error.message, str(name)))
            continue
        if any(rule.slug == other.slug for other in rules):
            findings.append(Finding(f"rules.{place}.slug", "This slug is given twice.", rule.slug))
        rules.append(rule)
    return tuple(rules), tuple(findings)


def read_rule(raw: object) -> Rule:
    """One rule of a document. Raises DocumentError."""
    if not isinstance(raw, dict):
        raise DocumentError("", "An object is wanted.")
    if unknown := sorted(set(map(str, raw)) - set(_KEYS)):
        raise DocumentError(unknown[0], "Unknown key.")
    effect = _effect(raw)
    obligations = read_obligations(raw["obligations"]) if "obligations" in raw else NONE
    quorums = read_quorums(raw["obligations"]["quorum"]) if "quorum" in raw.get("obligations", {}) else ()
    if quorums and effect is not Effect.REQUIRE_APPROVAL:
        raise DocumentError("obligations.quorum", "Only a rule that requires approval has a quorum.")
    if obligations.bulk and effect is not Effect.REQUIRE_APPROVAL:
        raise DocumentError("obligations.bulk", "Only a rule that requires approval says what is approved together.")
    if obligations.standing and effect is not Effect.REQUIRE_APPROVAL:
        raise DocumentError("obligations.standing", "Only a rule that requires approval says what is approved ahead.")
    return Rule(
        slug=_slug(raw.get("slug")),
        when=_text(raw, "when", required=True),
        effect=effect,
        queue=_queue(raw, effect),
        scope=_scope(raw.get("scope", {})),
        obligations=obligations,
        quorums=quorums or ((Quorum(),) if effect is Effect.REQUIRE_APPROVAL else ()),
        message=_text(raw, "message"),
        risk=_risk(raw),
        confidential=_confidential(raw),
        currency=_currency(raw),
        is_shadow=_mode(raw) is Mode.SHADOW,
        share=_share(raw),
        document=raw,
    )


def _slug(raw: object) -> str:
    if not isinstance(raw, str) or not _SLUG.fullmatch(raw):
        raise DocumentError("slug", "Lower-case letters, digits, hyphens and underscores are wanted, at most 63.")
    return raw


def _effect(raw: dict[str, Any]) -> Effect:
    effect = raw.get("effect")
    if not isinstance(effect, str) or effect not in set(Effect):
        raise DocumentError("effect", "One of allow, require_approval, deny, flag is wanted.")
    return Effect(effect)


def _queue(raw: dict[str, Any], effect: Effect) -> str:
    queue = _text(raw, "queue")
    if effect is Effect.REQUIRE_APPROVAL and not queue:
        raise DocumentError("queue", "A rule that requires approval names the queue that is asked.")
    if effect is not Effect.REQUIRE_APPROVAL and queue:
        raise DocumentError("queue", "Only a rule that requires approval has a queue.")
    return queue


def _text(raw: dict[str, Any], name: str, *, required: bool = False) -> str:
    text = raw.get(name, "")
    if not isinstance(text, str):
        raise DocumentError(name, "A text is wanted.")
    if required and not text.strip():
        raise DocumentError(name, "This is required.")
    if name == "message" and len(text) > MAX_MESSAGE:
        raise DocumentError(name, f"At most {MAX_MESSAGE} characters.")
    return text


def _risk(raw: dict[str, Any]) -> Risk | None:
    risk = raw.get("risk")
    if risk is not None and (not isinstance(risk, str) or risk not in set(Risk)):
        raise DocumentError("risk", f"One of {', '.join(Risk)} is wanted.")
    return None if risk is None else Risk(risk)


def _confidential(raw: dict[str, Any]) -> bool:
    flag = raw.get("confidential", False)
    if not isinstance(flag, bool):
        raise DocumentError("confidential", "true or false is wanted.")
    return flag


def _mode(raw: dict[str, Any]) -> Mode:
    mode = raw.get("mode", Mode.ENFORCED)
    if not isinstance(mode, str) or mode not in set(Mode):
        raise DocumentError("mode", "One of enforced, shadow is wanted.")
    return Mode(mode)


def _share(raw: dict[str, Any]) -> int:
    share = raw.get("share")
    if share is None and "share" not in raw:
        return EVERY_AGENT
    if not isinstance(share, str) or not _SHARE.fullmatch(share):
        raise DocumentError("share", "A share of the agents from 1% to 99% is wanted, such as 20%.")
    if _mode(raw) is Mode.SHADOW:
        raise DocumentError("share", "A rule in shadow has no say for any agent: leave out the share or the mode.")
    return int(share[:-1])


def _currency(raw: dict[str, Any]) -> str:
    currency = raw.get("currency", "")
    if not isinstance(currency, str) or ("currency" in raw and not _CURRENCY.fullmatch(currency)):
        raise DocumentError("currency", "The three letters of a currency are wanted, such as EUR.")
    return currency


def _scope(raw: object) -> Scope:
    if not isinstance(raw, dict):
        raise DocumentError("scope", "An object is wanted.")
    known = {part.name for part in fields(Scope)}
    if unknown := sorted(set(map(str, raw)) - known):
        raise DocumentError(f"scope.{unknown[0]}", "Unknown key.")
    for name, words in raw.items():
        # An empty list would read as "nothing" to its author and as "everything" to the filter.
        if not isinstance(words, list) or not words or not all(isinstance(word, str) and word for word in words):
            raise DocumentError(f"scope.{name}", "A list of at least one slug is wanted.")
    return Scope(**{name: frozenset(words) for name, words in raw.items()}) if raw else EVERYWHERE
