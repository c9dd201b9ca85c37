"""What agents report."""

from typing import override
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.agents.models import Agent
from apps.agents.rules import MAX_DISMISS_REASON
from apps.core.models import Record, User, choices_of
from apps.telemetry.rules.discovered import LONGEST_NAME, DiscoveredState
from apps.telemetry.rules.links import LinkedBy
from apps.telemetry.rules.names import LONGEST_VERSION, number_of_version
from apps.telemetry.rules.severities import word_of
from apps.telemetry.rules.tools import Despite, FindingState, ToolCall

DESPITE = {
    Despite.DENIED: _("made although the plane had denied it"),
    Despite.REJECTED: _("made although people had rejected it"),
    Despite.WAITING: _("made while people had not decided yet"),
    Despite.LAPSED: _("made although nobody had allowed it in time"),
}


class UsageRecord(Record):
    """Tokens that an agent says one piece of work used. Prices come later, from the price book.

    ``input_tokens`` counts the cached ones too, ``output_tokens`` the reasoning. ``cost_minor`` is the agent's word,
    in its unit's currency; ``reported_micro`` what its spans say, in millionths of ``reported_currency``. Both are kept
    beside ours.
    """

    UNIT = "agent__unit"

    agent = models.ForeignKey(Agent, models.PROTECT, related_name="+")
    model = models.CharField(max_length=120)
    input_tokens = models.PositiveBigIntegerField()
    output_tokens = models.PositiveBigIntegerField()
    cache_read_tokens = models.PositiveBigIntegerField(default=0)
    cache_write_tokens = models.PositiveBigIntegerField(default=0)
    reasoning_tokens = models.PositiveBigIntegerField(default=0, db_default=0)
    cost_minor = models.PositiveBigIntegerField(null=True)
    reported_micro = models.PositiveBigIntegerField(null=True)
    reported_currency = models.CharField(max_length=3, blank=True, default="", db_default="")
    workflow = models.CharField(max_length=63, blank=True)
    run_id = models.UUIDField(null=True)
    task_id = models.UUIDField(null=True)
    action_id = models.UUIDField(null=True)

    class Meta:
        indexes = [models.Index(fields=["run_id"], name="usage_by_run", condition=~Q(run_id=None))]
        constraints = [
            models.CheckConstraint(
                condition=Q(cache_read_tokens__lte=models.F("input_tokens") - models.F("cache_write_tokens")),
                name="usage_cache_within_input",
            ),
            models.CheckConstraint(
                condition=Q(reasoning_tokens__lte=models.F("output_tokens")), name="usage_reasoning_within_output"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} by {self.agent}"

    @property
    @override
    def trail(self) -> UUID:
        """The run, the action, or the record itself."""
        return self.run_id or self.action_id or self.id


class Span(Record):
    """One span as an agent reported it, without what was said to models. Kept for ``ACP_SPAN_DAYS``.

    ``linked_by`` says how it is known what it belongs to; ``service`` is the name that its sender has for itself.
    ``tool``, ``tool_call``: of a call of a tool, which, and whether an action stands behind it (``governed_by``).
    ``despite``, ``despite_action``: it was made although that action had not been allowed, and how that had come.
    ``told_version`` is the agent's version by its own word; ``sent_as`` the one whose request brought it.
    ``tokens`` are those of a call of a model (``rules.names.SpanFacts``); ``usage`` says that they were counted, once.
    What a span belongs to is empty until it is known: spans arrive before those above them. ``waits``: the request that
    brought it had no room to look at its trace, so nothing was linked or counted yet but by its own word.
    """

    UNIT = "agent__unit"

    agent = models.ForeignKey(Agent, models.PROTECT, related_name="+")
    trace_id = models.CharField(max_length=32)
    span_id = models.CharField(max_length=16)
    parent_id = models.CharField(max_length=16, blank=True)
    name = models.CharField(max_length=200, blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    failed = models.BooleanField(default=False)
    operation = models.CharField(max_length=40, blank=True)
    model = models.CharField(max_length=120, blank=True)
    response_id = models.CharField(max_length=200, blank=True)
    conversation = models.CharField(max_length=200, blank=True, db_default="")
    service = models.CharField(max_length=120, blank=True, db_default="")
    told_version = models.CharField(max_length=LONGEST_VERSION, blank=True, db_default="", default="")
    sent_as = models.PositiveIntegerField(null=True)
    tool = models.CharField(max_length=120, blank=True, db_default="", default="")
    tool_call = models.CharField(max_length=10, choices=choices_of(ToolCall), blank=True, db_default="", default="")
    governed_by = models.UUIDField(null=True)
    despite = models.CharField(max_length=8, choices=choices_of(Despite), blank=True, db_default="", default="")
    despite_action = models.UUIDField(null=True)
    linked_by = models.CharField(max_length=12, choices=choices_of(LinkedBy), blank=True, db_default="", default="")
    tokens = models.JSONField(null=True)
    attributes = models.JSONField(default=dict)
    run_id = models.UUIDField(null=True)
    task_id = models.UUIDField(null=True)
    action_id = models.UUIDField(null=True)
    usage = models.ForeignKey(UsageRecord, models.PROTECT, null=True, related_name="+")
    waits = models.BooleanField(default=False, db_default=False)

    class Meta:
        indexes = [
            models.Index(fields=["created_at"], name="span_by_age"),
            models.Index(fields=["agent", "trace_id", "created_at"], name="span_waiting", condition=Q(waits=True)),
            models.Index(fields=["run_id"], name="span_by_run", condition=~Q(run_id=None)),
            models.Index(
                fields=["agent", "created_at"],
                name="span_unlinked",
                condition=Q(run_id=None, task_id=None, action_id=None),
            ),
            models.Index(
                fields=["agent", "tool", "tool_call", "ended_at"], name="span_of_tool", condition=~Q(tool_call="")
            ),
            models.Index(fields=["ended_at"], name="span_of_tool_by_time", condition=~Q(tool_call="")),
            models.Index(fields=["created_at"], name="span_to_judge", condition=Q(tool_call="open")),
            models.Index(fields=["governed_by"], name="span_governed_by", condition=~Q(governed_by=None)),
            models.Index(fields=["agent", "conversation"], name="span_by_talk", condition=~Q(conversation="")),
            models.Index(fields=["agent", "response_id"], name="span_by_response", condition=~Q(response_id="")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["agent", "trace_id", "span_id"], name="span_once"),
            models.CheckConstraint(
                condition=Q(tool_call="governed", governed_by__isnull=False)
                | ~Q(tool_call="governed") & Q(governed_by=None),
                name="span_governed_by_an_action",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.span_id

    @property
    def is_of_other_version(self) -> bool:
        """Whether it names one of the plane's versions, and another than the one whose request brought it."""
        told = number_of_version(self.told_version)
        return told is not None and self.sent_as is not None and told != self.sent_as

    @property
    def despite_words(self) -> str:
        """How it was made, in words; empty where nothing was refused."""
        return str(DESPITE[Despite(self.despite)]) if self.despite else ""


class LogRecord(Record):
    """One log record as an agent reported it, without what was said to models. Kept for ``ACP_SPAN_DAYS``.

    ``digest`` (SHA-256, hex) is over all that was sent: log records have no ids, and what is sent again is the same.
    ``severity`` is OpenTelemetry's number, 0 for none. What it belongs to is what it names, what its span is known to
    belong to by then, or what its trace is of; ``selectors.logs`` also finds it by a span that arrives later.
    """

    UNIT = "agent__unit"

    agent = models.ForeignKey(Agent, models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    trace_id = models.CharField(max_length=32, blank=True)
    span_id = models.CharField(max_length=16, blank=True)
    at = models.DateTimeField()
    severity = models.PositiveSmallIntegerField(default=0)
    event = models.CharField(max_length=120, blank=True)
    service = models.CharField(max_length=120, blank=True)
    body = models.TextField(blank=True)
    attributes = models.JSONField(default=dict)
    run_id = models.UUIDField(null=True)
    task_id = models.UUIDField(null=True)
    action_id = models.UUIDField(null=True)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["created_at"], name="log_by_age"),
            models.Index(fields=["agent", "at"], name="log_by_agent"),
            models.Index(fields=["run_id"], name="log_by_run", condition=~Q(run_id=None)),
            models.Index(fields=["action_id"], name="log_by_action", condition=~Q(action_id=None)),
            models.Index(fields=["trace_id"], name="log_by_trace", condition=~Q(trace_id="")),
        ]
        constraints = [models.UniqueConstraint(fields=["agent", "digest"], name="log_once")]

    def __str__(self) -> str:
        return self.body[:80] or self.event

    @property
    def level(self) -> str:
        """The word of its severity; empty for none."""
        return word_of(self.severity)


class SpanCount(Record):
    """How many spans of an agent were kept and rejected on one day (UTC), and why (``rules.rejections``); and logs.

    Reasons are counted since they are told apart; before, ``rejected`` alone was. ``misnamed`` were kept, and named
    work that is not the agent's own; before that was told apart they were rejected (``of_others``).
    """

    UNIT = "agent__unit"

    agent = models.ForeignKey(Agent, models.PROTECT, related_name="+")
    day = models.DateField()
    kept = models.PositiveBigIntegerField(default=0)
    rejected = models.PositiveBigIntegerField(default=0)
    unreadable = models.PositiveBigIntegerField(default=0, db_default=0)
    out_of_time = models.PositiveBigIntegerField(default=0, db_default=0)
    of_others = models.PositiveBigIntegerField(default=0, db_default=0)
    overfull = models.PositiveBigIntegerField(default=0, db_default=0)
    blocked = models.PositiveBigIntegerField(default=0, db_default=0)
    misnamed = models.PositiveBigIntegerField(default=0, db_default=0)
    logs_kept = models.PositiveBigIntegerField(default=0, db_default=0)
    logs_rejected = models.PositiveBigIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "day"], name="span_count_once_a_day")]

    def __str__(self) -> str:
        return f"{self.agent} on {self.day}"


