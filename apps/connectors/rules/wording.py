"""The sentence that says what will happen, made from an operation's template by the plane, never by the agent."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from apps.connectors.rules.money import Money, value_at

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)\}")
SENTENCE = re.compile(r"[.!?:;]\s|[\r\n\"“”]|\S+(?:\s+\S+){6}")
"""A text that could be read as words of the plane: it stands in quotation marks."""
TEXT_MAX, ITEMS_MAX = 160, 10


def placeholders_of(template: str) -> list[str]:
    """The names between braces, in order. ``amount`` stands for the money, the others are parameter paths."""
    return PLACEHOLDER.findall(template)


def template_problem(template: str, *, schema: Mapping[str, Any], has_amount: bool) -> str:
    """Why the template cannot be rendered from such parameters; empty when it can."""
    rest = PLACEHOLDER.sub("", template)
    if "{" in rest or "}" in rest:
        return "A brace belongs to no placeholder."
    known = schema.get("properties")
    for name in placeholders_of(template):
        top = name.split(".", maxsplit=1)[0]
        if name == "amount" and has_amount:
            continue
        if isinstance(known, Mapping) and top not in known:
            return f"No parameter is called {name!r}."
    return ""


def consequence_of(template: str, parameters: Mapping[str, Any], money: Money | None) -> str:
    """The template filled in one line; a value that is not there shows as a dash. Values are inert text.

    One that reads like a sentence is quoted, so that nobody takes an agent's words for the plane's.
    """

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name == "amount" and money is not None:
            return str(money)
        value = value_at(parameters, name)
        return f"“{text_of(value)}”" if isinstance(value, str) and SENTENCE.search(value) else text_of(value)

    return PLACEHOLDER.sub(fill, template)


def text_of(value: Any) -> str:
    """One parameter inside a sentence: short, on one line, with invisible characters made visible."""
    match value:
        case None | "":
            return "—"
        case bool():
            return "yes" if value else "no"
        case str():
            shown = visible_text(value)
        case int() | float():
            shown = str(value)
        case list():
            shown = ", ".join(text_of(item) for item in value[:ITEMS_MAX]) + (" …" if len(value) > ITEMS_MAX else "")
        case Mapping():
            shown = ", ".join(
                f"{visible_text(str(key))}: {text_of(item)}" for key, item in list(value.items())[:ITEMS_MAX]
            )
        case _:
            shown = visible_text(str(value))
    return shown if len(shown) <= TEXT_MAX else f"{shown[:TEXT_MAX]}…"


def visible_text(text: str) -> str:
    """``text`` with control, bidirectional and invisible characters written out as ``‹U+202E›``."""
    return "".join(
        f"‹U+{ord(char):04X}›" if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else char
        for char in text
    )
