"""Tags and filters of every template: ``{% load acp %}``. Thin: what they say is decided in ``core.formats``."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from importlib.resources import files
from io import BytesIO
from typing import Any, TypeIs
from zipfile import ZipFile

from django import forms, template
from django.contrib.staticfiles import finders
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core import formats
from apps.core.agent_text import inert
from apps.core.choices import is_choice, may_stay_empty, name_emptiness
from apps.core.differences import differences as compare
from apps.core.finders import FULL, SMALL
from apps.core.reasons import JUDGED, call_words, failure_of, judge_of, sentence_of
from apps.core.revealing import reveal
from apps.core.shortcuts import key_of

register = template.Library()

RISKS = {
    "low": ("info", gettext_lazy("Low"), gettext_lazy("Low risk")),
    "medium": ("warn", gettext_lazy("Medium"), gettext_lazy("Medium risk")),
    "high": ("bad", gettext_lazy("High"), gettext_lazy("High risk")),
    "critical": ("solid", gettext_lazy("Critical"), gettext_lazy("Critical risk")),
}
TONES = {
    "ok": """approved answered succeeded active done live released verified completed allow allowed healthy published
        enforced ready carried_out went_on passed""",
    "warn": """pending pending_approval held changes_requested waiting paused require_approval compensating pilot
        blocked unknown draining stale sent_back open asked""",
    "bad": """rejected denied deny failed halted suspended compensation_failed mismatch revoked down error invalidated
        engaged overturned quarantined""",
    "info": "running executing claimed proposed offered queued flag started under_way",
    "": """expired cancelled superseded retired skipped consumed lifted draft closed compensated reversed unused
        not_run dismissed abandoned shadow ended used_up""",
}
TONE_OF = {state: tone for tone, states in TONES.items() for state in states.split()}
WORDS = {
    "pending_approval": gettext_lazy("Waits for approval"),
    "changes_requested": gettext_lazy("Changes requested"),
    "require_approval": gettext_lazy("Asks a person"),
    "compensation_failed": gettext_lazy("Compensation failed"),
    "allow": gettext_lazy("Allowed"),
    "deny": gettext_lazy("Denied"),
    "shadow": gettext_lazy("In shadow"),
    "used_up": gettext_lazy("Used up"),
    "in_app": gettext_lazy("In the app"),
    "email": gettext_lazy("E-mail"),
    "push": gettext_lazy("Browser"),
}
SOON_S = 1800
PEN = SafeString(
    'viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round"'
    ' stroke-linejoin="round"'
)
"""How every drawing of the package is drawn, but for its size: that is the sheet's."""


@register.simple_tag
@lru_cache(maxsize=512)
def icon(name: str, label: str = "", css: str = "") -> SafeString:
    """An inline icon, hidden from assistive technology unless it has a label."""
    named = format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"')
    lines = _drawings().read(f"{name}.svg").decode().partition(">")[2].rpartition("</svg>")[0]
    drawing = mark_safe(" ".join(lines.split()))  # noqa: S308 - the package's own
    return format_html('<svg {} class="{}" {}>{}</svg>', PEN, f"icon {css}".strip(), named, drawing)


@cache
def _drawings() -> ZipFile:
    """The package's archive, opened once: it opens it for every icon, which takes 9 ms."""
    return ZipFile(BytesIO(files("lucide").joinpath("lucide.zip").read_bytes()))


@register.simple_tag
def risk_badge(risk: str, long: bool = False) -> SafeString:
    """A risk tier in word, colour and shape."""
    tone, short, full = RISKS.get(str(risk), ("", str(risk), str(risk)))
    return format_html('<span class="badge {}">{}</span>', tone, full if long else short)


@register.simple_tag
def state_badge(state: str, label: str = "") -> SafeString:
    """A state in word, colour and shape: a diamond moves on, a ring is over without result."""
    state = str(state)
    tone = TONE_OF.get(state, "")
    shape = "ring" if not tone else "sq" if tone in {"info", "warn"} else ""
    return format_html(
        '<span class="{}">{}</span>', " ".join(filter(None, ["badge", tone, shape])), label or state_word(state)
    )


