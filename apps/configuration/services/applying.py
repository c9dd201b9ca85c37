"""Applying documents: everything or nothing, in the order that their references need."""

import difflib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from django.db import connection, transaction
from django.db.models import Func

from apps.access.services.turns import take_turn
from apps.audit.models import Entry
from apps.audit.services import record
from apps.configuration.rules import ORDER, Path
from apps.configuration.selectors import written_now
from apps.configuration.services.kinds import APPLY, CHANGED, CREATED, UNCHANGED, together
from apps.configuration.services.reading import ConfigurationError, Document, Reading, Trouble, read_documents
from apps.configuration.services.removing import REMOVE
from apps.core.errors import DomainError
from apps.core.gate import refuse_agents
from apps.core.models import User
from apps.workflows.services.definitions import check_source

type Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one object; ``fields`` are the columns that changed.

    ``difference``: of a dry run, the lines of its document that go (``-``) and come (``+``).
    """

    kind: str
    slug: str
    outcome: str
    fields: tuple[str, ...] = ()
    difference: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = f"{self.outcome:<9} {self.kind} {self.slug}"
        return f"{said} ({', '.join(self.fields)})" if self.fields and self.outcome == CHANGED else said


@transaction.atomic
def apply_texts(
    actor: User, *, texts: Mapping[str, str], dry_run: bool = False, approved_by: User | None = None
) -> list[Applied]:
    """Make the database match the documents in ``texts`` (by file name); what became of each, in their order.

    Raises ConfigurationError with everything that is wrong, and then nothing was changed; nor is it with ``dry_run``.
    """
    refuse_agents(actor)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('configuration.apply', 0))")
    reading = read_documents(texts, approved_by)
    if any(document.kind == "GroupMapping" for document in reading.documents):
        take_turn()
    keys = [document.key for document in reading.documents] if dry_run else []
    before = written_now(keys)
    outcomes = _carry_out(actor, reading)
    if reading.troubles:
        raise ConfigurationError(reading.troubles)
    after = written_now(keys)
    for key in keys:
        outcomes[key] = replace(outcomes[key], difference=_difference(before.get(key, ""), after.get(key, "")))
    applied = [outcomes[document.key] for document in reading.documents]
    if any(each.outcome != UNCHANGED for each in applied):
        _tell(actor, texts, applied, approved_by)
    if dry_run:
        transaction.set_rollback(True)
    return applied


def _difference(before: str, after: str) -> tuple[str, ...]:
    """Only what differs: a document is short, and its line says its key."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return tuple(line for place, line in enumerate(lines) if place > 1 and not line.startswith("@@"))


@transaction.atomic
def apply_documents(actor: User, *, texts: Mapping[str, str]) -> list[str]:
    """Apply, and say a line per object that was not as described."""
    return [str(each) for each in apply_texts(actor, texts=texts) if each.outcome != UNCHANGED]


def _tell(actor: User, texts: Mapping[str, str], applied: list[Applied], approved_by: User | None) -> None:
    counts = {name: sum(each.outcome == name for each in applied) for name in (CREATED, CHANGED, "removed", "proposed")}
    files = {name: f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" for name, text in texts.items()}
    payload = {**counts, "files": files, "approved_by": approved_by and approved_by.username}
    record(actor, actor, "configuration.applied", payload=payload)


def _carry_out(actor: User, reading: Reading) -> dict[Key, Applied]:
    """Try every document that fits, each in a savepoint, so that all that is wrong comes to light at once."""
    outcomes: dict[Key, Applied] = {}
    for kind, document, act in _steps(reading):
        named = {(found.kind, found.slug) for found in reading.references[document.key]}
        if document.key in reading.unfit or (named & reading.unfit and not document.is_absent):
            reading.unfit.add(document.key)
            continue
        if document.key in reading.standing:
            outcomes[document.key] = Applied(document.kind, document.slug, UNCHANGED)
            continue
        before = outcomes.get(document.key)
        found = _attempt(actor, document, act, reading)
        if found is not None:
            outcomes[document.key] = _merged(before, found) if kind == "AgentWorkflows" else found
    return outcomes


def _merged(before: Applied | None, after: Applied) -> Applied:
    if before is None:
        return after
    return replace(after, outcome=together(before.outcome, after.outcome), fields=before.fields + after.fields)


def _steps(reading: Reading) -> Iterator[tuple[str, Document, Callable[[User, Document], str]]]:
    """What is done, in order: everything that comes, then, backwards, everything that goes."""
    for kind in ORDER:
        about = "Agent" if kind == "AgentWorkflows" else kind
        documents = [found for found in reading.documents if found.kind == about and not found.is_absent]
        for document in _parents_first(documents) if kind == "BusinessUnit" else documents:
            yield kind, document, APPLY[kind]
    for kind in reversed(ORDER):
        documents = [found for found in reading.documents if found.kind == kind and found.is_absent]
        for document in reversed(_parents_first(documents) if kind == "BusinessUnit" else documents):
            yield kind, document, REMOVE[kind]


def _parents_first(documents: list[Document]) -> list[Document]:
    """Units with their parents before them; in a circle the order is left, and saving refuses."""
    waiting = {document.slug: document for document in documents}
    ordered: list[Document] = []
    while waiting:
        free = [slug for slug, found in waiting.items() if found.source.value.get("parent") not in waiting]
        ordered.extend(waiting.pop(slug) for slug in free or list(waiting))
    return ordered


def _attempt(actor: User, document: Document, act: Callable[[User, Document], str], reading: Reading) -> Applied | None:
    troubles: list[Trouble] = []
    if document.kind == "Workflow" and not document.is_absent:
        problems = check_source(actor, source=document.source)
        troubles = [Trouble(document.file, found.line or 1, found.path, found.message) for found in problems]
    if not troubles:
        seen = Entry.objects.order_by("-id").values_list("id", flat=True).first() or 0
        try:
            with transaction.atomic():
                outcome = act(actor, document)
        except DomainError as error:
            troubles = list(_troubles_of(document, error))
        else:
            return Applied(document.kind, document.slug, outcome, _changed_since(seen))
    reading.troubles.extend(troubles)
    reading.unfit.add(document.key)
    return None


def _troubles_of(document: Document, error: DomainError) -> Iterator[Trouble]:
    if not error.errors:
        yield document.trouble((), str(error.message))
    for path, messages in error.errors.items():
        for message in messages:
            yield document.trouble(path_of(path), str(message))


def path_of(text: str) -> Path:
    """``rules.2.when`` as keys and places."""
    return tuple(int(part) if part.isdigit() else part for part in text.split(".") if part)


def _changed_since(entry_id: int) -> tuple[str, ...]:
    """The columns that the entries of this document name, and what else it did, once each.

    Only of this transaction: agents and people go on meanwhile, and what they do is no part of it.
    """
    found: dict[str, None] = {}
    ours = Func(function="pg_current_xact_id")
    for entry in Entry.objects.filter(id__gt=entry_id, xid=ours).order_by("id"):
        found.update(dict.fromkeys(entry.payload if entry.name.endswith(".changed") else [entry.name]))
    return tuple(found)
