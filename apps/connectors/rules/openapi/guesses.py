"""What an operation probably does, guessed from its method and its words: a start for a person, never a verdict.

A guess errs on the side of care: a word that sounds final makes it irreversible whatever the method says.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.agents.rules import EffectClass

FINAL = frozenset({
    "pay", "payment", "payments", "payout", "payouts", "transfer", "transfers", "refund", "refunds", "charge",
    "charges", "capture", "captures", "withdraw", "withdrawal", "disburse", "wire", "send", "sends", "publish",
    "email", "mail", "sms", "message", "messages", "notify", "notification", "notifications", "delete", "remove",
    "purge", "erase", "destroy", "drop", "terminate", "cancel", "cancellation", "close", "execute", "submit",
    "sign", "issue", "ship", "dispatch", "fulfil", "fulfill", "void", "revoke", "approve", "release", "settle",
    "reverse", "buy", "sell", "order", "orders", "trade", "book",
})  # fmt: skip
"""Words of things that nobody takes back by asking again."""
DOING = FINAL | frozenset({
    "create", "update", "set", "change", "edit", "add", "replace", "patch", "put", "post", "upload", "import",
    "assign", "move", "start", "stop", "enable", "disable", "reset", "rotate", "renew", "apply", "merge", "restore",
    "activate", "deactivate", "run", "trigger", "sync",
})  # fmt: skip
THINGS = frozenset({
    "payment", "payments", "payouts", "transfers", "refunds", "charges", "captures", "withdrawal", "email", "mail",
    "sms", "message", "messages", "notification", "notifications", "order", "orders", "cancellation", "issue",
    "trade", "book",
})  # fmt: skip
"""Of those, what a GET may well read: a list of payments is no payment."""
MONEY = re.compile(r"(?:amount|sum|total|price|value)(?:_?(?:minor|cents|pence))?|(?:minor|cents)_?amount", re.I)
MINOR = ("amount_minor", "amountMinor", "amount_cents", "amountCents", "amount_in_cents", "amountInCents")
CURRENCY = ("currency", "currency_code", "currencyCode")
PLAIN, DEPTH_MAX = frozenset({"string", "integer", "number", "boolean"}), 2
NAMED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SHOWN_MAX, SENTENCE_MAX = 8, 460
"""Parameters that a sentence names, and characters that it begins with: an operation keeps 500."""


@dataclass(frozen=True, slots=True)
class Guess:
    """An effect class, and why."""

    effect: EffectClass
    reason: str


def guess_of(*, method: str, path: str, operation_id: str, summary: str, parameters: Mapping[str, Any]) -> Guess:
    """What it probably does."""
    words = dict.fromkeys(_words(re.sub(r"\{[^}]*\}", " ", path)), "its path")
    words |= dict.fromkeys(_words(summary), "its summary") | dict.fromkeys(_words(operation_id), "its name")
    if method == "DELETE":
        return Guess(EffectClass.IRREVERSIBLE, "DELETE: what is gone is not brought back by asking again.")
    if method in {"GET", "HEAD"}:
        return _of_read(method, _words(operation_id) | _words(path.rpartition("/")[2]))
    if final := sorted(set(words) & FINAL):
        return Guess(EffectClass.IRREVERSIBLE, f"{method}, and “{final[0]}” in {words[final[0]]} sounds final.")
    if money := money_in(parameters):
        return Guess(EffectClass.IRREVERSIBLE, f"{method} with {money[0]}: it may move money.")
    return Guess(EffectClass.WRITE, f"{method} changes something, and nothing says that it is final.")


def money_in(parameters: Mapping[str, Any]) -> list[str]:
    """Parameters that are called like an amount of money."""
    return sorted(name for name in parameters.get("properties", {}) if MONEY.fullmatch(str(name)))


def _of_read(method: str, words: set[str]) -> Guess:
    """A GET that is named like a deed is taken for one."""
    deeds = words & DOING - THINGS
    if not deeds:
        return Guess(EffectClass.READ, f"{method} only reads.")
    deed = min(deeds)
    effect = EffectClass.IRREVERSIBLE if deeds & FINAL else EffectClass.WRITE
    return Guess(effect, f"{method} should only read, but “{deed}” in its name says that it does something.")


def _words(text: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", text)}


def consequence_for(summary: str, parameters: Mapping[str, Any], effect: str, amount: Mapping[str, str] | None) -> str:
    """A sentence to begin with; empty for reads.

    It names what must be given and is no list or object, also within an object that must be given; how many more there
    are where they are too many, or have a name that no sentence can hold.
    """
    if effect == EffectClass.READ:
        return ""
    said = re.sub(r"[{}]", "", " ".join(summary.split())).rstrip(".")[:160]
    money = set(amount.values()) if amount else set()
    needed = [path for path in _needed(parameters) if path not in money]
    deed = f"{said[:1].lower()}{said[1:]}" if not said[1:2].isupper() else said
    shown = ["{amount}"] if amount else []
    left = len(needed)
    for path in [path for path in needed if NAMED.fullmatch(path.replace(".", ""))][:SHOWN_MAX]:
        more = f"{path.replace('.', ' ')} {{{path}}}"
        if sum(map(len, [deed, *shown, more])) > SENTENCE_MAX:
            break
        shown.append(more)
        left -= 1
    told = ", ".join([*shown, *([f"and {left} more"] if left else [])])
    return f"Will {deed}: {told}." if told else f"Will {deed}."


def _needed(schema: Mapping[str, Any], within: str = "", depth: int = 0) -> list[str]:
    """The paths of what must be given and is one value, in the order in which it is described."""
    found: list[str] = []
    known, required = schema.get("properties"), schema.get("required")
    if not isinstance(known, Mapping) or not isinstance(required, list):
        return found
    for name in [name for name in known if name in required and isinstance(known[name], Mapping)]:
        part, path = known[name], f"{within}{name}"
        if _is_plain(part):
            found.append(path)
        elif depth < DEPTH_MAX and "properties" in part:
            found += _needed(part, f"{path}.", depth + 1)
    return found


def _is_plain(schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type")
    said = {str(kind) for kind in (kinds if isinstance(kinds, list) else [kinds])}
    return (bool(said & PLAIN) and said <= PLAIN | {"null"}) or (kinds is None and "enum" in schema)


def amount_for(parameters: Mapping[str, Any]) -> dict[str, str] | None:
    """Where the money is, if two names leave no doubt: an integer of minor units beside a currency."""
    known = parameters.get("properties", {})
    minor = [name for name in MINOR if isinstance(known.get(name), Mapping) and known[name].get("type") == "integer"]
    currency = [name for name in CURRENCY if name in known]
    return {"path": minor[0], "currency_path": currency[0]} if minor and currency else None