@register.filter
def state_word(state: object) -> str:
    """A state as people say it."""
    return str(WORDS.get(str(state)) or str(state).replace("_", " ").capitalize())


@register.filter
def call_word(code: object) -> str:
    """How a call of a system ended, as people say it."""
    return call_words(code)


@register.filter
def reason_sentence(word: object) -> str:
    """Why, where it is one of the plane's own words: ``operation_changed`` as a sentence; empty for people's words."""
    return sentence_of(word)


@register.filter
def reason_word(word: object) -> SafeString | str:
    """Why, as people read it: the plane's own words as sentences, everybody else's as they were written."""
    return sentence_of(word) or reveal(word)


ENTRY_WORDS = {
    "workflowversion.published": gettext_lazy("Workflow version published"),
    "agentversion.active": gettext_lazy("Agent version active"),
    "agentversion.pilot": gettext_lazy("Agent version in pilot"),
    "run.retry_asked": gettext_lazy("Asked to begin anew"),
    "retry.started": gettext_lazy("Began anew"),
    "retry.refused": gettext_lazy("Did not begin anew"),
    "escalation.pending": gettext_lazy("Put before people"),
    "escalation.attempted": gettext_lazy("Asked again"),
    "escalation.commented": gettext_lazy("Commented"),
    "escalation.claimed": gettext_lazy("Being looked at"),
    "escalation.asked": gettext_lazy("Asked"),
    "escalation.due_soon": gettext_lazy("Due soon"),
    "escalation.unseen": gettext_lazy("Nobody had opened it"),
    "escalation.escalated": gettext_lazy("Brought to the next level"),
    "escalation.unreachable": gettext_lazy("Too few were there to decide it"),
    "escalation.overdue": gettext_lazy("Late"),
    "escalation.approved": gettext_lazy("Approved"),
    "escalation.rejected": gettext_lazy("Rejected"),
    "escalation.edited": gettext_lazy("Edited"),
    "escalation.expired": gettext_lazy("Expired"),
    "escalation.held": gettext_lazy("Decided, and held"),
    "escalation.delegated": gettext_lazy("Delegated"),
    "escalation.reassigned": gettext_lazy("Reassigned"),
    "escalation.extended": gettext_lazy("Given more time"),
    "escalation.handed_over": gettext_lazy("Called who is on duty now"),
    "escalation.notified": gettext_lazy("Told people"),
    "escalation.narrowed": gettext_lazy("Fewer may be approved at once"),
    "interrupt.open": gettext_lazy("Asked for together"),
    "interrupt.resumed": gettext_lazy("Handed over together"),
    "user.signed_in": gettext_lazy("Signed in"),
    "user.sign_in_failed": gettext_lazy("A sign-in failed"),
    "user.signed_out": gettext_lazy("Signed out"),
    "user.session_ended": gettext_lazy("A session was ended"),
    "user.stepped_up": gettext_lazy("Confirmed who it is"),
    "user.password_changed": gettext_lazy("The password was changed"),
    "user.password_set": gettext_lazy("An administrator set the password"),
    "user.second_factor_added": gettext_lazy("A second factor was added"),
    "user.second_factor_removed": gettext_lazy("A second factor was removed"),
    "user.second_factors_reset": gettext_lazy("An administrator took your second factors away"),
    "vote.cast": gettext_lazy("Voted"),
    "action.pending_approval": gettext_lazy("Waits for approval"),
}


@register.filter
def entry_word(name: object) -> str:
    """A ledger entry's name as people say it: ``action.approved`` is "Action approved"."""
    known = ENTRY_WORDS.get(str(name))
    return str(known) if known else str(name).replace(".", " ").replace("_", " ").capitalize()


@register.filter
def judged_by(entry: Any) -> str:
    """What decided an action where no person did; empty for every other entry of the ledger."""
    return judge_of(entry.payload) if entry.name in JUDGED else ""


