"""An office with a full inbox: 200 approvers, 100,000 items that wait, a million that were decided."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import psycopg
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model

from apps.agents.models import Action
from apps.core.models import ClockTimestamp, User
from apps.halts.models import Breaker
from apps.oversight.models import Escalation, EscalationGroup, Job, Vote
from apps.oversight.rules import MAX_BULK
from apps.oversight.tasks import sweep_escalations
from bench.suites import PASSWORD, Rows, percentile, row, timed
from tests.factories.access import make_approver
from tests.factories.oversight import make_payment, say

THINKING_S = 0.5
"""How long a person looks at an item at least; what the last decision set off is done meanwhile, as in an office."""
PENDING, DECIDED, APPROVERS = 100_000, 1_000_000, 200
FRAGMENT = {"HX-Request": "true", "HX-Target": "detail"}


@dataclass
class Office:
    """Whom everything waits for, and the first items of theirs."""

    approver: User
    items: list[UUID]


def make_office() -> Office:
    """Copies of one payment that waits and of one that was approved, made in SQL: a million services take a day.

    Both of one agent, one operation and one unit: each item has precedents, and each approver a history.
    """
    Breaker.objects.update(ended_at=ClockTimestamp())  # here all that is approved fails
    waiting, done = make_payment(), make_payment()
    say(done.ada, done.item)
    while sweep_escalations():  # both under the release in force: what is copied is not to be judged again
        pass
    approver = make_approver(waiting.queue, password=PASSWORD)
    people = [approver, *(make_approver(waiting.queue) for _ in range(APPROVERS - 1))]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE wanted (n int, action uuid, item uuid) ON COMMIT DROP")
        _copies(cursor, waiting, PENDING, due_at="clock_timestamp() + interval '1 hour' + s.n * interval '1 second'")
        cursor.execute("TRUNCATE wanted")
        cursor.execute("CREATE TEMP TABLE people ON COMMIT DROP AS SELECT row_number() OVER () - 1 AS n, id FROM"
                       " unnest(%s::uuid[]) AS id", [[person.pk for person in people]])  # fmt: skip
        decided_by = f"(SELECT p.id FROM people p WHERE p.n = s.n %% {APPROVERS})"
        agent = f"'{waiting.agent.pk}'::uuid"
        action = {
            "agent_id": agent,
            "principal_id": f"'{waiting.agent.user.pk}'::uuid",
            "operation": f"'{waiting.operation.slug}'",
        }
        unit = f"'{waiting.unit.pk}'::uuid"
        _copies(cursor, done, DECIDED, action, decided_by_id=decided_by, unit_id=unit, agent_id=agent)
        vote = done.item.votes.get()
        _insert(cursor, Vote, vote, "wanted s", id="uuidv7()", escalation_id="s.item", voter_id=decided_by)
    with psycopg.connect(settings.DATABASE_OWNER_URL, autocommit=True) as owner:
        owner.execute("VACUUM ANALYZE")  # as time would: the application's role may not, and is only warned
    mine = Escalation.objects.filter(state="pending", action__operation=waiting.operation.slug)
    return Office(approver, list(mine.order_by("due_at", "id").values_list("pk", flat=True)[:800]))


def _copies(cursor: Any, payment: Any, count: int, action: Mapping[str, str] | None = None, **changes: str) -> None:
    cursor.execute("INSERT INTO wanted SELECT n, uuidv7(), uuidv7() FROM generate_series(1, %s) AS n", [count])
    reference = "'bench-' || s.n || '-' || s.action"
    _insert(cursor, Action, payment.action_now(), "wanted s", id="s.action", reference=reference, **(action or {}))
    _insert(cursor, Escalation, payment.now(), "wanted s", id="s.item", action_id="s.action", **changes)
    group = EscalationGroup.objects.get(escalation=payment.item)
    _insert(cursor, EscalationGroup, group, "wanted s", id=None, escalation_id="s.item")


def _insert(cursor: Any, model: type[Model], like: Model, source: str, **changes: str | None) -> None:
    """Insert a copy of the row ``like`` for each row of ``source``, but for ``changes`` (SQL; None: the default)."""
    columns = [field.column for field in model._meta.concrete_fields if changes.get(field.column, "") is not None]
    values = ", ".join(changes.get(column) or f't."{column}"' for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    table = model._meta.db_table
    cursor.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {source}, {table} t WHERE t.id = %s", [like.pk])


def cursor_behind(client: httpx.Client) -> str:
    """The cursor of the second page, as the first page's link carries it."""
    return client.get("/inbox/?view=mine").text.split("after=")[1].split("&")[0].split('"')[0]


def measure_decisions(client: httpx.Client, items: list[UUID]) -> Rows:
    """Approving as the page does: the answer holds the next item, the decided row and the new count."""
    times = []
    for item in items:
        time.sleep(THINKING_S)
        page = client.get(f"/inbox/{item}/", headers=FRAGMENT).text
        form = {name: page.split(f'name="{name}" value="')[1].split('"')[0] for name in ("version", "view_hash")}
        headers = {**FRAGMENT, "X-CSRFToken": client.cookies["csrftoken"], "Referer": str(client.base_url)}

        def decide(item: UUID = item, form: dict[str, str] = form, headers: dict[str, str] = headers) -> None:
            data = {**form, "verdict": "approve"}
            client.post(f"/inbox/{item}/decision/", data=data, headers=headers).raise_for_status()

        times.append(timed(decide))
    assert Escalation.objects.filter(pk__in=items, state="approved").count() == len(items)
    return [
        row("a decision with the next item, p50", statistics.median(times), "ms"),
        row("a decision with the next item, p95", percentile(times, 0.95), "ms", "<= 150"),
    ]


def measure_bulk(client: httpx.Client, items: list[UUID]) -> Rows:
    """Rejecting 200 items as the page does, from the button until the last one is decided; three times."""
    times = []
    for start in range(0, 3 * MAX_BULK, MAX_BULK):
        some = items[start : start + MAX_BULK]
        headers = {"X-CSRFToken": client.cookies["csrftoken"], "Referer": str(client.base_url)}
        form = {"verdict": "reject", "reason": "Not this month.", "ids": [str(item) for item in some]}

        def reject(form: dict[str, Any] = form, headers: dict[str, str] = headers) -> None:
            client.post("/inbox/bulk/", data=form, headers=headers).raise_for_status()
            while Job.objects.filter(state="running").exists():
                time.sleep(0.05)  # looking takes processor time from those who work

        times.append(timed(reject))
        assert Escalation.objects.filter(pk__in=some, state="rejected").count() == MAX_BULK
        time.sleep(5 * THINKING_S)
    return [
        row(f"a bulk of {MAX_BULK}, until the last is decided, median of 3", statistics.median(times), "ms", "<= 3000")
    ]