class ToolFinding(Record):
    """A tool that an agent used without asking the plane: one row, however often.

    How often is counted from the spans while they are kept. ``despite_at``: when it was last used although the plane
    had not allowed it; that opens it again. ``dismissed_at``, ``dismissed_by``, ``dismiss_reason``:
    somebody looked and says why that is right; it stays dismissed.
    """

    UNIT = "agent__unit"

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="tool_findings")
    tool = models.CharField(max_length=120)
    last_at = models.DateTimeField()
    despite_at = models.DateTimeField(null=True)
    dismissed_at = models.DateTimeField(null=True)
    dismissed_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    dismiss_reason = models.CharField(max_length=MAX_DISMISS_REASON, blank=True, default="", db_default="")

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["agent", "tool"], name="tool_finding_once"),
            models.CheckConstraint(
                condition=Q(dismissed_at=None, dismissed_by=None)
                | Q(dismissed_at__isnull=False, dismissed_by__isnull=False),
                name="tool_finding_dismissed_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tool} by {self.agent}"

    @property
    def state(self) -> FindingState:
        """Whether somebody still has to look."""
        return FindingState.DISMISSED if self.dismissed_at else FindingState.OPEN


class DiscoveredAgent(Record):
    """A name under which an agent sent spans and that is none of its own: one row, however often.

    ``spans`` came under it since it was noted, kept or not. ``adopted_as``: the agent that it is, as a person said.
    """

    UNIT = "sender__unit"

    sender = models.ForeignKey(Agent, models.CASCADE, related_name="+")
    service = models.CharField(max_length=LONGEST_NAME)
    spans = models.PositiveBigIntegerField(default=0)
    last_at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=choices_of(DiscoveredState), default=DiscoveredState.OPEN)
    adopted_as = models.ForeignKey(Agent, models.PROTECT, null=True, related_name="+")
    until = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    reason = models.CharField(max_length=MAX_DISMISS_REASON, blank=True, default="")

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["state"], name="discovered_open", condition=Q(state="open"))]
        constraints = [
            models.UniqueConstraint(fields=["sender", "service"], name="discovered_once"),
            models.CheckConstraint(
                condition=Q(state="open", decided_at=None, decided_by=None)
                | ~Q(state="open") & Q(decided_at__isnull=False, decided_by__isnull=False),
                name="discovered_decided_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(state="adopted", adopted_as__isnull=False) | ~Q(state="adopted") & Q(adopted_as=None),
                name="discovered_adopted_as_an_agent",
            ),
            models.CheckConstraint(
                condition=Q(state="ignored", until__isnull=False) | ~Q(state="ignored") & Q(until=None),
                name="discovered_ignored_until",
            ),
        ]

    def __str__(self) -> str:
        return self.service
