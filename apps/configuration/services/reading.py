"""From texts to documents: each with its file and lines, everything wrong with them said at once."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit, Calendar, GroupMapping, Queue, Role, Rota
from apps.agents.models import Agent
from apps.agents.rules import AgentState
from apps.classification.models import DataClass
from apps.configuration.rules import ABSENT, KINDS, Misfit, Path, Reference, look, slug_of
from apps.configuration.selectors import written_now
from apps.connectors.models import Connector, Operation
from apps.connectors.rules import ConnectorState
from apps.core.errors import InvalidError
from apps.core.models import User
from apps.workflows.models import Workflow
from apps.workflows.rules.source import Source, SourceError, read_sources


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing wrong: in which file, at which line, at which key."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.path + ': ' if self.path else ''}{self.message}"


class ConfigurationError(InvalidError):
    """Documents that do not fit. Nothing was changed; ``troubles`` has everything that was found."""

    def __init__(self, troubles: list[Trouble]) -> None:
        self.troubles = sorted(troubles, key=lambda trouble: (trouble.file, trouble.line, trouble.path))
        found: dict[str, list[str]] = {}
        for trouble in self.troubles:
            found.setdefault(f"{trouble.file}:{trouble.line}", []).append(f"{trouble.path}: {trouble.message}")
        super().__init__("\n".join(str(trouble) for trouble in self.troubles), errors=found)


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file; ``approved_by`` is the second person, where one was named."""

    kind: str
    slug: str
    file: str
    source: Source
    approved_by: User | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What names the object."""
        return self.kind, self.slug

    @property
    def is_absent(self) -> bool:
        """Whether the object is to go."""
        return bool(self.source.value.get("state") == ABSENT)

    def trouble(self, path: Path, message: str) -> Trouble:
        """Something wrong at ``path``, with the line of the nearest value that has one."""
        found = self.source.problem(path, message)
        return Trouble(self.file, found.line or 1, found.path, message)


def chosen(document: Document, *names: str) -> dict[str, Any]:
    """The optional keys that were given; the rest is the command's own default."""
    value = document.source.value
    return {name: value[name] for name in names if value.get(name) is not None}


def reason_of(document: Document) -> str:
    """Why, for the ledger."""
    return _("Applied from %s.") % document.file


@dataclass(frozen=True, slots=True)
class Reading:
    """The documents, what each refers to, what is wrong with them, and which stand so though they name what retired."""

    documents: list[Document]
    references: dict[tuple[str, str], list[Reference]]
    troubles: list[Trouble]
    unfit: set[tuple[str, str]]
    standing: set[tuple[str, str]]


def read_documents(texts: Mapping[str, str], approved_by: User | None = None) -> Reading:
    """Read every text; nothing is written and nothing raised: what is wrong is in the answer."""
    reading = Reading([], {}, [], set(), set())
    for file, text in texts.items():
        for source in _sources(file, text, reading):
            if document := _document(file, source, reading):
                reading.documents.append(replace(document, approved_by=approved_by))
    first: dict[tuple[str, str], Document] = {}
    for document in reading.documents:
        if (other := first.setdefault(document.key, document)) is not document:
            place = other.trouble((), "")
            message = f"{document.kind} {document.slug} is described in {place.file}:{place.line} already."
            _unfit(reading, document, (), message)
        _look_into(document, reading)
    _check_references(reading)
    _check_circles(reading)
    return reading


def _sources(file: str, text: str, reading: Reading) -> list[Source]:
    try:
        found = read_sources(text)
    except SourceError as error:
        problem = error.problem
        reading.troubles.append(Trouble(file, problem.line or 1, problem.path, problem.message))
        return []
    return [source for source in found if source.value is not None]


def _document(file: str, source: Source, reading: Reading) -> Document | None:
    value = source.value
    kind = value.get("kind") if isinstance(value, dict) else None
    at: Path = ("kind",) if kind is not None else ()
    problem = ""
    if not isinstance(value, dict):
        problem = _("A document is an object with kind and slug.")
    elif kind is None:
        problem = _("The key 'kind' is missing.")
    elif kind not in KINDS:
        problem = _("There is no such kind; known are %s.") % ", ".join(KINDS)
    if problem:
        found = source.problem(at, problem)
        reading.troubles.append(Trouble(file, found.line or 1, found.path, problem))
        return None
    return Document(str(kind), slug_of(str(kind), value), file, source)


def _look_into(document: Document, reading: Reading) -> None:
    references = reading.references.setdefault(document.key, [])
    for finding in look(document.kind, document.source.value):
        if isinstance(finding, Misfit):
            _unfit(reading, document, finding.path, finding.message)
        else:
            references.append(finding)


