"""Reading the ledger."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from itertools import islice
from typing import Any, cast
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils.translation import gettext as _

from apps.audit.models import Cursor, Delivery, Entry, Leaf, Payload, Stumble
from apps.audit.rules import (
    ERASED,
    REFUSED,
    commitment_of,
    facts_digest,
    inclusion_of,
    leaf_of,
    root_by,
    root_of,
)
from apps.core.errors import InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import holds, scope_for, visible
from apps.core.models import ClockTimestamp, User
from apps.core.rules import UserKind

VIEW = "audit.view_entry"


def is_written(trail: UUID) -> bool:
    """Whether anything that is written on a trail still stands; what says that it was erased counts not."""
    return Payload.objects.filter(entry__trail_id=trail).exclude(entry__name=ERASED).exists()


def entries_for(
    actor: User,
    *,
    trail: UUID | None = None,
    actor_name: str = "",
    subject: str = "",
    name: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[Entry]:
    """Entries that ``actor`` may read, newest first. ``name`` may end in ``.`` or ``*``: then it is a beginning.

    ``actor_name`` is a user name, or a name as pages show it. ``subject`` is an id, or a kind such as ``agent``.
    Filters are exact, so that each uses an index.
    """
    rows = _readable(actor)
    if trail is not None:
        rows = rows.filter(trail_id=trail)
    if actor_name:
        named = Q(username=actor_name) | Q(name__iexact=actor_name)
        rows = rows.filter(actor__in=User.objects.filter(named))
    if subject:
        rows = rows.filter(_subject(subject))
    if name.endswith((".", "*")):
        rows = rows.filter(name__startswith=name.rstrip("*"))
    elif name:
        rows = rows.filter(name=name)
    if since is not None:
        rows = rows.filter(occurred_at__gte=since)
    if until is not None:
        rows = rows.filter(occurred_at__lt=until)
    return rows.order_by("-id")


def _readable(actor: User) -> QuerySet[Entry]:
    """The entries of the units where ``actor`` reads the ledger, all of them where it does so everywhere.

    People belong to no unit: whoever reads any part of the ledger sees what they were refused.
    """
    rows, scope = Entry.objects.select_related("actor", "on_behalf_of"), scope_for(actor, VIEW)
    if scope.units and not scope.everywhere:
        return rows.filter(Q(unit__in=scope.units) | Q(unit=None, name=REFUSED))
    return visible(actor, VIEW, rows)


def _subject(text: str) -> Q:
    try:
        return Q(subject_id=UUID(text))
    except ValueError:
        return Q(subject_kind=text)


OF_ACCOUNTS = (
    "user.signed_in", "user.sign_in_failed", "user.signed_out", "user.session_ended", "user.stepped_up",
    "user.password_changed", "user.password_set", "user.second_factor_added", "user.second_factor_removed",
    "user.second_factors_reset",
    "user.passkey_renamed", "user.identity_linked", "user.identity_unlinked",
)  # fmt: skip
"""What entries about how somebody signs in are called."""


def own_account_entries_for(actor: User, *, most: int = 20) -> QuerySet[Entry]:
    """What the ledger says of ``actor``'s own account, newest first: whoever signs in may see that, and no more."""
    return Entry.objects.filter(subject_id=actor.pk, name__in=OF_ACCOUNTS).order_by("-id")[:most]


def entry_for(actor: User, entry_id: int) -> Entry:
    """One entry that ``actor`` may read. Raises NotFoundError."""
    if found := entries_for(actor).filter(pk=entry_id).first():
        return found
    raise NotFoundError


def trail_for(actor: User, trail_id: UUID) -> list[Entry]:
    """Everything on one trail, oldest first: the whole story. Only for those who read the ledger."""
    return list(entries_for(actor, trail=trail_id).order_by("id")[:2000])


def overdue_deliveries_for(actor: User) -> QuerySet[Delivery]:
    """Reactions that failed at least three times and still wait; for those who read the ledger."""
    rows = Delivery.objects.filter(done_at=None, attempts__gte=3).select_related("entry__written", "entry__erasure")
    return rows.order_by("id") if holds(actor, VIEW) else rows.none()


def stumbles_for(actor: User) -> QuerySet[Stumble]:
    """Entries that a projection could not fold and that are not mended yet; for those who read the ledger."""
    rows = Stumble.objects.filter(mended_at=None).order_by("id")
    return rows if holds(actor, VIEW) else rows.none()


def lag_s_for(actor: User, projection: str) -> float:
    """Seconds since the projection last read; 0.0 before its first time."""
    found = Cursor.objects.filter(pk=projection).values("read_at", now=ClockTimestamp()).first()
    if found is None or not actor.is_active:
        return 0.0
    return max(0.0, float((found["now"] - found["read_at"]).total_seconds()))


def outbox_rows_for(actor: User) -> int:
    """How many reactions are still to follow, at once or at a later try. A count, which names none of them."""
    return Delivery.objects.filter(done_at=None).count() if actor.is_active else 0


