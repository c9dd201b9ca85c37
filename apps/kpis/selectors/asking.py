"""What people were asked, policy by policy, why they rejected, and the items behind every number of it."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Case, CharField, Count, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.core.gate import require
from apps.core.models import User
from apps.kpis.models import ActionFact, ApprovalFact
from apps.kpis.models.measures import MEMBERS, grouped, within
from apps.kpis.rules.asking import NO_REASON, AskedPart, Became
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import count_text, percent_text
from apps.kpis.rules.sentences import reasons_finding
from apps.kpis.selectors.drawings import Cell, Drawing, Table, drawing_of
from apps.kpis.selectors.kpis import Answer, Point
from apps.kpis.selectors.parts import keys_beside
from apps.kpis.selectors.reading import VIEW, decisions_for
from apps.kpis.selectors.stacks import count_by_place, stack_of
from apps.oversight.selectors.words import REASONS

KPI = "override_rate"
"""The figure that the chart of reasons tells more of."""
FOUND_WRONG = Q(taken_back=True) | Q(reviewed=False) | Q(read_back=False)
"""Of what was done: taken back, found wrong by a look afterwards, or shown otherwise by the system."""
REASON = Case(When(reason_code="", then=Value(NO_REASON)), default=F("reason_code"), output_field=CharField())
MEMBERS_OF: Mapping[Became, Q] = {
    Became.ASKED: MEMBERS["decided"] | MEMBERS["expired"],
    Became.DECIDED: MEMBERS["decided"],
    Became.AS_ASKED: MEMBERS["approved"] & Q(edited=False),
    Became.EDITED: MEMBERS["approved"] & Q(edited=True),
    Became.REJECTED: Q(by_person=True, outcome__in=["rejected", "changes_requested"]),
    Became.EXPIRED: MEMBERS["expired"],
    Became.OVERTURNED: MEMBERS["approved"] & Q(is_overturned=True),
}
"""Which items each counts; what the list behind its number shows."""


def became_names() -> dict[Became, str]:
    """What became of items, in the reader's language, in the order of the table."""
    return {
        Became.ASKED: _("Asked"),
        Became.DECIDED: _("Decided by people"),
        Became.AS_ASKED: _("Approved as asked"),
        Became.EDITED: _("Approved with changes"),
        Became.REJECTED: _("Rejected or sent back"),
        Became.EXPIRED: _("Expired unanswered"),
        Became.OVERTURNED: _("Overturned afterwards"),
    }


def reason_names() -> dict[str, str]:
    """Why people reject, in the reader's language."""
    return {**{code: str(words) for code, words in REASONS}, NO_REASON: _("No reason chosen")}


def asked_behind_for(actor: User, asked: KpiFilter, became: Became, part: AskedPart) -> QuerySet[ApprovalFact]:
    """The items of the period that a number counts."""
    rows = (own_ended_for if part.mine else ended_for)(actor, asked).filter(MEMBERS_OF[became])
    if part.policy:
        rows = rows.filter(rule__startswith=f"{part.policy}/")
    if part.version is not None:
        rows = rows.filter(policy_version=part.version)
    if part.rule:
        rows = rows.filter(rule=part.rule)
    if not part.reason:
        return rows
    others, named = keys_beside(part.reason), rows.annotate(reason=REASON)
    return named.filter(reason=part.reason) if others is None else named.exclude(reason__in=others)


def asked_words_for(actor: User, part: AskedPart) -> list[str]:
    """What a list is limited to, beside the filter, in words."""
    require(actor, VIEW)
    said = [_("Decided by you, in every unit")] if part.mine else []
    said += [_("Policy: %(name)s") % {"name": part.policy}] if part.policy else []
    if part.version is not None:
        said.append(_("Version: %(name)s") % {"name": part.version or _("not known")})
    said += [_("Rule: %(name)s") % {"name": part.rule}] if part.rule else []
    if part.reason:
        names, others = reason_names(), keys_beside(part.reason)
        left = ", ".join(names.get(one, one) for one in others or ())
        word = names.get(part.reason, part.reason) if others is None else _("all but %(names)s") % {"names": left}
        said.append(_("Reason: %(value)s") % {"value": word})
    return said


def asked_href(asked: KpiFilter, became: Became, part: AskedPart | None = None) -> str:
    """Where the items of a number are listed."""
    said = part.query if part else ""
    return f"{reverse('kpis:oversight-behind', args=[became])}?{asked.query}&{said}".rstrip("&")


