"""What a list can be narrowed by: the queues, agents and workflows of its first thousand items."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from django.db.models import Count, QuerySet

from apps.core.models import User
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.selectors.groups import WINDOW

MAX_OFFERED = 100
"""How many of each a page offers, the most frequent ones: who looks for another one searches."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One queue, agent or workflow, and in how many of the items it stands."""

    slug: str
    name: str
    n: int


@dataclass(frozen=True, slots=True)
class Choices:
    """What is offered, by name. ``is_whole``: the list has no further items, so that the numbers are exact."""

    queue: list[Choice]
    agent: list[Choice]
    workflow: list[Choice]
    is_whole: bool


def choices_for(actor: User, rows: QuerySet[Escalation]) -> Choices:
    """What stands in ``rows`` (a list that ``actor`` got of a selector, in its order). Two queries."""
    assert actor.is_active
    names = ("pk", "agent__slug", "agent__name", "workflow")
    found = list(rows.prefetch_related(None).values_list(*names)[:WINDOW])
    groups = EscalationGroup.objects.filter(escalation__in=[pk for pk, *_ in found]).order_by()
    queues = groups.values_list("queue__slug", "queue__name").annotate(n=Count("escalation", distinct=True))
    return Choices(
        queue=_offered(Choice(slug, name, n) for slug, name, n in queues),
        agent=_counted((slug, name) for _, slug, name, _ in found if slug),
        workflow=_counted((workflow, workflow) for *_, workflow in found if workflow),
        is_whole=len(found) < WINDOW,
    )


def _counted(names: Iterable[tuple[str, str]]) -> list[Choice]:
    return _offered(Choice(slug, name, n) for (slug, name), n in Counter(names).items())


def _offered(choices: Iterable[Choice]) -> list[Choice]:
    most = islice(sorted(choices, key=lambda choice: -choice.n), MAX_OFFERED)
    return sorted(most, key=lambda choice: (choice.name.casefold(), choice.slug))
