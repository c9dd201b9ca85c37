"""The item in the inbox, the queues it stands in, people's votes."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, override
from uuid import UUID

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q, QuerySet, Value
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor
from django.db.models.functions import Cast, Coalesce, Least, Right

from apps.access.models import BusinessUnit, Queue
from apps.agents.models import Action, Agent
from apps.core.amounts import exponent_of
from apps.core.models import ClockTimestamp, Erasable, Stateful, User, choices_of
from apps.core.prepared import Prepared, Slot
from apps.core.rules import Risk
from apps.oversight.models.groups import EscalationGroup, Vote, groups_of, live_votes_of
from apps.oversight.rules import (
    DECIDED,
    ESCALATION_MOVES,
    EscalationState,
    Kind,
    Separation,
    allowed_verdicts,
    value_at,
    view_hash,
)
from apps.policies.rules import USUAL_BULK, Bulk, bulk_of

if TYPE_CHECKING:
    from apps.oversight.models.attention import Delegation

OPEN = (EscalationState.PENDING, EscalationState.HELD)
BY_VOTE = sorted(DECIDED)
BY_PEOPLE = (EscalationState.HELD, *BY_VOTE)


class _ActionOrStandIn(ForwardManyToOneDescriptor[Any]):
    """The action of an item; of a drill, which has none, what its page shows in the place of one."""

    @override
    def __get__(self, instance: Any, cls: Any = None) -> Any:
        found = super().__get__(instance, cls)
        if found is not None or instance is None or instance.drill_for_id is None or not hasattr(instance, "drill"):
            return found
        if instance._stand_in is None:
            instance._stand_in = instance.drill.stand_in()
        return instance._stand_in


class ActionKey(models.ForeignKey[Any, Any]):
    """A foreign key to an action whose place a drill's stand-in takes."""

    forward_related_accessor_class = _ActionOrStandIn

    @override
    def deconstruct(self) -> Any:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.ForeignKey", args, kwargs


class RealItems(models.Manager["Escalation"]):
    """Items of real work. Whatever counts, sweeps, sums, halts or tells reads these, so it knows no drill."""

    @override
    def get_queryset(self) -> models.QuerySet["Escalation"]:
        return super().get_queryset().filter(drill_for=None)


