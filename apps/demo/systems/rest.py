"""What a system is made of: routes, what they are called with, what they answer, how they refuse."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from apps.demo.systems.storage import Document, Storage


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """The system says no, in a way that a program can read."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class Call:
    """One request: the parts of its path, its query, its JSON body."""

    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    body: Document = field(default_factory=dict)

    def text(self, name: str, *, default: str | None = None) -> str:
        """A text that must be there, unless there is a default."""
        value = self.body.get(name, default)
        if not isinstance(value, str) or (not value and default is None):
            raise unfit(name, "must be a text")
        return value

    def amount(self, name: str = "amount_minor") -> int:
        """Money in minor units: an integer above zero."""
        value = self.body.get(name)
        if type(value) is not int or value <= 0:
            raise unfit(name, "must be an integer above zero")
        return value

    def only(self, *names: str) -> None:
        """Refuse every field that is not among these."""
        for name in self.body:
            if name not in names:
                raise unfit(name, "is not a field of this resource")


type Work = Callable[[Storage, Call], tuple[HTTPStatus, Any]]


@dataclass(frozen=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    work: Work


class System:
    """One system of record: a slug, a title, its routes and the tables on its page."""

    def __init__(self, slug: str, title: str, tables: dict[str, tuple[str, ...]]) -> None:
        self.slug, self.title, self.tables = slug, title, tables
        self.routes: list[Route] = []

    def on(self, method: str, path: str) -> Callable[[Work], Work]:
        """`@erp.on("GET", "/vendors/{id}")` above the function that does it."""
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

        def add(work: Work) -> Work:
            self.routes.append(Route(method, pattern, work))
            return work

        return add

    def route(self, method: str, path: str) -> tuple[Work, dict[str, str]]:
        """The work behind a path and the parts of the path."""
        found = [(route, match) for route in self.routes if (match := route.pattern.fullmatch(path))]
        for route, match in found:
            if route.method == method:
                return route.work, match.groupdict()
        if found:
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", f"{method} is not possible here.")
        raise Refusal(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address.")


def the(kind: str, storage: Storage, identity: str) -> Document:
    """The document, or 404."""
    found = storage.get(kind, identity)
    if found is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "not_found", f"There is no {kind} {identity}.")
    return found


def unfit(name: str, why: str) -> Refusal:
    """422: what was sent parses and does not fit."""
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"{name} {why}.")


def conflict(code: str, message: str) -> Refusal:
    """409: what was sent fits and contradicts what is there."""
    return Refusal(HTTPStatus.CONFLICT, code, message)
