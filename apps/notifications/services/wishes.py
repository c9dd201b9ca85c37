"""What somebody wants to be told, when, and when not."""

from collections.abc import Mapping
from datetime import time
from zoneinfo import available_timezones

from django.db import transaction
from django.utils.translation import gettext as _

from apps.audit.services import record
from apps.core.errors import InvalidError
from apps.core.gate import refuse_limited, require_human
from apps.core.models import User
from apps.core.rules import Risk
from apps.notifications.models import Preference, QuietHours
from apps.notifications.rules import CHOICES, Channel, Timing, default_timing

type Quiet = tuple[time, time, str]
"""From, to and zone."""


@transaction.atomic
def save_wishes(actor: User, *, timings: Mapping[str, Mapping[str, str]], quiet: Quiet | None) -> None:
    """Keep the whole of what ``actor`` wants, by channel and risk; what is left out is the default."""
    require_human(actor)
    refuse_limited(actor)
    _check(timings, quiet)
    wanted = {
        (Channel(channel), Risk(risk)): Timing(timing)
        for channel, risks in timings.items()
        for risk, timing in risks.items()
    }
    own = {wish: timing for wish, timing in wanted.items() if timing != default_timing(*wish)}
    User.objects.select_for_update(no_key=True).get(pk=actor.pk)
    Preference.objects.filter(user=actor).delete()
    Preference.objects.bulk_create(
        Preference(user=actor, channel=channel, risk=risk, timing=timing) for (channel, risk), timing in own.items()
    )
    QuietHours.objects.filter(user=actor).delete()
    if quiet:
        QuietHours.objects.create(user=actor, begins=quiet[0], ends=quiet[1], timezone=quiet[2])
    told = {f"{channel}.{risk}": timing for (channel, risk), timing in own.items()}
    record(actor, actor, "user.wishes_changed", payload={"wishes": told, "quiet": [str(part) for part in quiet or ()]})


def _check(timings: Mapping[str, Mapping[str, str]], quiet: Quiet | None) -> None:
    errors: dict[str, list[str]] = {}
    for channel, risks in timings.items():
        if channel not in CHOICES:
            errors[channel] = [_("One of: %s.") % ", ".join(CHOICES)]
            continue
        for risk, timing in risks.items():
            if risk not in list(Risk):
                errors[f"{channel}.{risk}"] = [_("One of: %s.") % ", ".join(Risk)]
            elif timing not in CHOICES[Channel(channel)]:
                errors[f"{channel}.{risk}"] = [_("One of: %s.") % ", ".join(CHOICES[Channel(channel)])]
    errors |= _quiet_errors(quiet) if quiet else {}
    if errors:
        raise InvalidError(errors=errors)


def _quiet_errors(quiet: Quiet) -> dict[str, list[str]]:
    begins, ends, zone = quiet
    errors: dict[str, list[str]] = {}
    if begins == ends:
        errors["quiet.to"] = [_("Another time than the beginning.")]
    if zone not in available_timezones():
        errors["quiet.timezone"] = [_("A zone such as Europe/Berlin.")]
    return errors
