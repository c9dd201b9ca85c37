"""Who wants what, where chats are, what people are told of, and each message with what became of it."""

from functools import reduce
from operator import or_

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.access.models import BusinessUnit, EmergencyAccess, Queue
from apps.agents.models import Agent
from apps.audit.models import Entry
from apps.connectors.models import Connector
from apps.connectors.rules import OperationState
from apps.core.formats import money, number
from apps.core.models import ClockTimestamp, Record, User, choices_of
from apps.core.rules import ProposalState, Risk
from apps.halts.models import BreakerChange, Halt
from apps.notifications.headlines import ALARMED, DECIDED, HEADLINES, PROPOSED, SIGN_IN, UNUSUAL, WAIVED
from apps.notifications.rules import Channel, DeliveryState, Event, Timing
from apps.oversight.models import AccessReview, Escalation
from apps.oversight.rules import EscalationState
from apps.policies.models import Budget, Proposal, RuleFault, RuleFlag, Waiver
from apps.policies.rules import ProposalKind
from apps.policies.rules.budgets import Measure
from apps.policies.rules.waivers import WaiverState
from apps.workflows.models import ErasureRequest, Workflow

SUBJECTS = (
    "escalation", "halt", "agent", "erasure", "budget", "proposal", "review", "connector", "waiver", "emergency",
    "report", "workflow", "breaker_change", "person", "rule_flag", "rule_fault",
)  # fmt: skip


class Preference(Record):
    """When one person wants to be told of one risk by one channel, where that is not the default."""

    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    channel = models.CharField(max_length=6, choices=choices_of(Channel))
    risk = models.CharField(max_length=8, choices=choices_of(Risk))
    timing = models.CharField(max_length=6, choices=choices_of(Timing))

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["user", "channel", "risk"], name="preference_once")]

    def __str__(self) -> str:
        return f"{self.user}: {self.risk} by {self.channel} {self.timing}"


class QuietHours(Record):
    """Hours in which everything outside the app waits, but for critical risk. Half open, in the person's own zone."""

    user = models.OneToOneField(User, models.CASCADE, related_name="+")
    begins = models.TimeField()
    ends = models.TimeField()
    timezone = models.CharField(max_length=60)

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=~Q(begins=models.F("ends")), name="quiet_hours_have_a_length")]

    def __str__(self) -> str:
        return f"{self.user} is left alone from {self.begins} to {self.ends}"


class ChatTarget(Record):
    """An incoming webhook of a chat: of a queue or of one person. Its address is a secret and sealed."""

    UNIT = "queue__unit"

    slug = models.SlugField(max_length=63)
    queue = models.ForeignKey(Queue, models.PROTECT, null=True, related_name="+")
    user = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    host = models.CharField(max_length=255)
    allow_internal = models.BooleanField(default=False)
    sealed = models.BinaryField()
    key_id = models.CharField(max_length=12)
    fingerprint = models.CharField(max_length=12)
    set_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    removed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["slug"], condition=Q(removed_at=None), name="chat_target_once"),
            models.CheckConstraint(
                condition=Q(queue=None, user__isnull=False) | Q(queue__isnull=False, user=None),
                name="chat_target_of_a_queue_or_a_person",
            ),
        ]

    def __str__(self) -> str:
        return self.slug


class Browser(Record):
    """One browser in which somebody asked to be told. ``key_id``: with which of the plane's keys it began.

    Where it is told is worth nothing without the plane's key, and is emptied when it ends.
    """

    user = models.ForeignKey(User, models.PROTECT, related_name="+")
    name = models.CharField(max_length=40)
    endpoint = models.CharField(max_length=1000)
    host = models.CharField(max_length=255)
    p256dh = models.CharField(max_length=100)
    auth = models.CharField(max_length=40)
    key_id = models.CharField(max_length=12)
    last_success_at = models.DateTimeField(null=True)
    tested_at = models.DateTimeField(null=True)
    gone_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["endpoint"], condition=Q(gone_at=None), name="browser_once")]

    def __str__(self) -> str:
        return self.name


