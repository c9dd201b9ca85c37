"""How values look to people: money, durations, shares, ids, JSON."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from apps.core.amounts import exponent_of
from apps.core.revealing import reveal, reveal_characters

MINUS = "\u2212"
MISSING = "\u2014"
SECOND_MS, TENTHS_BELOW_S, MINUTE_S, HOUR_S, DAY_S = 1000, 9.95, 60, 3600, 86400
MAX_JSON_CHARS = 20_000
JSON_TOKEN = re.compile(r'("(?:\\.|[^"\\])*")(\s*:)?|\b(true|false|null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)')


def number(value: float | None, digits: int = 0) -> str:
    """A number with separators and a real minus sign; None is a dash, never a zero."""
    if value is None:
        return MISSING
    return f"{value:,.{digits}f}".replace("-", MINUS)


def money(amount_minor: float | None, currency: str | None = "") -> str:
    """Minor units as an amount with its ISO currency: ``1240000, "EUR"`` is ``12,400.00 EUR``."""
    if amount_minor is None:
        return MISSING
    digits = exponent_of(currency or "")
    return f"{number(amount_minor / 10**digits, digits)} {currency or ''}".strip()


def percent(share: float | None, digits: int = 1) -> str:
    """A share 0..1 as per cent."""
    return MISSING if share is None else f"{number(share * 100, digits)}%"


def signed(value: float | None, digits: int = 1) -> str:
    """A difference with its sign."""
    if value is None:
        return MISSING
    return f"+{number(value, digits)}" if value > 0 else number(value, digits)


def points(share: float | None) -> str:
    """A difference of two shares, in percentage points."""
    return MISSING if share is None else _("%(points)s pp") % {"points": signed(share * 100)}


def duration(seconds: float | None) -> str:
    """A length of time in its two largest units: ``42 s``, ``12 min``, ``3 h 12 m``, ``2 d 4 h``."""
    if seconds is None:
        return MISSING
    sign, whole = (MINUS if seconds < 0 else ""), round(abs(seconds))
    if whole < MINUTE_S:
        text = _("%(n)s s") % {"n": whole}
    elif whole < HOUR_S:
        text = _("%(n)s min") % {"n": whole // MINUTE_S}
    elif whole < DAY_S:
        hours, minutes = divmod(whole // MINUTE_S, 60)
        text = _("%(h)s h %(m)s m") % {"h": hours, "m": minutes} if minutes else _("%(h)s h") % {"h": hours}
    else:
        days, hours = divmod(whole // HOUR_S, 24)
        text = _("%(d)s d %(h)s h") % {"d": days, "h": hours} if hours else _("%(d)s d") % {"d": days}
    return sign + text


def brief(seconds: float) -> str:
    """How long a program took: ``35 ms``, ``2.4 s``; from ten seconds on as every other length of time."""
    if (ms := round(seconds * 1000)) < SECOND_MS:
        return _("%(n)s ms") % {"n": ms}
    return _("%(n)s s") % {"n": number(seconds, 1)} if seconds < TENTHS_BELOW_S else duration(seconds)


def time_tag(moment: datetime, text: str, **attributes: str) -> SafeString:
    """A ``<time>`` with the instant in UTC on hover."""
    extra = format_html_join("", ' {}="{}"', ((name.replace("_", "-"), value) for name, value in attributes.items()))
    return format_html(
        '<time datetime="{}" title="{} UTC"{}>{}</time>', moment.isoformat(), f"{moment:%Y-%m-%d %H:%M:%S}", extra, text
    )


def last_day(end: datetime | None) -> SafeString | str:
    """Until when, as it was typed: what ends at midnight UTC has the day before as its last; else the instant."""
    if end is None:
        return MISSING
    if (utc := end.astimezone(UTC)).time() != time.min:
        return time_tag(end, date_format(timezone.localtime(end), "j M Y, H:i"))
    day = date_format((utc - timedelta(days=1)).date(), "j M Y")
    return time_tag(end, _("%(day)s, to its end in UTC") % {"day": day})


def short_id(value: UUID | str | None) -> str:
    """The last eight characters: time-ordered ids differ at their end."""
    return MISSING if value is None else str(value)[-8:]


def short_digest(value: str | None) -> str:
    """Twelve hexadecimal digits of a digest, without its algorithm."""
    return MISSING if not value else value.rpartition(":")[2][:12]


def breakable(path: object) -> SafeString:
    """A dotted path that may break after its joints, and nowhere else."""
    return mark_safe(re.sub(r"([_.\]])(?=.)", r"\1<wbr>", reveal_characters(path)))  # noqa: S308 - revealed, and nothing but <wbr> added


def pretty_json(value: object) -> SafeString:
    """JSON as people read it: indented, coloured, nothing hidden; cut at 20,000 characters, and saying so."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    cut = text[:MAX_JSON_CHARS]
    parts: list[str] = []
    end = 0
    for match in JSON_TOKEN.finditer(cut):
        parts.append(reveal(cut[end : match.start()]))
        kind = "str" if match[1] and not match[2] else "key" if match[1] else "lit"
        parts.append(format_html('<span class="{}">{}</span>{}', kind, reveal(match[1] or match[0]), match[2] or ""))
        end = match.end()
    parts.append(reveal(cut[end:]))
    if len(text) > len(cut):
        parts.append(_("… %(n)s more characters") % {"n": len(text) - len(cut)})
    return mark_safe("".join(parts))  # noqa: S308 - every part is escaped


def any_of(names: Sequence[str], most: int = 4) -> str:
    """“Ada, Ben or Cleo”; beyond ``most`` the rest as a number."""
    if len(names) > most:
        rest = len(names) - most + 1
        return _("%(names)s or %(rest)d others") % {"names": ", ".join(names[: most - 1]), "rest": rest}
    if len(names) < 2:  # noqa: PLR2004 - nothing to join
        return "".join(names)
    return _("%(names)s or %(last)s") % {"names": ", ".join(names[:-1]), "last": names[-1]}


BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrom", "Chrome"), ("Safari/", "Safari"))
SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


def browser_word(said: str) -> str:
    """What a browser says of itself, as people call it: "Firefox, Linux". It may say anything: known words alone."""
    found = [next((word for mark, word in marks if mark in said), "") for marks in (BROWSERS, SYSTEMS)]
    return ", ".join(filter(None, found)) or _("Unknown browser")
