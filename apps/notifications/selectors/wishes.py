"""What people want to be told, when: their own words over the defaults."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings

from apps.core.models import User
from apps.core.rules import Risk
from apps.notifications.models import Browser, ChatTarget, Preference, QuietHours
from apps.notifications.rules import CHOICES, Channel, Timing, Wish, after_quiet, digest_at, timing_of


@dataclass(slots=True)
class Wishes:
    """What one person said; what they left unsaid is the default."""

    timings: dict[Wish, Timing] = field(default_factory=dict)
    quiet: QuietHours | None = None
    chats: list[ChatTarget] = field(default_factory=list)
    browsers: list[Browser] = field(default_factory=list)

    def timing(self, channel: Channel, risk: Risk) -> Timing:
        """When they are told of this risk by this channel."""
        return timing_of(channel, risk, self.timings)

    @property
    def zone(self) -> tzinfo:
        """Their zone, else the plane's."""
        return ZoneInfo(self.quiet.timezone if self.quiet else settings.ACP_REPORTING_TZ)

    def leaves_at(self, now: datetime, risk: Risk, timing: Timing) -> datetime:
        """When a message may leave. Quiet hours hold back everything but what is critical."""
        when = digest_at(now, risk, self.zone) if timing == Timing.DIGEST else now
        if self.quiet is None or risk == Risk.CRITICAL:
            return when
        return after_quiet(when, self.quiet.begins, self.quiet.ends, self.zone)


def wishes_of(people: Iterable[User]) -> dict[UUID, Wishes]:
    """What each of ``people`` wants, by their ids. Four queries, however many they are."""
    found = {person.pk: Wishes() for person in people}
    for row in Preference.objects.filter(user__in=found):
        found[row.user_id].timings[Channel(row.channel), Risk(row.risk)] = Timing(row.timing)
    for quiet in QuietHours.objects.filter(user__in=found):
        found[quiet.user_id].quiet = quiet
    for target in ChatTarget.objects.filter(user__in=found, removed_at=None):
        assert target.user_id is not None, "the filter says so"
        found[target.user_id].chats.append(target)
    for browser in Browser.objects.filter(user__in=found, gone_at=None):
        found[browser.user_id].browsers.append(browser)
    return found


def wishes_for(actor: User) -> Mapping[Channel, Mapping[Risk, Timing]]:
    """When ``actor`` is told of each risk by each channel, defaults included."""
    mine = wishes_of([actor])[actor.pk]
    return {channel: {risk: mine.timing(channel, risk) for risk in Risk} for channel in CHOICES}


def quiet_hours_for(actor: User) -> QuietHours | None:
    """When ``actor`` wants to be left alone; None: never."""
    return QuietHours.objects.filter(user=actor).first()