class ReportSubscription(Record):
    """That somebody gets the weekly report by mail: of which unit (none: all that they see), on which day and hour.

    ``weekday``: 0 is Monday; in the person's own ``timezone``. ``next_at``: when the next one is due; ``last_week``:
    the Monday of the week that the last one was about, so that nobody gets a week twice. The unit may have been removed
    since: what one person wants to read keeps no unit.
    """

    user = models.OneToOneField(User, models.CASCADE, related_name="+")
    unit = models.ForeignKey(BusinessUnit, models.DO_NOTHING, null=True, related_name="+", db_constraint=False)
    weekday = models.PositiveSmallIntegerField()
    hour = models.PositiveSmallIntegerField()
    timezone = models.CharField(max_length=60)
    is_on = models.BooleanField()
    next_at = models.DateTimeField()
    last_week = models.DateField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(weekday__lte=6, hour__lte=23), name="report_on_a_day_at_an_hour")
        ]
        indexes = [models.Index(fields=["next_at"], name="report_due", condition=Q(is_on=True))]

    def __str__(self) -> str:
        return str(_("a unit that was removed") if self.is_of_removed_unit else self.unit or _("all units"))

    @property
    def is_of_removed_unit(self) -> bool:
        """Whether the unit that it was to be about is no more: then it is about nothing, never about all."""
        return self.unit_id is not None and not BusinessUnit.objects.filter(pk=self.unit_id).exists()


