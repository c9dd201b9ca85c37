"""Pages of long lists: read in an index's order, and stopped when the page is full."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

SWITCH = "SELECT set_config('enable_sort', %s, true)"


@contextmanager
def along_an_index() -> Iterator[None]:
    """Within, PostgreSQL walks an index in the order asked for, whatever it expects to find. For one read at a time.

    What waits differs in nearly everything from what was decided: it is due later, its groups are open. The planner
    multiplies these shares as if they had nothing to do with each other, expects forty rows where there are ten
    thousand, and reads and sorts them all for a page of twenty-five. Only for lists of which most rows fit.
    """
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        cursor.execute(SWITCH, ["off"])
        yield
        cursor.execute(SWITCH, ["on"])  # after an error the transaction takes them back