class Escalation(Erasable, Stateful):
    """One thing that waits for people. Steps and runs are named by plain values: they live on a higher floor.

    ``run_unit``: where its run was started, if that may be another unit than ``unit``: a halt there covers it too.
    ``version`` grows when what is to be decided changes, not with votes, comments and claims. Once decided the row
    never changes again: PostgreSQL itself refuses (migration 0002).
    ``classed``: the paths of ``subject`` that carry a class of data, where there is no action that says so.

    ``drill_for``: this is an exercise for that person, with no action behind it. ``objects`` leaves those out;
    ``everything``, for the inbox and the drills themselves, does not.

    Its clocks stand still since ``frozen_at`` (a halt), ``paused_at`` (its run rests), ``sla_paused_at`` (the agent
    was asked something: then the expiry goes on); ``stood`` is for how long they did before.
    """

    MOVES = ESCALATION_MOVES
    UNIT = "unit"
    in_time: bool
    """Whether it was ``unexpired`` when it was locked; only a locked one knows."""
    _groups: list[EscalationGroup] | None = None
    _handed: "list[Delegation] | None" = None
    _stand_in: Action | None = None

    objects = RealItems()
    everything: "models.Manager[Escalation]" = models.Manager()

    kind = models.CharField(max_length=10, choices=choices_of(Kind))
    state = models.CharField(max_length=20, choices=choices_of(EscalationState), default=EscalationState.PENDING)
    version = models.PositiveIntegerField(default=1)
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, related_name="+")
    agent = models.ForeignKey(Agent, models.PROTECT, null=True, related_name="+")
    action: "models.ForeignKey[Action | None, Action | None]" = ActionKey(
        Action, models.PROTECT, null=True, related_name="escalations"
    )
    workflow = models.CharField(max_length=63, blank=True)
    run_id = models.UUIDField(null=True)
    step = models.CharField(max_length=63, blank=True)
    round = models.PositiveIntegerField(null=True)
    item = models.IntegerField(null=True)
    task_id = models.UUIDField(null=True)
    run_starter = models.CharField(max_length=150, blank=True)
    run_unit = models.ForeignKey(BusinessUnit, models.PROTECT, null=True, related_name="+")

    title = models.CharField(max_length=300)
    consequence = models.TextField(blank=True)
    subject = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    classed: "models.JSONField[Any, Any]" = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    schema = models.JSONField(null=True)
    options = models.JSONField(default=list)
    verdict = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    release = models.PositiveIntegerField(null=True)
    digest = models.CharField(max_length=71, blank=True)
    asked = models.JSONField(null=True)
    patch = models.JSONField(default=list)
    risk = models.CharField(max_length=8, choices=choices_of(Risk), default=Risk.MEDIUM)
    priority = models.PositiveSmallIntegerField(default=2)
    exclude = models.JSONField(default=list)
    editors = models.JSONField(default=list)
    step_up = models.BooleanField(default=False)
    bulk = models.JSONField(null=True)
    restate = models.CharField(max_length=200, blank=True)
    deny_needed = models.PositiveSmallIntegerField(default=1)

    due_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    frozen_at = models.DateTimeField(null=True)
    sla_paused_at = models.DateTimeField(null=True)
    overdue_at = models.DateTimeField(null=True)
    reached_at = models.DateTimeField(null=True)
    unheard_at = models.DateTimeField(null=True)
    warn_at = models.DateTimeField(null=True)
    warned_at = models.DateTimeField(null=True)
    paused_at = models.DateTimeField(null=True)
    stood = models.DurationField(default=timedelta(0))
    escalate_to = models.ForeignKey(Queue, models.PROTECT, null=True, related_name="+")
    attempts = models.PositiveIntegerField(default=1)
    supersedes = models.ForeignKey("self", models.PROTECT, null=True, related_name="successors")
    claimed_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    claimed_until = models.DateTimeField(null=True)
    assigned_to = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")

    decided_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    reason = models.TextField(blank=True)
    reason_code = models.CharField(max_length=40, blank=True)
    retry = models.CharField(max_length=60, blank=True)
    answer = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    edited = models.BooleanField(default=False)
    hold_s = models.PositiveIntegerField(default=0)
    releases_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=20, blank=True)
    back_to = models.CharField(max_length=63, blank=True)
    drill_for = models.ForeignKey(User, models.PROTECT, null=True, related_name="+", db_index=False)

    class Meta:
        permissions = [("decide_escalation", "May decide an escalation")]
        constraints = [
            models.UniqueConstraint(
                fields=["action", "kind"], condition=Q(state__in=OPEN), name="escalation_pending_once_per_action"
            ),
            models.UniqueConstraint(
                fields=["run_id", "step", "round", "item", "kind"],
                condition=Q(state__in=OPEN, action=None) & ~Q(run_id=None),
                name="escalation_pending_once_per_step",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(state__in=BY_PEOPLE, decided_by__isnull=False, decided_at__isnull=False)
                | (~Q(state__in=BY_PEOPLE) & Q(decided_by=None, decided_at=None)),
                name="escalation_decided_by_a_person",
            ),
            models.CheckConstraint(
                condition=Q(state__in=OPEN, ended_at=None) | (~Q(state__in=OPEN) & Q(ended_at__isnull=False)),
                name="escalation_ended_when_final",
            ),
            models.CheckConstraint(condition=Q(version__gte=1), name="escalation_version_from_one"),
            models.CheckConstraint(
                condition=~Q(kind=Kind.ACTION)
                | ((Q(action__isnull=False) | Q(drill_for__isnull=False)) & ~Q(digest="")),
                name="escalation_of_action_is_bound",
            ),
            models.CheckConstraint(
                condition=Q(drill_for=None)
                | Q(
                    kind=Kind.ACTION,
                    action=None,
                    run_id=None,
                    task_id=None,
                    release=None,
                    state__in=[EscalationState.PENDING, EscalationState.CANCELLED],
                ),
                name="escalation_drill_runs_nothing",
            ),
            models.UniqueConstraint(
                fields=["drill_for"], condition=Q(state="pending"), name="escalation_one_drill_each"
            ),
        ]
        indexes = [
            models.Index(fields=["due_at", "id"], name="escalation_inbox", condition=Q(state__in=OPEN)),
            models.Index(fields=["warn_at"], name="escalation_warning", condition=Q(state="pending", warned_at=None)),
            models.Index(fields=["due_at"], name="escalation_overdue", condition=Q(state="pending", overdue_at=None)),
            models.Index(fields=["expires_at"], name="escalation_expiry", condition=Q(state="pending")),
            models.Index(fields=["release"], name="escalation_by_release", condition=Q(state="pending", kind="action")),
            models.Index(fields=["releases_at"], name="escalation_held", condition=Q(state="held")),
            models.Index(
                fields=["unheard_at"],
                name="escalation_unheard",
                condition=Q(state="pending", reached_at=None, unheard_at__isnull=False),
            ),
            models.Index(fields=["run_id"], name="escalation_by_run", condition=~Q(run_id=None)),
            models.Index(fields=["task_id"], name="escalation_by_task", condition=~Q(task_id=None)),
            models.Index(fields=["agent", "-id"], name="escalation_by_agent"),
            models.Index(fields=["agent", "-id"], name="escalation_precedent", condition=Q(state__in=BY_VOTE)),
            models.Index(fields=["agent", "-ended_at", "-id"], name="escalation_said", condition=Q(state__in=BY_VOTE)),
            models.Index(fields=["state", "-id"], name="escalation_by_state"),
            models.Index(fields=["agent"], name="escalation_edited_away", condition=Q(state="rejected", edited=True)),
            models.Index(Right(Cast("id", models.TextField()), 8), name="escalation_by_ending"),
            models.Index(
                fields=["decided_by", "-decided_at"], name="escalation_by_decider", condition=~Q(decided_by=None)
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    @override
    def trail(self) -> UUID:
        """The run, else the action, else the item itself."""
        return self.run_id or self.action_id or self.id

    @staticmethod
    def unexpired() -> Q:
        """Still in time, by the database's clock; for a frozen item, by the time at which its clocks stopped."""
        stopped = Least(F("frozen_at"), F("paused_at"))  # PostgreSQL's least() skips NULL
        return Q(expires_at=None) | Q(expires_at__gt=Coalesce(stopped, ClockTimestamp()))

    @staticmethod
    def sla_runs() -> Q:
        """The time until it is due runs: no halt covers it, its run does not rest, no question to the agent is open."""
        return Q(frozen_at=None, paused_at=None, sla_paused_at=None)

    def group_list(self) -> list[EscalationGroup]:
        """The groups in their order, with queues and roles; read once. ``forget_groups`` after changing them."""
        if self._groups is None:
            is_here = "groups" in getattr(self, "_prefetched_objects_cache", {})
            self._groups = list(self.groups.all()) if is_here else groups_of(items=[self.pk])
        return self._groups

    def take_groups(self, groups: "Iterable[EscalationGroup]") -> None:
        """The groups of an item that is not saved."""
        self._groups = list(groups)

    def asked_groups(self) -> list[EscalationGroup]:
        """The groups whose turn has come: those of every lower stage are complete."""
        return [group for group in self.group_list() if group.is_asked]

    def groups_of(self, vote: Vote) -> list[EscalationGroup]:
        """The groups in which a vote may count: those that were asked when it was cast."""
        return [group for group in self.group_list() if group.stage <= vote.stage]

    def forget_groups(self) -> None:
        """Read them again when next asked."""
        self._groups = None
        getattr(self, "_prefetched_objects_cache", {}).pop("groups", None)

    def sayable(self) -> dict[str, dict[str, Any]]:
        """What may be said to it, and what each takes, for whoever may decide it."""
        back = {Kind.APPROVAL: self.back_to, Kind.FORM: self.back_to, Kind.QUESTION: self.task_id}
        goes_back = bool(back.get(Kind(self.kind), True))
        cannot = self.action.cannot_take if self.action else ()
        return allowed_verdicts(
            Kind(self.kind), self.tier, self.restate, step_up=self.step_up, goes_back=goes_back, cannot_take=cannot
        )

    def bulk_let(self) -> Bulk:
        """What may be approved at once: what its rules say, those now in force and (``bulk``) those before them."""
        demands = self.verdict.get("obligations") or {}
        return bulk_of(self.bulk) or bulk_of(demands.get("bulk")) or USUAL_BULK

    @property
    def is_drill(self) -> bool:
        """Whether this is an exercise: nothing follows from it."""
        return self.drill_for_id is not None

    def entry_name(self, what: str) -> str:
        """The ledger's name for something done to it: a drill's entries say that it is one."""
        return f"{'drill' if self.is_drill else 'escalation'}.{what}"

    @property
    def tier(self) -> Risk:
        """The risk as the rules' enumeration."""
        return Risk(self.risk)

    @property
    def quorum_needed(self) -> int:
        """How many people must approve, over all groups."""
        return sum(group.needed for group in self.group_list())

    def values(self) -> dict[str, Any]:
        """What is to be decided: an action's parameters, else the subject."""
        return dict(self.action.parameters if self.action else self.subject)

    def restated(self, values: dict[str, Any] | None = None) -> tuple[Any, int | None]:
        """The value to be retyped, and its decimals where it is money in minor units."""
        values = self.values() if values is None else values
        names = {"title": self.title, "operation": self.action.operation if self.action else ""}
        value = value_at(values, self.restate)
        value = names.get(self.restate) if value is None else value
        currency = (self.action.currency if self.action else "") or str(values.get("currency", ""))
        asked = value_at(self.values(), self.restate)
        is_money = self.restate.endswith("_minor") or (self.action and asked == self.action.amount_minor)
        return value, exponent_of(currency) if is_money and isinstance(value, int) else None

    def shown(self) -> dict[str, Any]:
        """What the page renders of stored data, canonically: what a decision's ``view_hash`` is made of."""
        verdict = {name: self.verdict.get(name) for name in ("effect", "rules", "obligations", "release")}
        return {
            "id": str(self.pk),
            "version": self.version,
            "kind": self.kind,
            "title": self.title,
            "consequence": self.consequence,
            "values": self.values(),
            "digest": self.digest,
            "verdict": verdict,
            "risk": self.risk,
            "schema": self.schema,
            "options": self.options,
            "groups": [
                [group.key, group.needed, *([group.stage] if group.stage > 1 else [])] for group in self.group_list()
            ],
        }

    def view_hash(self) -> str:
        """The digest of what the page shows now."""
        return view_hash(self.shown())

    def live_votes(self) -> list[Vote]:
        """The votes that count, oldest first; from the prefetch where there is one."""
        if (found := getattr(self, "prefetched_votes", None)) is not None:
            return list(found)
        return live_votes_of(items=[self.pk])

    def delegation_list(self) -> "list[Delegation]":
        """The live hand-overs, oldest first; read once. ``forget_delegations`` after changing them."""
        if self._handed is None:
            found = getattr(self, "prefetched_handed", None)
            self._handed = live_delegations_of(items=[self.pk]) if found is None else list(found)
        return self._handed

    def forget_delegations(self) -> None:
        """Read them again when next asked."""
        self._handed = None
        vars(self).pop("prefetched_handed", None)

    def handed(self) -> "list[tuple[str, str]]":
        """The live hand-overs as ``(from, to)`` usernames."""
        return [(row.by.username, row.to.username) for row in self.delegation_list()]

    def separation(self) -> Separation:
        """Who may not decide this item, with the words it uses resolved to the people they mean now."""
        meanings: dict[str, Callable[[], Iterable[str]]] = {
            "requester": self._requesters,
            "agent_owner": lambda: [self.agent.owner.username] if self.agent else [],
            "run_starter": lambda: [self.run_starter] if self.run_starter else [],
            "policy_author": lambda: self.verdict.get("authors", ()),
        }
        people = {word: frozenset(names()) for word, names in meanings.items() if word in self.exclude}
        return Separation(exclude=frozenset(self.exclude), people=people, editors=frozenset(self.editors))

    def _requesters(self) -> list[str]:
        """Who asked: the principal and whom it acts for; who started a step's run, or wants undone what is in none."""
        action, names = self.action, [] if self.action and self.run_id else [self.run_starter]
        if action:
            names += [action.principal.username, action.on_behalf_of.username if action.on_behalf_of else ""]
        return [name for name in names if name]


def _live_delegations() -> QuerySet["Delegation"]:
    """Hand-overs come to an item from a module that knows it, so they are looked up by name."""
    rows = apps.get_model("oversight", "Delegation")._default_manager.filter(ended_at=None)
    return rows.filter(escalation__pk__any_of=Slot("items")).select_related("by", "to").order_by("id")


live_delegations_of = Prepared(_live_delegations)
