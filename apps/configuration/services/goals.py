"""How figures of one's own, targets, baselines, prices and rates are brought about."""

from decimal import Decimal
from typing import Any

from django.conf import settings

from apps.access.services import note_second, require_two_by_name
from apps.configuration.rules import PRICES, RATE_ABOUT, day_of, since_of
from apps.configuration.services.reading import Document, chosen, reason_of
from apps.core.models import User
from apps.kpis.models import Baseline, Target
from apps.kpis.models.goals import LIVE
from apps.kpis.services.baselines import PROPOSED, approve_baseline, save_baseline
from apps.kpis.services.business import save_kpi
from apps.kpis.services.goals import MANAGE, save_price, save_target, unit_of
from apps.kpis.services.rates import save_rate


def apply_target(actor: User, document: Document) -> str:
    """A target; without a slug it is the one of its workflow and KPI."""
    value = document.source.value
    workflow = value.get("workflow") or ""
    same = Target.objects.filter(workflow=workflow, kpi=value["kpi"]).first() if "slug" not in value else None
    return save_target(
        actor,
        slug=same.slug if same else document.slug,
        kpi=value["kpi"],
        value=Decimal(str(value["value"])),
        workflow=workflow,
        **chosen(document, "direction", "tolerance"),
    )[1]


def apply_baseline(actor: User, document: Document) -> str:
    """A baseline; without a slug it is the one of its workflow, KPI and day.

    With a second person named it is approved in their name; else it waits for one, an approved one as it is.
    """
    value = document.source.value
    workflow, since = value.get("workflow") or "", day_of(value["from"])
    rows = Baseline.objects.filter(LIVE, workflow=workflow, kpi=value["kpi"], valid_from=since)
    same = rows.first() if "slug" not in value else None
    row, outcome = save_baseline(
        actor,
        slug=same.slug if same else document.slug,
        kpi=value["kpi"],
        value=Decimal(str(value["value"])),
        valid_from=since,
        source=value.get("source", ""),
        workflow=workflow,
        owner=User.objects.get(username=value["owner"]) if value.get("owner") else None,
        reason=reason_of(document),
        **chosen(document, "n", "period"),
    )
    if row.approved_at is not None or not approved_by_second(actor, document, row, asked_by=row.entered_by):
        return outcome
    return "changed" if outcome in {PROPOSED, "unchanged"} else outcome


def apply_kpi(actor: User, document: Document) -> str:
    """A figure of one's own."""
    keys = ("name", "workflow", "value", "aggregate", "direction", "unit")
    return save_kpi(actor, slug=document.slug, **{key: str(document.source.value.get(key, "")) for key in keys})[1]


def approved_by_second(actor: User, document: Document, row: Baseline, *, asked_by: User | None) -> bool:
    """Approve what waits of a baseline in the second person's name, where one is named who did not ask for it."""
    second = document.approved_by
    if second is None:
        return False
    if second == actor or second != asked_by:
        rights = [(MANAGE, unit_of(row.workflow, known=False))]
        require_two_by_name(actor, row, second=second, rights=rights, at="value")
    if second == asked_by:
        return False
    approve_baseline(second, slug=row.slug, number=row.number)
    if not settings.IN_PRODUCTION:
        note_second(actor, row, second=second, of="value")
    return True


def apply_price(actor: User, document: Document) -> str:
    """What a model costs from a time on. What was said of an earlier time stays."""
    value = document.source.value
    said: dict[str, Any] = {name: Decimal(str(value[name])) for name in PRICES if name in value}
    said["currency"] = value.get("currency", "")
    return save_price(actor, model=value["model"], valid_from=since_of(value["from"]), **said)


def apply_rate(actor: User, document: Document) -> str:
    """What something costs from a time on. What was said of an earlier time stays."""
    value = document.source.value
    return save_rate(
        actor,
        per=value["per"],
        valid_from=since_of(value["from"]),
        amount_minor=Decimal(str(value["amount_minor"])),
        **{name: str(value[name]) for name in ("currency", "source", *RATE_ABOUT) if name in value},
    )[1]