def policy_table_for(actor: User, asked: KpiFilter) -> Table | None:
    """What each policy asked of people, version by version, and what became of it; None where none asked anything."""
    rows = ended_for(actor, asked).exclude(rule="").filter(MEMBERS_OF[Became.ASKED])
    counts = {f"n_{one.name}": Count("escalation_id", filter=MEMBERS_OF[one]) for one in Became}
    found: dict[tuple[str, int], dict[Became, int]] = {}
    counted: QuerySet[Any, Any] = rows.values("rule", "policy_version").annotate(**counts)
    for row in counted:
        key = (row["rule"].partition("/")[0], row["policy_version"])
        sums = found.setdefault(key, dict.fromkeys(Became, 0))
        for one in Became:
            sums[one] += row[f"n_{one.name}"]
    if not found:
        return None
    names, whole = became_names(), dict.fromkeys(Became, 0)
    shown = [one for one in Became if one != Became.DECIDED]
    most = {policy: max(n[Became.ASKED] for (one, _v), n in found.items() if one == policy) for policy, _v in found}
    table = []
    for (policy, version), sums in sorted(found.items(), key=lambda one: (-most[one[0][0]], one[0][0], -one[0][1])):
        part = AskedPart(policy=policy, version=version)
        cells = [
            Cell(count_text(sums[one]), sums[one], asked_href(asked, one, part) if sums[one] else "") for one in shown
        ]
        share = sums[Became.AS_ASKED] / sums[Became.DECIDED] if sums[Became.DECIDED] else None
        table.append([
            Cell(policy, policy, reverse("policies:policy", args=[policy])),
            Cell(f"v{version}" if version else "—", version or None),
            *cells,
            Cell(percent_text(share), share),
        ])  # fmt: skip
        for one in Became:
            whole[one] += sums[one]
    return Table(
        slug="by-policy",
        title=_("By policy"),
        says=_(
            "What rules sent to people and they decided or let expire. Overturned: what they approved and what was "
            "then taken back, found wrong by a look afterwards, or shown otherwise by the system."
        ),
        columns=[_("Policy"), _("Version"), *(names[one] for one in shown), _("As asked, of those decided")],
        rows=table,
        last=[
            Cell(_("Together"), None),
            Cell("", None),
            *(Cell(count_text(whole[one]), whole[one]) for one in shown),
            Cell("", None),
        ],
    )


def reasons_drawing_for(actor: User, answer: Answer) -> Drawing | None:
    """Why people rejected or sent back, bucket by bucket; None where they did not."""
    asked, buckets = answer.asked, [point.bucket for point in answer.series]
    rows = decisions_for(actor, asked).filter(MEMBERS_OF[Became.REJECTED]).annotate(reason=REASON)
    counts: dict[str, dict[int, int]] = {}
    for (at, key), row in grouped(rows, "decided_at", buckets, {"n": Count("escalation_id")}, ("reason",)).items():
        counts.setdefault(key, {})[at] = row["n"]
    if not counts:
        return None

    def address(point: Point, key: str = "") -> str:
        return asked_href(asked.within(point.bucket), Became.REJECTED, AskedPart(reason=key))

    names = reason_names()
    stack = stack_of(answer, counts, names, address, y_title=_("decisions"))
    together = {at: sum(row.get(at, 0) for row in counts.values()) for at in range(len(buckets))}
    return drawing_of(
        answer,
        "rejections",
        _("Why people reject"),
        KPI,
        reasons_finding(names.get(stack.first, stack.first), stack.most, stack.whole),
        chart=stack.chart,
        columns=[*stack.columns, count_by_place(answer, _("Rejected or sent back"), together, address)],
        href=asked_href(asked, Became.REJECTED),
    )


def ended_for(actor: User, asked: KpiFilter) -> QuerySet[ApprovalFact]:
    """What people were asked and what ended in the period, each with whether it was overturned (``is_overturned``)."""
    return _fated(decisions_for(actor, asked).filter(within("decided_at", asked.period)))


def own_ended_for(actor: User, asked: KpiFilter) -> QuerySet[ApprovalFact]:
    """What ``actor`` decided in the period, of every unit and workflow: nobody else is shown it."""
    rows = ApprovalFact.objects.filter(within("decided_at", asked.period), simulated=False)
    return _fated(rows.filter(decided_by=actor.username if actor.is_active else None))


def _fated(rows: QuerySet[ApprovalFact]) -> QuerySet[ApprovalFact]:
    wrong: Any = ActionFact.objects.filter(FOUND_WRONG, action_id=OuterRef("action_id"))
    return rows.annotate(is_overturned=Exists(wrong)).order_by()
