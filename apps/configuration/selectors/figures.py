"""Policies, budgets, breakers, targets, baselines, prices and rates as documents."""

from collections.abc import Iterator
from decimal import Decimal

from apps.access.models import BusinessUnit, Role
from apps.configuration.rules import PRICES, RATE_ABOUT, price_name, rate_name, since_text
from apps.configuration.selectors.writing import Only, Written, document, dumped, listed, named, number
from apps.halts.models import Breaker
from apps.kpis.models import Baseline, Kpi, PriceBook, Rate, Target
from apps.kpis.models.goals import LIVE
from apps.policies.models import Budget, Policy
from apps.policies.rules import PolicyState
from apps.policies.rules.budgets import Measure


def policies(only: Only) -> Iterator[Written]:
    """What is in force."""
    rows = Policy.objects.filter(state=PolicyState.IN_FORCE).select_related("in_force")
    for policy in named(rows, only).order_by("slug"):
        version = policy.in_force
        assert version is not None, "a policy in force has a version in force"
        head = {"kind": "Policy", "slug": policy.slug, "name": policy.name, "unit": version.unit}
        yield (
            policy.slug,
            document(head) + listed("rules", version.rules) + listed("tests", version.tests) * bool(version.tests),
        )


def budgets(only: Only) -> Iterator[Written]:
    """Budgets that count."""
    for budget in named(Budget.objects.filter(ended_at=None).select_related("owner").order_by("slug"), only):
        head = {"kind": "Budget", "slug": budget.slug, "name": budget.name, "scope": {budget.scope: budget.target}}
        cap = "cap_minor" if budget.measure == Measure.MONEY else "cap_calls"
        more = {name: getattr(budget, name) for name in ("currency", "period", "exhausted", "queue")}
        yield (
            budget.slug,
            document(head) + dumped({cap: budget.cap}) + document({**more, "owner": budget.owner.username}),
        )


def breakers(only: Only) -> Iterator[Written]:
    """Breakers that count."""
    for breaker in named(Breaker.objects.filter(ended_at=None).order_by("slug"), only):
        head = {"kind": "Breaker", "slug": breaker.slug, "name": breaker.name, "counts": breaker.kind}
        more = {
            name: getattr(breaker, name) for name in ("scope", "target", "threshold", "window_s", "currency", "cause")
        }
        yield breaker.slug, document({**head, **more})


def kpis(only: Only) -> Iterator[Written]:
    """Figures of one's own."""
    for kpi in named(Kpi.objects.order_by("slug"), only):
        keys = ("slug", "name", "unit", "workflow", "value", "aggregate", "direction")
        yield kpi.slug, document({"kind": "Kpi", **{name: getattr(kpi, name) for name in keys}})


def targets(only: Only) -> Iterator[Written]:
    """How figures should be."""
    for target in named(Target.objects.order_by("slug"), only):
        yield (
            target.slug,
            document(
                {
                    "kind": "Target",
                    "slug": target.slug,
                    "workflow": target.workflow,
                    "kpi": target.kpi,
                }
            )
            + number("value", target.value)
            + document({"direction": target.direction})
            + number("tolerance", target.tolerance),
        )


def baselines(only: Only) -> Iterator[Written]:
    """How figures were before."""
    for baseline in named(Baseline.objects.filter(LIVE).select_related("owner").order_by("slug"), only):
        yield (
            baseline.slug,
            document({"kind": "Baseline", "slug": baseline.slug, "workflow": baseline.workflow, "kpi": baseline.kpi})
            + number("value", baseline.value)
            + document(
                {
                    "from": baseline.valid_from.isoformat(),
                    "source": baseline.source,
                    "n": baseline.n,
                    "period": baseline.period,
                    "owner": baseline.owner.username if baseline.owner else None,
                }
            ),
        )


def prices(only: Only) -> Iterator[Written]:
    """What models cost. A price has no name but its model and its beginning."""
    for price in PriceBook.objects.order_by("model", "valid_from"):
        name = price_name(price.model, price.valid_from)
        if only is None or name in only:
            numbers = {key: getattr(price, key) for key in PRICES}
            yield (
                name,
                document({"kind": "Price", "model": price.model, "from": since_text(price.valid_from)})
                + "".join(number(key, value) for key, value in numbers.items() if _is_said(key, value))
                + document({"currency": price.currency}),
            )


def rates(only: Only) -> Iterator[Written]:
    """What people's time, agents' work, calls, months and currencies cost, named by what it is about and from when.

    What names a unit or a role that was removed since is left out: nothing can be counted by it any more.
    """
    there = {"unit": {"", *_slugs(BusinessUnit)}, "role": {"", *_slugs(Role)}}
    for rate in Rate.objects.order_by("kind", *RATE_ABOUT, "valid_from"):
        about = {name: getattr(rate, name) for name in RATE_ABOUT}
        name = rate_name({"per": rate.per, "from": rate.valid_from, **about})
        stands = rate.unit in there["unit"] and rate.role in there["role"]
        if stands and (only is None or name in only):
            head = {"kind": "Rate", "per": rate.per, **about, "from": since_text(rate.valid_from)}
            more = {"currency": rate.currency, "source": rate.source}
            yield name, document(head) + number("amount_minor", rate.amount_minor) + document(more)


def _slugs(model: type[BusinessUnit | Role]) -> set[str]:
    return set(model.objects.values_list("slug", flat=True))


def _is_said(key: str, price: Decimal | None) -> bool:
    """Whether a document has to name it: what costs nothing is left out where nothing is what its absence means."""
    return price is not None and (bool(price) or key in PRICES[:2] or key == "reasoning_micro")
