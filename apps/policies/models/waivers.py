"""Waivers of rules, and what used them."""

from django.db import models

from apps.agents.models import Action
from apps.core.models import ClockTimestamp, Record, Stateful, User, choices_of
from apps.policies.models.policies import Policy
from apps.policies.rules import Effect
from apps.policies.rules.quiet import CONFIDENTIAL
from apps.policies.rules.waivers import MAX_DAYS, WAIVER_MOVES, WaiverScope, WaiverState


class Waiver(Stateful):
    """Somebody's wish that one rule has no say over what is named, and somebody else's yes; for a time and some uses.

    ``digest``: of the rule as it was then; of another it lifts nothing. ``target``: a slug, by ``scope`` (a plain
    value: operations and workflows live elsewhere). ``used`` never passes ``times``: a use is one conditional UPDATE.
    ``confidential``: its rule is, so ``str`` does not name it, nor does the ledger, which has more readers.
    """

    MOVES = WAIVER_MOVES
    UNIT = "policy__unit"

    policy = models.ForeignKey(Policy, models.PROTECT, related_name="waivers")
    rule = models.SlugField(max_length=63)
    digest = models.CharField(max_length=71)
    effect = models.CharField(max_length=16, choices=choices_of(Effect))
    scope = models.CharField(max_length=9, choices=choices_of(WaiverScope))
    target = models.CharField(max_length=120)
    reason = models.CharField(max_length=500)
    maker = models.ForeignKey(User, models.PROTECT, related_name="+")
    days = models.PositiveSmallIntegerField()
    times = models.PositiveSmallIntegerField()
    used = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=8, choices=choices_of(WaiverState), default=WaiverState.ASKED)
    approver = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    until = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    ended_at = models.DateTimeField(null=True)
    answer = models.CharField(max_length=500, blank=True)
    warned_at = models.DateTimeField(null=True)
    confidential = models.BooleanField(default=False, db_default=False)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["scope", "target"], name="waiver_live", condition=models.Q(state=WaiverState.LIVE))
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(used__lte=models.F("times")), name="waiver_within_its_uses"),
            models.CheckConstraint(condition=models.Q(days__range=(1, MAX_DAYS)), name="waiver_within_its_days"),
            models.CheckConstraint(
                condition=models.Q(approver=None) | ~models.Q(approver=models.F("maker")), name="waiver_by_two_people"
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=[WaiverState.LIVE, WaiverState.USED_UP])
                | models.Q(approver__isnull=False, until__isnull=False),
                name="waiver_approved_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy.slug}/{CONFIDENTIAL if self.confidential else self.rule}"

    @property
    def left(self) -> int:
        """How often it may still be used."""
        return self.times - self.used

    @staticmethod
    def usable() -> models.Q:
        """Live, in time by the database's clock, and not used up."""
        return models.Q(state=WaiverState.LIVE, until__gt=ClockTimestamp(), used__lt=models.F("times"))


class WaiverUse(Record):
    """One action for which a waiver lifted its rule."""

    UNIT = "waiver__policy__unit"

    waiver = models.ForeignKey(Waiver, models.PROTECT, related_name="uses")
    action = models.ForeignKey(Action, models.PROTECT, related_name="waiver_uses")
    number = models.PositiveSmallIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["waiver", "number"], name="waiver_use_counted_once"),
            models.UniqueConstraint(fields=["action", "waiver"], name="waiver_used_once_by_an_action"),
        ]

    def __str__(self) -> str:
        return f"{self.waiver} {self.number}"
