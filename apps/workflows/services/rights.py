"""Agents' workflows as rights that access reviews look at: who may work in which, how they did, and taking it away."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Max, Q

from apps.agents.rules import AgentState
from apps.core.models import User
from apps.oversight.rules.access_reviews import Evidence, RightKind, window
from apps.oversight.selectors.rights import Key, Right
from apps.workflows.models import Attempt, Run, Task, WorkflowPermission
from apps.workflows.rules.states import TaskState
from apps.workflows.services.permissions import grant_workflow, revoke_workflow


class WorkflowRights:
    """``ForeignRights`` of oversight: one right is both permissions on one workflow, and the first names it."""

    def held(self, where: Q) -> list[Right]:
        """Those that are held now, by the permission to take tasks."""
        rows = WorkflowPermission.objects.filter(WorkflowPermission.live(), where, user__kind="agent")
        rows = rows.filter(permission__codename="work_workflow", content_object__retired_at=None)
        rows = rows.exclude(user__agent__state=AgentState.RETIRED)
        return [
            Right(
                RightKind.WORKFLOW, str(row.pk), row.user.agent.unit_id, row.user, row.content_object.slug,
                row.granted_at, str(row.granted_by or ""), row.until,
                {"until": row.until.isoformat() if row.until else None}, row,
            )
            for row in rows.select_related("user__agent__unit", "content_object", "granted_by").order_by("pk")
        ]  # fmt: skip

    def evidence_of(self, rights: Sequence[Right], since: datetime, now: datetime) -> dict[Key, Evidence]:
        """Tasks that the agent took and runs that it started, in so many queries however many rights."""
        if not rights:
            return {}
        used = _used({right.holder.pk for right in rights}, since)
        found: dict[Key, Evidence] = {}
        for right in rights:
            seen = used[right.holder.pk, right.what]
            from_when, is_whole = window(right.granted_at, now)
            last = max((at for _n, at in seen), default=None)
            found[right.kind, right.key] = Evidence(from_when, is_whole, sum(n for n, _at in seen), last)
        return found

    def revoke(self, actor: User, right: Right, *, reason: str) -> None:
        """Take both permissions away."""
        revoke_workflow(actor, agent=right.row.user.agent, workflow=right.row.content_object, reason=reason)

    def end_at(self, actor: User, right: Right, *, until: datetime | None, reason: str) -> None:
        """Give both an end."""
        about = {"agent": right.row.user.agent, "workflow": right.row.content_object}
        grant_workflow(actor, **about, until=until, reason=reason)


def _used(holders: set[UUID], since: datetime) -> dict[tuple[UUID, str], list[tuple[int, datetime]]]:
    """How often each worked in each workflow, and when last."""
    by_run = ("run__workflow__slug",)
    tables = (
        (Attempt.objects.filter(claimed_at__gt=since), "agent__user", by_run, "claimed_at"),
        (Task.objects.filter(claimed_at__gt=since, state=TaskState.CLAIMED), "agent__user", by_run, "claimed_at"),
        (Run.objects.filter(created_at__gt=since), "started_by", ("workflow__slug",), "created_at"),
    )
    found: dict[tuple[UUID, str], list[tuple[int, datetime]]] = defaultdict(list)
    for rows, who, workflow, when in tables:
        groups = rows.filter(**{f"{who}__in": holders}).order_by().values_list(who, *workflow)
        for holder, slug, times, last in groups.annotate(times=Count("pk"), last=Max(when)):
            found[holder, slug].append((times, last))
    return found


RIGHTS = WorkflowRights()
