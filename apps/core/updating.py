"""One row's conditional UPDATE that says what the database made of it, in one statement."""

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections, transaction
from django.db.models import Model, QuerySet
from django.db.models.sql import UpdateQuery


def update_row(rows: QuerySet[Any], values: dict[str, Any]) -> dict[str, Any] | None:
    """As ``rows.update(**values)`` where ``rows`` is at most one: what stands there now, by name; None if none matched.

    Plain values come back as they were given, what the database computed (``F``, ``ClockTimestamp``) as it reads them.
    """
    query: Any = rows.query.chain(klass=UpdateQuery)
    query.add_update_values(values)
    compiler = query.get_compiler(rows.db)
    computed = [name for name, value in values.items() if hasattr(value, "resolve_expression")]
    columns = [_field(rows.model, name).get_col(rows.model._meta.db_table) for name in computed]
    try:
        sql, parameters = compiler.as_sql()
    except EmptyResultSet:
        return None
    said = ", ".join(compiler.compile(column)[0] for column in columns) or "1"
    with transaction.mark_for_rollback_on_error(rows.db), connections[rows.db].cursor() as cursor:
        cursor.execute(f"{sql} RETURNING {said}", parameters)
        found = cursor.fetchone()
        assert cursor.rowcount <= 1, "update_row is for one row"
    if found is None:
        return None
    if not computed:
        return values
    ((*read,),) = compiler.apply_converters([found], compiler.get_converters(columns))
    return values | dict(zip(computed, read, strict=True))


def _field(model: type[Model], name: str) -> Any:
    return model._meta.get_field(name)