@dataclass(frozen=True, slots=True)
class Erased:
    """One erasure: the entry that says so, when, by whom, of how many payloads."""

    entry: int
    at: datetime
    by: str
    payloads: int


@dataclass(frozen=True, slots=True)
class Proof:
    """What a walk over the whole ledger found. ``mismatches``: ``(entry, what is wrong)``; empty where all holds.

    ``root``: the Merkle tree hash, in hex, over the lines of the first ``leaves`` of the ``sealed`` entries.
    ``unsealed``: entries that the projection has yet to come to, the oldest of them of ``unsealed_since``.
    ``stumbles``: entries that it could not seal and stepped around.
    """

    entries: int
    erasures: tuple[Erased, ...]
    mismatches: tuple[tuple[int, str], ...]
    leaves: int
    root: str
    sealed: int
    unsealed: int
    unsealed_since: datetime | None
    stumbles: tuple[int, ...]


STEP = 2000
LEAVES = "leaves"
"""The projection that seals."""


def proof_for(actor: User, *, size: int | None = None) -> Proof:
    """Check every leaf, commitment and erasure as of one moment; the root over the first ``size`` leaves, or all.

    For those who read the ledger everywhere, and the plane itself. Raises NotAllowedError.
    """
    if not (actor.kind == UserKind.SYSTEM or scope_for(actor, VIEW).everywhere):
        raise NotAllowedError
    with _one_moment():
        return _proof(size)