class Notice(Record):
    """One entry of the ledger that people are told of. ``spread_at``: when its messages were written down."""

    entry = models.OneToOneField(Entry, models.PROTECT, related_name="+", db_constraint=False)
    event = models.CharField(max_length=10, choices=choices_of(Event))
    escalation = models.ForeignKey(Escalation, models.PROTECT, null=True, related_name="+")
    halt = models.ForeignKey(Halt, models.PROTECT, null=True, related_name="+")
    agent = models.ForeignKey(Agent, models.PROTECT, null=True, related_name="+")
    erasure = models.ForeignKey(ErasureRequest, models.PROTECT, null=True, related_name="+")
    budget = models.ForeignKey(Budget, models.PROTECT, null=True, related_name="+")
    proposal = models.ForeignKey(Proposal, models.PROTECT, null=True, related_name="+")
    review = models.ForeignKey(AccessReview, models.PROTECT, null=True, related_name="+")
    connector = models.ForeignKey(Connector, models.PROTECT, null=True, related_name="+")
    waiver = models.ForeignKey(Waiver, models.PROTECT, null=True, related_name="+")
    emergency = models.ForeignKey(EmergencyAccess, models.PROTECT, null=True, related_name="+")
    report = models.ForeignKey(ReportSubscription, models.PROTECT, null=True, related_name="+")
    workflow = models.ForeignKey(Workflow, models.PROTECT, null=True, related_name="+")
    breaker_change = models.ForeignKey(BreakerChange, models.PROTECT, null=True, related_name="+")
    person = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    rule_flag = models.ForeignKey(RuleFlag, models.PROTECT, null=True, related_name="+")
    rule_fault = models.ForeignKey(RuleFault, models.PROTECT, null=True, related_name="+")
    attempts = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(db_default=ClockTimestamp())
    spread_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=reduce(
                    or_, (Q(**{f"{each}__isnull": each != about for each in SUBJECTS}) for about in SUBJECTS)
                ),
                name="notice_is_about_something",
            )
        ]
        indexes = [models.Index(fields=["not_before"], name="notice_due", condition=Q(spread_at=None))]

    def __str__(self) -> str:
        return f"{self.event} of {getattr(self, f'{self.about}_id')}"

    @property
    def about(self) -> str:
        """Which of ``SUBJECTS`` it is about: one of them, as a constraint says."""
        return next(about for about in SUBJECTS if getattr(self, f"{about}_id"))

    @property
    def headline(self) -> str:
        """What happened, in words."""
        if self.escalation and self.event == Event.DECIDED:
            return str(DECIDED.get(EscalationState(self.escalation.state), _("Decided")))
        if self.waiver and self.event in {Event.WAIVED, Event.WAIVER_END}:
            return str(WAIVED[WaiverState(self.entry.name.rpartition(".")[2])])
        if self.emergency_id:
            return str(ALARMED[self.entry.name.rpartition(".")[2]])
        if self.person_id:
            return str(SIGN_IN[self.entry.name.rpartition(".")[2]])
        if self.entry.name == "agent.acted_despite":
            return str(_("Acted although it was not allowed"))
        worth_a_look = UNUSUAL.get(self.entry.payload.get("kind", "")) if self.event == Event.UNUSUAL else None
        return str(worth_a_look or HEADLINES.get(Event(self.event), _("Ended")))

    @property
    def title(self) -> str:
        """What it is about. Others may have written part of it."""
        if self.erasure:
            return _("%(who)s wants the words of a trail erased") % {"who": self.erasure.asked_by}
        if self.halt and not self.halt.engaged_by.is_human:
            return f"{self.halt}: {self.halt.reason}"  # the plane's own words: which breaker, and what it counted
        if self.proposal:
            told = {"who": self.proposal.version.author, "policy": self.proposal.policy}
            return str(PROPOSED[ProposalKind(self.proposal.kind)] % told)
        if self.waiver:
            words = {"rule": self.waiver, "target": self.waiver.target, "who": self.waiver.maker}
            return _("No %(rule)s for %(target)s, asked for by %(who)s") % words
        loosened = self.breaker_change or self.budget
        if loosened and self.event == Event.PROPOSAL:
            told = {"who": self.entry.actor, "budget": loosened}
            return _("%(who)s proposes to let more through %(budget)s") % told
        item = self.escalation
        named = self.halt or self.agent or self._held or self.budget or self.review or self.connector
        subject = named or self.report or self.workflow or self._of_rule or self._alarm
        return item.title if item else str(subject)

    @property
    def _held(self) -> str:
        """Of a warned budget, as it was then: how much of what is used only waits for people; empty if nothing."""
        if self.event != Event.BUDGET or self.budget is None or not self.entry.payload.get("waiting"):
            return ""
        names, is_money = ("used", "cap", "waiting"), self.budget.measure == Measure.MONEY
        amounts = {name: self.entry.payload[name] for name in names}
        told = {name: money(it, self.budget.currency) if is_money else number(it) for name, it in amounts.items()}
        words = _("%(budget)s: %(used)s of %(cap)s, of which %(waiting)s only waits for people")
        return words % {"budget": self.budget, **told}

    @property
    def _of_rule(self) -> str:
        """Which rule, and of which agent how often, as it stands now; a confidential one without its name."""
        found = self.rule_flag or self.rule_fault
        if found is None:
            return ""
        rule = _("a confidential rule") if found.is_confidential else found.rule
        told = {"policy": found.policy, "rule": rule, "n": found.times}
        if self.rule_flag is None:
            return _("%(policy)s: %(rule)s") % told
        flagged = {"agent": self.rule_flag.agent, "day": self.rule_flag.day.isoformat()}
        return _("%(agent)s, by %(policy)s: %(rule)s (%(n)d on %(day)s, UTC)") % {**told, **flagged}

    @property
    def _alarm(self) -> str:
        """Which emergency account, and why it was opened or what was done with it; of one's own, what to do."""
        if self.person_id:
            return str(_("If it was not you, end your sessions and tell an administrator."))
        said = {"used": self.entry.payload.get("name"), "opened": self.emergency and self.emergency.reason}
        more = said.get(self.entry.name.rpartition(".")[2])
        return f"{self.emergency}: {more}" if more else str(self.emergency)

    @property
    def url(self) -> str:
        """Where it is shown; opening it decides nothing."""
        breaker = self.breaker_change and self.breaker_change.breaker
        named = {"agents": self.agent, "budgets": self.budget, "connectors": self.connector, "breakers": breaker}
        for place, thing in named.items():
            if thing:
                return f"/{place}/{thing.slug}/"
        if self.rule_flag:
            return f"/flags/?agent={self.rule_flag.agent.slug}#by-rules"
        if self.erasure:
            return f"/audit/trails/{self.erasure.trail_id}/erase/"
        places = {
            "/access/emergency/": self.emergency_id,
            "/settings/sessions/": self.person_id,
            "/reports/weekly/": self.report_id,
            "/dashboards/unusual/": self.workflow_id,
            "/policy-health/": self.rule_fault_id,
        }
        if page := next((page for page, pk in places.items() if pk), None):
            return page
        if self.proposal:
            return f"/policies/{self.proposal.policy.slug}/?version={self.proposal.version.number}"
        pages = {"access/reviews": self.review_id, "waivers": self.waiver_id, "inbox": self.escalation_id}
        return next((f"/{page}/{pk}/" for page, pk in pages.items() if pk), "/halts/")

    @property
    def is_over(self) -> bool:
        """Whether what it asks for is done: a review, a change or a waiver that is decided, or ran out."""
        if self.breaker_change:
            return self.breaker_change.state != ProposalState.OPEN
        if self.connector:
            return not self.connector.operations.filter(state=OperationState.QUARANTINED).exists()
        if self.waiver:
            running = {Event.WAIVER: WaiverState.ASKED, Event.WAIVER_DUE: WaiverState.LIVE}
            return self.waiver.state != running.get(Event(self.event), self.waiver.state)
        is_asking = self.event in {Event.REVIEW, Event.REVIEW_DUE}
        return is_asking and self.review is not None and self.review.closed_at is not None

    @property
    def risk(self) -> Risk:
        """How grave it is: as its item or its agent; a halt always is. All else can wait, or some of it is left."""
        found = self.escalation or self.agent or self.workflow or (self.rule_flag and self.rule_flag.agent)
        if self.rule_fault:
            return Risk.LOW if self.rule_fault.is_shadow else Risk.HIGH  # it stops or asks about whatever comes
        waiting = (self.erasure_id, self.budget_id, self.proposal_id, self.review_id, self.waiver_id)
        if any(waiting) or self.breaker_change_id:
            return Risk.MEDIUM
        if self.report_id:
            return Risk.LOW
        if self.connector_id:
            return Risk.HIGH  # what agents did with it stands still meanwhile
        return Risk(found.risk) if found else Risk.CRITICAL