@register.filter
def money(amount_minor: float | None, currency: str | None = "") -> str:
    """Minor units as an amount: ``{{ row.amount_minor|money:row.currency }}``."""
    return formats.money(amount_minor, currency)


register.simple_tag(formats.last_day)
register.filter("duration", formats.duration)
register.filter("brief", formats.brief)
register.filter("browser_word", formats.browser_word)
register.filter("percent", formats.percent)
register.filter("failure", failure_of)
register.filter("points", formats.points)
register.filter("number", formats.number)
register.filter("signed", formats.signed)
register.filter("short_id", formats.short_id)
register.filter("short_digest", formats.short_digest)
register.filter("reveal", reveal)
register.filter("address", reveal)  # the same: hosts stand out in every text
register.filter("breakable", formats.breakable)
register.filter("pretty_json", formats.pretty_json)


@register.filter
def initials(person: object) -> str:
    """Two letters that stand for a name."""
    words = str(person).replace(".", " ").split()
    letters = [word[0] for word in (words if len(words) < 2 else [words[0], words[-1]])]  # noqa: PLR2004 - first and last
    return "".join(letters).upper()


@register.simple_tag
def ago(moment: datetime | None) -> SafeString | str:
    """How long ago, with the instant on hover: for lists."""
    if moment is None:
        return formats.MISSING
    passed_s = (timezone.now() - moment).total_seconds()
    text = (
        _("just now") if 0 <= passed_s < formats.MINUTE_S else _("%(time)s ago") % {"time": formats.duration(passed_s)}
    )
    return formats.time_tag(moment, text if passed_s >= 0 else _("in %(time)s") % {"time": formats.duration(-passed_s)})


@register.simple_tag
def moment(when: datetime | None, seconds: bool = False) -> SafeString | str:
    """An absolute time in the viewer's zone: for evidence."""
    if when is None:
        return formats.MISSING
    local = timezone.localtime(when)
    return formats.time_tag(when, date_format(local, "Y-m-d H:i:s" if seconds else "j M Y, H:i"))


@register.simple_tag
def clock(when: datetime | None) -> SafeString | str:
    """The time of day, with its date unless it is today."""
    if when is None:
        return formats.MISSING
    local = timezone.localtime(when)
    today = local.date() == timezone.localdate()
    return formats.time_tag(when, date_format(local, "H:i" if today else "j M, H:i"))


@register.simple_tag
def left(when: datetime | None) -> SafeString | str:
    """Time to a deadline, counted on in the browser from the server's clock; negative when it has passed."""
    if when is None:
        return formats.MISSING
    seconds = (when - timezone.now()).total_seconds()
    return formats.time_tag(when, formats.duration(abs(seconds)), data_left="1" if seconds > 0 else "-1")


@register.filter
def is_past(when: datetime | None) -> bool:
    """Whether a deadline has passed."""
    return when is not None and when <= timezone.now()


@register.filter
def is_soon(when: datetime | None) -> bool:
    """Whether a deadline is less than half an hour away."""
    return when is not None and 0 < (when - timezone.now()).total_seconds() < SOON_S


@register.inclusion_tag("core/_differences.html")
def differences(
    before: object,
    after: object,
    before_label: str = "",
    after_label: str = "",
    notes: Mapping[str, str] | None = None,
    changes_only: bool = False,
) -> dict[str, Any]:
    """A table of what differs between two JSON values; ``before`` None shows the values alone."""
    rows = compare(before, after, notes=notes)
    changed = [row for row in rows if row.kind != "same"]
    return {
        "rows": rows if before is None else changed,
        "same": [] if before is None or changes_only else [row for row in rows if row.kind == "same"],
        "plain": before is None,
        "before_label": before_label,
        "after_label": after_label,
    }


@register.simple_tag
def agent_text(value: object) -> SafeString:
    """An agent's words, inert. Stand them in ``.agent-words`` with their label."""
    return inert(str(value or ""))