def _unfit(reading: Reading, document: Document, path: Path, message: str) -> None:
    reading.troubles.append(document.trouble(path, message))
    reading.unfit.add(document.key)


def _check_circles(reading: Reading) -> None:
    """No unit is above itself. What the database already says of parents is checked when a unit is saved."""
    units = {document.slug: document for document in reading.documents if document.kind == "BusinessUnit"}
    for document in units.values():
        seen, above = {document.slug}, document.source.value.get("parent")
        while isinstance(above, str) and above in units and above not in seen:
            seen.add(above)
            above = units[above].source.value.get("parent")
        if above == document.slug:
            _unfit(reading, document, ("parent",), _("A unit cannot be below itself."))


KNOWN: Mapping[str, Callable[[list[str]], set[str]]] = {
    "Calendar": lambda slugs: set(Calendar.objects.filter(slug__in=slugs).values_list("slug", flat=True)),
    "BusinessUnit": lambda slugs: set(BusinessUnit.objects.filter(slug__in=slugs).values_list("slug", flat=True)),
    "Role": lambda slugs: set(Role.objects.filter(slug__in=slugs).values_list("slug", flat=True)),
    "User": lambda slugs: set(
        User.objects.filter(username__in=slugs, kind="human", is_active=True).values_list("username", flat=True)
    ),
    "GroupMapping": lambda slugs: set(GroupMapping.objects.filter(slug__in=slugs).values_list("slug", flat=True)),
    "Rota": lambda slugs: set(Rota.objects.filter(slug__in=slugs).values_list("slug", flat=True)),
    "DataClass": lambda slugs: set(DataClass.objects.filter(slug__in=slugs).values_list("slug", flat=True)),
    "Queue": lambda slugs: set(Queue.objects.filter(slug__in=slugs).values_list("slug", flat=True)),
    "Connector": lambda slugs: set(
        Connector.objects.filter(slug__in=slugs).exclude(state=ConnectorState.RETIRED).values_list("slug", flat=True)
    ),
    "Operation": lambda slugs: set(
        Operation.objects.filter(slug__in=slugs).exclude(state=ConnectorState.RETIRED).values_list("slug", flat=True)
    ),
    "Agent": lambda slugs: set(
        Agent.objects.filter(slug__in=slugs).exclude(state=AgentState.RETIRED).values_list("slug", flat=True)
    ),
    "Workflow": lambda slugs: set(
        Workflow.objects.filter(slug__in=slugs, retired_at=None).values_list("slug", flat=True)
    ),
}
"""Of each kind that is referred to, which of some slugs exist."""

RETIRED = frozenset({"Agent", "Connector", "Operation", "Workflow"})
"""What is retired while others go on naming it, and is not exported then."""


def _check_references(reading: Reading) -> None:
    """Every reference leads to a document that stays, or to an object that is there."""
    coming = {document.key for document in reading.documents if not document.is_absent}
    going = {document.key for document in reading.documents if document.is_absent}
    wanted: dict[str, set[str]] = {}
    for references in reading.references.values():
        for reference in references:
            wanted.setdefault(reference.kind, set()).add(reference.slug)
    there = {(kind, slug) for kind, slugs in wanted.items() for slug in KNOWN[kind](sorted(slugs))}
    missing: dict[tuple[str, str], list[Reference]] = {}
    for document in reading.documents:
        for reference in reading.references[document.key]:
            named = (reference.kind, reference.slug)
            if named in going - coming:
                _unfit(reading, document, reference.path, f"{named[0]} {named[1]} is removed by these documents.")
            elif reference.is_looked_up and named not in coming | there:
                missing.setdefault(document.key, []).append(reference)
    _check_missing(reading, missing)


def _check_missing(reading: Reading, missing: Mapping[tuple[str, str], list[Reference]]) -> None:
    reading.standing.update(_standing(reading, missing))
    for document in reading.documents:
        for reference in missing.get(document.key, []) if document.key not in reading.standing else []:
            _unfit(reading, document, reference.path, f"There is no {reference.kind} {reference.slug}.")


def _standing(reading: Reading, missing: Mapping[tuple[str, str], list[Reference]]) -> Iterator[tuple[str, str]]:
    """Documents that say what stands already, of something that was not retired with what they name."""
    keys = [key for key, references in missing.items() if all(each.kind in RETIRED for each in references)]
    written = written_now(keys)
    for document in reading.documents:
        if text := written.get(document.key):
            (source,) = read_sources(text)
            if source.value == document.source.value:
                yield document.key