class Delivery(Record):
    """One message to one recipient by one channel. It holds no parameters and no secrets.

    Its moves are conditional UPDATEs and leave no entry each: the item's timeline gets one per channel
    (``oversight.note_reach``). ``batch``: rows that leave together as one digest. ``closed_at``: since when an in-app
    row asks for no attention, seen or not.
    """

    UNIT = "notice__escalation__unit"

    notice = models.ForeignKey(Notice, models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=6, choices=choices_of(Channel))
    recipient = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    chat_target = models.ForeignKey(ChatTarget, models.PROTECT, null=True, related_name="+")
    browser = models.ForeignKey(Browser, models.PROTECT, null=True, related_name="+")
    risk = models.CharField(max_length=8, choices=choices_of(Risk))
    is_digest = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=choices_of(DeliveryState))
    attempts = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(db_default=ClockTimestamp())
    lease_until = models.DateTimeField(null=True)
    batch = models.UUIDField(null=True)
    outcome = models.CharField(max_length=200, blank=True)
    finished_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["notice", "channel", "recipient", "chat_target", "browser"],
                name="told_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(state="sending", lease_until__isnull=False) | (~Q(state="sending") & Q(lease_until=None)),
                name="sending_under_a_lease",
            ),
        ]
        indexes = [
            models.Index(fields=["not_before", "id"], name="told_due", condition=Q(state="queued")),
            models.Index(fields=["lease_until"], name="told_lost", condition=Q(state="sending")),
            models.Index(fields=["batch"], name="told_batch", condition=~Q(batch=None)),
            models.Index(fields=["recipient", "-id"], name="told_in_app", condition=Q(channel="in_app")),
            models.Index(
                fields=["recipient"],
                name="told_unseen",
                condition=Q(channel="in_app", state="delivered", closed_at=None),
            ),
            models.Index(fields=["created_at"], name="told_live", condition=Q(channel="in_app")),
            models.Index(fields=["finished_at"], name="told_failed", condition=Q(state="failed")),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.state}"
