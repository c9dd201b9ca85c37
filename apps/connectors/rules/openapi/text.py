"""From a text to plain JSON values, without trusting it: no aliases, no tags, nothing twice, nothing too deep.

The text is read as a flat run of events, so that no nesting can exhaust the stack and no alias can multiply.
"""

import re
from typing import Any

import yaml

from apps.core.rules import ValueProblem, check_values, strict_json

BYTES_MAX = 768 * 1024
DEPTH_MAX = 64
VALUES_MAX = 60_000

WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
BROKEN = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
DIGITS_MAX = 40


def read_text(text: str) -> Any:
    """The values of one document, JSON or the part of YAML that JSON has. Raises ValueProblem; its path is a line."""
    raw = text.encode("utf-8", "replace")
    if len(raw) > BYTES_MAX:
        raise ValueProblem(f"It has {len(raw)} bytes; at most {BYTES_MAX} are read. Cut it down to the paths you need.")
    if not text.strip():
        raise ValueProblem("It is empty.")
    value = strict_json(raw) if text.lstrip()[0] == "{" else _read_yaml(text)
    check_values(value)
    return value


def _read_yaml(text: str) -> Any:
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}" if mark else ""
        raise ValueProblem(f"This is neither JSON nor YAML: {error.problem or error.context}.", line) from error
    except yaml.YAMLError as error:
        raise ValueProblem("This is neither JSON nor YAML: it holds characters that no text has.") from error
    return reader.value


class _Reader:
    """Builds values from events. An open list is a list; an open object a dict with the key that waits for a value."""

    def __init__(self) -> None:
        self.value: Any = None
        self._open: list[tuple[Any, list[str]]] = []
        self._documents = self._values = 0

    def take(self, event: yaml.Event) -> None:
        """One event. Raises ValueProblem."""
        line = f"line {event.start_mark.line + 1}" if event.start_mark else ""
        match event:
            case yaml.AliasEvent():
                raise ValueProblem("Aliases (*name) are refused: write the value out, or use a $ref.", line)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise ValueProblem("One document is expected: there is a second one (---).", line)
            case yaml.ScalarEvent():
                self._refuse_tag(event, line)
                self._put(event.value if self._wants_key() else _scalar(event, line), line, is_text=True)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._refuse_tag(event, line)
                opened: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
                self._put(opened, line)
                self._open.append((opened, []))
                if len(self._open) > DEPTH_MAX:
                    raise ValueProblem(f"More than {DEPTH_MAX} levels of nesting.", line)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._open.pop()

    def _refuse_tag(self, event: Any, line: str) -> None:
        if event.tag not in {None, "!"}:
            raise ValueProblem("Tags (!name) are refused.", line)

    def _wants_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1][0], dict) and not self._open[-1][1]

    def _put(self, value: Any, line: str, *, is_text: bool = False) -> None:
        self._values += 1
        if self._values > VALUES_MAX:
            raise ValueProblem(f"More than {VALUES_MAX} values. Cut it down to the paths you need.", line)
        if not self._open:
            self.value = value
            return
        inside, key = self._open[-1]
        if isinstance(inside, list):
            inside.append(value)
        elif key:
            inside[key.pop()] = value
        elif not is_text:
            raise ValueProblem("A key must be a text.", line)
        elif value in inside:
            raise ValueProblem(f"The key {value[:60]!r} is given twice.", line)
        else:
            key.append(value)


def _scalar(event: yaml.ScalarEvent, line: str) -> Any:
    """What a plain word means in JSON; everything else, dates and ``no`` too, is text."""
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in WORDS:
        return WORDS[text]
    if WHOLE.fullmatch(text) or BROKEN.fullmatch(text):
        if len(text) > DIGITS_MAX:
            raise ValueProblem("A number of this length is refused.", line)
        return int(text) if WHOLE.fullmatch(text) else float(text)
    return text
