"""What the parser of CEL says of a source that it cannot read, in words: what is wrong there, and what was meant."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_ODD_SIGN = re.compile(r"Syntax error: token recognition error at: '(.*)'$", re.DOTALL)
_INPUT = re.compile(r"Syntax error: (?:mismatched|extraneous) input '(.*)' expecting (.*)$", re.DOTALL)
_MISSING = re.compile(r"Syntax error: missing '(.*)' at '(.*)'$", re.DOTALL)
_NO_WAY = re.compile(r"Syntax error: no viable alternative at input '(.*)'$", re.DOTALL)
_UNDECLARED = re.compile(r"undeclared reference to '(.*)'$", re.DOTALL)
_KINDS_UNFIT = re.compile(r"found no matching overload for '(.*)' applied to '\((.*)\)'$")
_RESERVED = re.compile(r"reserved identifier: (\w+)$")
_LAST = re.compile(r"([A-Za-z_][\w.]*|\d[\w.]*|[^\w\s]+)\s*$")
_END = "<EOF>"
ECHO = "<<nil>>"
"""What the parser adds to what it said already."""
_SIGNS = {"&": "&&", "|": "||", "=": "==", "=>": ">=", "=<": "<="}
_WORDS = {"and": "&&", "or": "||", "not": "!", "is": "==", "equals": "==", "xor": "!="}
_FUNCTIONS = {"like": "contains", "contains": "contains", "startswith": "startsWith", "matches": "matches"}
_PAIRS = {")": "(", "]": "[", "}": "{"}
_KINDS = {
    "bool": "true or false",
    "int": "a whole number",
    "uint": "a whole number",
    "double": "a number with a point",
    "string": "a text",
    "bytes": "bytes",
    "null": "nothing",
    "google.protobuf.Timestamp": "a time",
    "google.protobuf.Duration": "a duration",
}
_KIND = re.compile(r"[\w.]+(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?")
_CHOICE = "A choice is written: condition ? one : other."


@dataclass(frozen=True, slots=True)
class Place:
    """Where the parser stopped: the source before it, and from it on."""

    before: str
    rest: str

    @classmethod
    def of(cls, source: str, line: int, column: int) -> "Place":
        """By line and column, which count from 1."""
        lines = source.split("\n")
        at = sum(len(each) + 1 for each in lines[: line - 1]) + column - 1
        return cls(source[:at], source[at:])

    @property
    def last(self) -> str:
        """The word or sign before it."""
        found = _LAST.search(self.before)
        return found[1] if found else ""


def is_of_syntax(message: str) -> bool:
    """Whether the parser says it: what it says after the first is about its own recovery."""
    return message.startswith(("Syntax error: ", "reserved identifier: "))


def in_words(message: str, source: str, line: int, column: int) -> str:
    """The parser's ``message`` as people say it; any other as it is."""
    place = Place.of(source, line, column)
    for pattern, words in _SAYINGS:
        if found := pattern.match(message):
            return words(found.groups(), place)
    return message.replace("Syntax error: ", "This cannot be read: ")


def _choice_for(word: str) -> str:
    return f" {_CHOICE}" if word == "if" else ""


def _of_kinds(function: str, kinds: str) -> str:
    name = " ".join(part for part in function.strip("@").split("_") if part) or function
    told = [_KINDS.get(kind, kind.partition("(")[0]) for kind in _KIND.findall(kinds)]
    return f"“{name}” does not take {' with '.join(told) or 'nothing'}."


def _of_sign(sign: str, place: Place) -> str:
    if sign in _SIGNS:
        meant = "==" if place.before.rstrip().endswith("=") else _SIGNS[sign]
        return f"“{sign}” is no sign here. Did you mean “{meant}”?"
    if sign[:1] in {"“", "”", "„", "‘", "’", "`"}:
        return 'A text stands between straight quotes, such as "EUR".'
    if sign[:1] in {"'", '"'}:
        return f"This text is not closed: a second {sign[0]} is missing."
    if sign == ";":
        return "Nothing closes an expression: leave “;” out."
    if sign == "#":
        return "A comment begins with “//”."
    return f"“{sign}” is no sign that can stand here."


def _of_input(found: str, wanted: str, place: Place) -> str:
    if found == _END:
        if ":" in wanted and "?" in place.before and "'['" not in wanted:
            return f"“:” is missing at the end. {_CHOICE}"
        closing = next((sign for sign in _PAIRS if wanted.startswith((f"'{sign}'", f"{{'{sign}'"))), "")
        return _of_gap(closing, _END) if closing else _after(place)
    if wanted == _END:
        return _too_much(found, place)
    if found == ">" and place.before.endswith("<"):
        return "“<>” is no sign here. Did you mean “!=”?"
    return f"A value is missing before “{found}”."


def _too_much(found: str, place: Place) -> str:
    for word in (found, place.last):
        if word.lower() in _WORDS:
            return f"“{word}” is no word here. Did you mean “{_WORDS[word.lower()]}”?"
        if word.lower() in _FUNCTIONS:
            return f"“{word}” is no word here. Did you mean .{_FUNCTIONS[word.lower()]}(…)?"
    if found in _PAIRS:
        return f"No “{_PAIRS[found]}” stands before this “{found}”."
    if found == "," and place.last.isdecimal():
        return "A number is written without separators, such as 1000."
    return f"Between “{place.last}” and “{found}” a sign is missing, such as && or ==."


def _of_gap(missing: str, at: str) -> str:
    return f"“{missing}” is missing at the end." if at == _END else f"“{missing}” is missing before “{at}”."


def _after(place: Place) -> str:
    return f"It ends too early: something is missing after “{place.last}”." if place.last else "Something is missing."


_SAYINGS: tuple[tuple[re.Pattern[str], Callable[[Sequence[str], Place], str]], ...] = (
    (_ODD_SIGN, lambda said, place: _of_sign(said[0].strip(), place)),
    (_INPUT, lambda said, place: _of_input(said[0], said[1], place)),
    (_MISSING, lambda said, _place: _of_gap(said[0], said[1])),
    (_RESERVED, lambda said, _place: f"“{said[0]}” is reserved: it names nothing." + _choice_for(said[0])),
    (_UNDECLARED, lambda said, _place: f"There is no “{said[0]}”."),
    (_KINDS_UNFIT, lambda said, _place: _of_kinds(said[0], said[1])),
    (_NO_WAY, lambda _said, place: _after(place)),
)
