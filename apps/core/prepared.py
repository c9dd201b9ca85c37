"""Reads that every request makes: compiled to SQL once per process, run with new values each time.

Django builds a query's SQL anew for each run, which for a wide row is most of what the read costs (ADR 0009).
A prepared read keeps the SQL and what Django learnt of its columns; rows become model instances as ever, fresh ones.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from copy import copy
from functools import cached_property
from typing import Any, cast

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Expression, Field, QuerySet
from django.db.transaction import TransactionManagementError


@contextmanager
def planned_once(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Statements within are planned once per connection, for any values: what a request repeats and an index answers.

    Not for lists: a plan that fits any values reads a thousand times what the plan for these values reads.
    Nothing else happens where the driver may not prepare at all (``?prepared=no``).
    """
    connections[using].ensure_connection()
    driver: Any = connections[using].connection
    before = driver.prepare_threshold
    driver.prepare_threshold = None if before is None else 0
    try:
        yield
    finally:
        driver.prepare_threshold = before


class Slot(Expression):
    """Where a value goes that is known only when the read runs: ``filter(slug=Slot("slug"))``.

    A condition by itself says so: ``filter(Slot("all", BooleanField()) | Q(...))``.
    """

    def __init__(self, name: str, output_field: "Field[Any, Any] | None" = None) -> None:
        super().__init__(output_field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """``%s``, and this slot among the parameters until the read runs."""
        return "%s", [self]


class Prepared[R]:
    """A queryset with slots. Values go to the driver as they are: no field checks or converts them.

    ``build`` runs once, at the first read; what it puts in besides slots stays for the life of the process.
    ``is_list``: it may read many rows, so PostgreSQL plans each run with its values (``planned_once`` says why).
    """

    def __init__(self, build: Callable[[], QuerySet[Any, R]], *, is_list: bool = False) -> None:
        self._build = build
        self._is_list = is_list

    @cached_property
    def _compiled(self) -> tuple[QuerySet[Any, R], Any, str, tuple[Any, ...]]:
        queryset = self._build()
        compiler = queryset.query.get_compiler(queryset.db)
        sql, parameters = compiler.as_sql()
        converters = compiler.get_converters([column[0] for column in compiler.select])
        compiler.get_converters = lambda _columns: converters
        return queryset, compiler, sql, tuple(parameters)

    def __call__(self, **values: Any) -> list[R]:
        """The rows for these values, one for each slot (KeyError where one is missing).

        Raises TransactionManagementError where the rows would be locked outside a transaction, as Django does when it
        compiles.
        """
        queryset, compiler, sql, parameters = self._compiled
        if queryset.query.select_for_update and not connections[queryset.db].in_atomic_block:
            raise TransactionManagementError("select_for_update cannot be used outside of a transaction.")
        bound = tuple(values[one.name] if isinstance(one, Slot) else one for one in parameters)
        ready = copy(compiler)
        ready.connection = connections[queryset.db]  # a connection belongs to its thread
        ready.as_sql = lambda *_args, **_named: (sql, bound)
        with nullcontext() if self._is_list else planned_once(queryset.db):
            return list(cast("Any", queryset)._iterable_class(_Ready(queryset, ready)))

    def first(self, **values: Any) -> R | None:
        """The first row, or None; ``build`` says in which order and how many at most."""
        return next(iter(self(**values)), None)


class _Ready:
    """As much of a queryset as Django's iterables read, with a compiler that need not compile."""

    def __init__(self, queryset: QuerySet[Any], compiler: Any) -> None:
        self.db = queryset.db
        self.query = self
        self._known_related_objects: dict[Any, Any] = {}
        self._compiler = compiler

    def get_compiler(self, using: str) -> Any:
        return self._compiler