@contextmanager
def _one_moment() -> Iterator[None]:
    """Read everything as it stood at one moment: the plane writes on. Inside a transaction, that one's view holds."""
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def _proof(size: int | None) -> Proof:
    mismatches = list[tuple[int, str]]()
    tree = _Tree(mismatches)
    lines = iter(tree)
    root, leaves = root_of(islice(lines, size)).hex(), tree.count
    for _line in lines:
        continue  # beyond ``size`` leaves are checked as well
    sealing, count = _Sealing(), 0
    kept: dict[int, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for entry in _walk():
        count += 1
        if entry.erased:
            kept[entry.erased.because_id].append((entry.pk, entry.erased.kept))
        mismatches += [(entry.pk, wrong) for wrong in (*_wrongs_with(entry), *sealing.wrongs_with(entry))]
    strays = Payload.objects.exclude(pk__in=Entry.objects.values("pk")).values_list("pk", flat=True)
    mismatches += [(number, "A payload without its entry.") for number in strays]
    erasures = [_erased(number, facts, mismatches) for number, facts in sorted(kept.items())]
    return Proof(
        count,
        tuple(erasures),
        tuple(mismatches),
        leaves,
        root,
        sealed=tree.count,
        unsealed=sealing.ahead,
        unsealed_since=sealing.since,
        stumbles=tuple(sorted(sealing.stumbles)),
    )


class _Tree:
    """The leaves in their places, each computed from the line that stands there now: what was stored proves nothing."""

    def __init__(self, mismatches: list[tuple[int, str]]) -> None:
        self.count, self.mismatches = 0, mismatches

    def __iter__(self) -> Iterator[bytes]:
        rows = Leaf.objects.order_by("place").values_list("place", "entry_id", "hash")
        last, has_gap = -1, False
        while found := list(rows.filter(place__gt=last)[:STEP]):
            last = found[-1][0]
            lines = Entry.objects.select_related(None).in_bulk([number for _, number, _ in found])
            for place, number, stored in found:
                if place != self.count and not has_gap:
                    has_gap = True
                    self.mismatches.append((number, "A leaf before its own is gone."))
                self.count += 1
                yield self._leaf(number, lines.get(number), bytes(stored))

    def _leaf(self, number: int, line: Entry | None, stored: bytes) -> bytes:
        if line is None:
            self.mismatches.append((number, "A sealed line is gone."))
            return stored
        leaf = leaf_of(line)
        if not compare_digest(leaf, stored):
            self.mismatches.append((number, "It is not the line that was sealed."))
        return leaf


class _Sealing:
    """Whether entries were sealed as far as the projection says that it came."""

    def __init__(self) -> None:
        self.reached = Cursor.objects.filter(pk=LEAVES).values_list("xid", "entry_id").first() or (0, 0)
        rows = Stumble.objects.filter(projection=LEAVES, mended_at=None)
        self.stumbles = set(rows.values_list("entry_id", flat=True))
        self.ahead, self.since = 0, cast("datetime | None", None)

    def wrongs_with(self, entry: Any) -> Iterator[str]:
        if entry.is_sealed or entry.pk in self.stumbles:
            return
        if (entry.xid, entry.pk) <= self.reached:
            yield "It was passed over: it has no leaf."
        else:
            self.ahead += 1
            self.since = min(self.since or entry.occurred_at, entry.occurred_at)


def _walk() -> Iterator[Entry]:
    """Every entry in order, with its payload as it stands (``text``), its erasure, and whether it has a leaf."""
    rows = _annotated(Entry.objects.all()).order_by("pk")
    last = 0
    while found := list(rows.filter(pk__gt=last)[:STEP]):
        yield from found
        last = found[-1].pk


def _annotated(rows: QuerySet[Entry]) -> QuerySet[Any]:
    has_leaf = Exists(Leaf.objects.filter(entry=OuterRef("pk")))
    return rows.annotate(text=Cast("written__content", TextField()), is_sealed=has_leaf)


def _wrongs_with(entry: Any) -> Iterator[str]:
    if entry.text is None:
        if not entry.erased:
            yield "Its payload is gone, and no erasure says so."
    elif entry.erased:
        yield "Its payload was erased and is here again."
    elif not compare_digest(commitment_of(bytes(entry.written.salt), entry.text.encode()), bytes(entry.commitment)):
        yield "Its payload is not what was written."


def _erased(number: int, facts: list[tuple[int, dict[str, Any]]], mismatches: list[tuple[int, str]]) -> Erased:
    entry = Entry.objects.get(pk=number)
    if (entry.payload.get("payloads"), entry.payload.get("facts")) != (len(facts), facts_digest(facts)):
        mismatches.append((number, "What was kept is not what this erasure kept."))
    return Erased(number, entry.occurred_at, entry.actor_label, len(facts))


PROVEN_MAX = 200_000
"""Over so many leaves a page computes the tree; the command does it over all."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What one entry's seal is worth now. ``place``: of its leaf, None where it has none yet.

    ``wrongs``: what does not hold of the entry itself. ``is_checked``: whether all that the reader may have compared
    was; the tree is computed only when they ask. ``size``, ``root``: the tree over which its inclusion was
    computed, ``steps`` hashes long; 0: it was not, because the tree is too large for a page, or the reader does not
    read all of it. ``is_included``: whether the line as it is now leads to that root. ``was_noted``: whether that is
    the root that the reader had noted; None where they gave none.
    """

    place: int | None
    wrongs: tuple[str, ...]
    is_checked: bool = True
    size: int = 0
    root: str = ""
    steps: int = 0
    is_included: bool = True
    was_noted: bool | None = None

    @property
    def holds(self) -> bool:
        """Whether everything that was compared is as it was sealed."""
        return not self.wrongs and self.is_included and self.was_noted is not False


def seal_of(actor: User, entry: Entry, *, in_tree: bool = False, size: int | None = None, root: str = "") -> Seal:
    """Check one entry that was fetched for ``actor``: its line, its payload, and ``in_tree`` its place in the tree.

    ``size``, ``root``: a line that the reader noted before; the tree is then the one over the first ``size`` leaves.
    Raises InvalidError where that tree is none in which the entry is, or too large for a page.
    """
    with _one_moment():
        found = cast("Any", _annotated(Entry.objects.filter(pk=entry.pk)).first())
        if found is None:
            raise NotFoundError
        leaf = Leaf.objects.filter(entry=entry.pk).values_list("place", "hash").first()
        wrongs = [*_wrongs_with(found), *_Sealing().wrongs_with(found)]
        if leaf is None:
            return Seal(None, tuple(wrongs))
        place, now = leaf[0], leaf_of(found)
        if not compare_digest(now, bytes(leaf[1])):
            wrongs.append("It is not the line that was sealed.")
        reads_all = scope_for(actor, VIEW).everywhere
        if not reads_all or not (in_tree or size):
            return Seal(place, tuple(wrongs), is_checked=not reads_all)
        sealed = 1 + Leaf.objects.order_by("-place").values_list("place", flat=True)[0]
        if size is not None and (said := _size_said(place, size, sealed)):
            raise InvalidError(errors={"size": [said]})
        over = size or sealed
        if over > PROVEN_MAX:
            return Seal(place, tuple(wrongs))
        rows = Leaf.objects.filter(place__lt=over).order_by("place")
        hashes = [bytes(each) for each in rows.values_list("hash", flat=True)]
    computed, path = root_of(hashes), inclusion_of(hashes, place)
    is_there = place < len(hashes) == over and compare_digest(hashes[place], bytes(leaf[1]))
    is_included = is_there and compare_digest(root_by(now, path, place=place, size=over), computed)
    was_noted = compare_digest(computed.hex(), root.lower()) if root else None
    return Seal(place, tuple(wrongs), True, over, computed.hex(), len(path), is_included, was_noted)


def _size_said(place: int, size: int, sealed: int) -> str:
    """What is wrong with the size that was noted; empty where nothing is."""
    if not place < size <= sealed:
        told = {"least": place + 1, "most": sealed}
        return _("A tree in which this entry is has %(least)d to %(most)d leaves.") % told
    if size > PROVEN_MAX:
        return _("A page computes trees of at most %d leaves: manage.py audit_verify takes any.") % PROVEN_MAX
    return ""