@register.simple_tag
def plotly_url() -> str:
    """The chart library: the small bundle where it was fetched, else the one in the installed package."""
    return static(SMALL if _has_small_bundle() else FULL)


@lru_cache(maxsize=1)
def _has_small_bundle() -> bool:
    return bool(finders.find(SMALL))


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: object) -> str:
    """The page's query string with changes: ``{% query risk="high" after=None %}``. None and "" remove."""
    request: HttpRequest = context["request"]
    params = request.GET.copy()
    for name, value in changes.items():
        params.pop(name, None)
        if value not in (None, ""):
            params[name] = str(value)
    encoded = params.urlencode()
    return f"?{encoded}" if encoded else "?"


@register.simple_tag(takes_context=True)
def remove(context: dict[str, Any], name: str) -> str:
    """The page's query string without one filter, from the first page of the list."""
    return query(context, **{name: None, "after": None, "selected": None})


@register.simple_tag(takes_context=True)
def key(context: dict[str, Any], name: str) -> SafeString:
    """The key that the person presses for ``name``, where a button shows it; nothing where their keys are off."""
    if context.get("keys_off"):
        return SafeString()
    pressed = key_of(context.get("own_keys") or {}, name).upper()
    return format_html_join(" ", "<kbd>{}</kbd>", ((part,) for part in pressed.split()))


@register.inclusion_tag("core/_field.html")
def field(bound: forms.BoundField, hint: str = "") -> dict[str, Any]:
    """A form field with label, help and errors tied to it."""
    name_emptiness(bound.field)
    checkbox = isinstance(bound.field.widget, forms.CheckboxInput)
    group = isinstance(bound.field.widget, forms.RadioSelect | forms.CheckboxSelectMultiple)
    told = {"field": bound, "hint": hint or bound.help_text, "checkbox": checkbox, "group": group}
    optional = not (bound.field.required or checkbox) and may_stay_empty(bound)
    return {**told, "optional": optional, "nothing": bound.field.required and not is_choice(bound)}


@register.simple_tag
def typed(bound: forms.BoundField | str, *parts: object) -> SafeString | str:
    """For the input that a template writes by itself: what was typed there, marked and tied to its message.

    ``parts`` are its id: of several such inputs on a page it is the one that was sent.
    """
    if not _was_sent(bound, parts):
        return ""
    return format_html(' value="{}"{}', bound.value() or "", marked(bound, *parts))


@register.simple_tag
def marked(bound: forms.BoundField | str, *parts: object) -> SafeString | str:
    """The same for a field of many lines, and for a choice: that it does not fit, and where that is said."""
    if not _was_sent(bound, parts) or not bound.errors:
        return ""
    return format_html(' aria-invalid="true" aria-describedby="{}_error"', bound.id_for_label)


@register.simple_tag
def wrong(bound: forms.BoundField | str, *parts: object) -> SafeString | str:
    """What is wrong with it, to stand behind it."""
    if not _was_sent(bound, parts) or not bound.errors:
        return ""
    return format_html('<p class="error" id="{}_error">{}</p>', bound.id_for_label, " ".join(map(str, bound.errors)))


def _was_sent(bound: forms.BoundField | str, parts: tuple[object, ...]) -> TypeIs[forms.BoundField]:
    one = "".join(map(str, parts))
    return isinstance(bound, forms.BoundField) and bound.form.is_bound and bound.id_for_label == one


@register.filter
def item(mapping: Mapping[str, Any] | Sequence[Any], key: Any) -> Any:
    """``mapping[key]``, or None."""
    try:
        return mapping[key]
    except (KeyError, IndexError, TypeError):
        return None


@register.filter
def any_of(rows: Sequence[Any]) -> str:
    """People or things as “Ada, Ben or Cleo”."""
    return formats.any_of([str(row) for row in rows])


@register.filter
def code_spans(text: str) -> SafeString:
    """Our own sentence with what stands between backticks as code."""
    parts = enumerate(str(text).split("`"))
    return format_html_join("", "{}", ((format_html("<code>{}</code>", part) if n % 2 else part,) for n, part in parts))
