"""What a value of a document looks like: checked strictly, every misfit named by its path, every reference found."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

type Path = tuple[str | int, ...]

PLAIN_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
SHOWN = 60


@dataclass(frozen=True, slots=True)
class Misfit:
    """Something that does not fit."""

    path: Path
    message: str


@dataclass(frozen=True, slots=True)
class Reference:
    """An object that a document names; ``is_looked_up``: it has to be there, where no check of its own says so."""

    path: Path
    kind: str
    slug: str
    is_looked_up: bool = True


type Finding = Misfit | Reference


class Shape(Protocol):
    """What a value must be."""

    def look(self, value: Any, path: Path) -> Iterator[Finding]:
        """What does not fit in ``value``, and what it refers to."""


@dataclass(frozen=True, slots=True)
class Text:
    """Text of at most ``most`` characters; ``like`` says how it is spelt."""

    most: int = 500
    least: int = 0
    like: str = ""
    called: str = ""

    def look(self, value: Any, path: Path) -> Iterator[Finding]:
        """Misfits."""
        if not isinstance(value, str):
            yield Misfit(path, f"Text is wanted, not {named(value)}.")
        elif not self.least <= len(value) <= self.most:
            yield Misfit(path, f"From {self.least} to {self.most} characters are wanted.")
        elif self.like and not re.fullmatch(self.like, value):
            yield Misfit(path, f"{self.called or 'Another spelling'} is wanted, not {value[:SHOWN]!r}.")


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer within bounds."""

    least: int = 0
    most: int = 2**31 - 1

    def look(self, value: Any, path: Path) -> Iterator[Finding]:
        """Misfits."""
        if isinstance(value, bool) or not isinstance(value, int):
            yield Misfit(path, f"An integer is wanted, not {named(value)}.")
        elif not self.least <= value <= self.most:
            yield Misfit(path, f"An integer from {self.least} to {self.most} is wanted.")


@dataclass(frozen=True, slots=True)
class Number:
    """A number; fractions are fine."""

    def look(self, value: Any, path: Path) -> Iterator[Finding]:
        """Misfits."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield Misfit(path, f"A number is wanted, not {named(value)}.")


@dataclass(frozen=True, slots=True)
class Truth:
    """true or false."""

    def look(self, value: Any, path: Path) -> Iterator[Finding]:
        """Misfits."""
        if not isinstance(value, bool):
            yield Misfit(path, f"true or false is wanted, not {named(value)}.")


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some words."""

    words: tuple[str, ...]

    def look(self, value: Any, path: Path) -> Iterator[Finding]:
        """Misfits."""
        if value not in self.words or not isinstance(value, str):
            yield Misfit(path, f"One of {', '.join(self.words)} is wanted, not {named(value)}.")


@dataclass(frozen=True, slots=True)
class Object:
    """Any object; its owner looks into it."""

    def look(self, value: Any, path: Path) -> Iterator[Finding]:
        """Misfits."""
        if not isinstance(value, dict):
            yield Misfit(path, f"An object is wanted, not {named(value)}.")


@dataclass(frozen=True, slots=True)
class Maybe:
    """The shape, or null."""

    shape: Shape

    def look(self, value: Any, path: Path) -> Iterator[Finding]:
        """Misfits."""
        if value is not None:
            yield from self.shape.look(value, path)


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of one shape, nothing twice."""

    shape: Shape
    most: int = 500

    def look(self, value: Any, path: Path) -> Iterator[Finding]:
        """Misfits."""
        if not isinstance(value, list):
            yield Misfit(path, f"A list is wanted, not {named(value)}.")
            return
        if len(value) > self.most:
            yield Misfit(path, f"At most {self.most} are wanted.")
        for place, item in enumerate(value[: self.most]):
            if item in value[:place]:
                yield Misfit((*path, place), "This is given twice.")
            yield from self.shape.look(item, (*path, place))


@dataclass(frozen=True, slots=True)
class Ref:
    """The slug of an object of some kind."""

    kind: str

    def look(self, value: Any, path: Path) -> Iterator[Finding]:
        """Misfits, or the reference."""
        if not isinstance(value, str) or not value:
            yield Misfit(path, f"The name of a {self.kind} is wanted, not {named(value)}.")
        else:
            yield Reference(path, self.kind, value)


@dataclass(frozen=True, slots=True)
class Moment:
    """A day, or a time with its offset."""

    def look(self, value: Any, path: Path) -> Iterator[Finding]:
        """Misfits."""
        try:
            moment_of(value)
        except ValueError as problem:
            yield Misfit(path, str(problem))


@dataclass(frozen=True, slots=True)
class Day:
    """A day."""

    def look(self, value: Any, path: Path) -> Iterator[Finding]:
        """Misfits."""
        try:
            day_of(value)
        except ValueError as problem:
            yield Misfit(path, str(problem))


@dataclass(frozen=True, slots=True)
class Micro:
    """A price per token: a number of millionths, at most six digits after the point."""

    def look(self, value: Any, path: Path) -> Iterator[Finding]:
        """Misfits."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield Misfit(path, f"A number is wanted, not {named(value)}.")
        elif round(value, 6) != value:
            yield Misfit(path, "At most six digits after the point are wanted.")


@dataclass(frozen=True, slots=True)
class Keys:
    """An object with exactly these keys."""

    required: Mapping[str, Shape] = field(default_factory=dict)
    optional: Mapping[str, Shape] = field(default_factory=dict)

    def look(self, value: Any, path: Path) -> Iterator[Finding]:
        """Misfits."""
        if not isinstance(value, dict):
            yield Misfit(path, f"An object is wanted, not {named(value)}.")
            return
        shapes = {**self.required, **self.optional}
        for name, item in value.items():
            if name in shapes:
                yield from shapes[name].look(item, (*path, name))
            else:
                yield Misfit((*path, name), f"Unknown key {name!r}; known are {', '.join(shapes)}.")
        for name in self.required:
            if name not in value:
                yield Misfit(path, f"The key {name!r} is missing.")


@dataclass(frozen=True, slots=True)
class Either:
    """A text, or the longer form."""

    short: Shape
    long: Shape

    def look(self, value: Any, path: Path) -> Iterator[Finding]:
        """Misfits of whichever was meant."""
        yield from (self.long if isinstance(value, dict) else self.short).look(value, path)


def named(value: Any) -> str:
    """A value as a message mentions it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return repr(value[:SHOWN])
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return str(value)[:SHOWN]


def moment_of(value: Any) -> datetime:
    """The instant of a time with its offset, or the end of a day in UTC. Raises ValueError."""
    if isinstance(value, str) and PLAIN_DATE.fullmatch(value):
        day = day_of(value)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError(
            f"A day (2027-01-31) or a time with its offset (2027-01-31T12:00:00Z) is wanted, not {named(value)}."
        )
    return found


def day_of(value: Any) -> date:
    """A day. Raises ValueError."""
    try:
        if isinstance(value, str) and PLAIN_DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError(f"A day such as 2027-01-31 is wanted, not {named(value)}.")
