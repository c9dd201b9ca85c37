"""Pages of policies: what the rules say, and what they did."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from apps.core.errors import ConflictError, DomainError, InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import holds, require
from apps.core.http import Request, refusal_of
from apps.core.models import User
from apps.core.pages import page_of
from apps.policies.forms import DeclineForm, DiffForm, PublishForm, RetireForm, RollBackForm, VersionForm
from apps.policies.models import Policy, PolicyVersion, Proposal
from apps.policies.rules import Finding, ProposalState
from apps.policies.selectors import (
    Change,
    RuleNumbers,
    cases_for,
    changes_shown_for,
    drawn_for,
    idle_rules_for,
    is_earlier,
    is_lowered_by,
    lowered_for,
    may_release,
    open_proposals_for,
    policies_for,
    policy_for,
    policy_numbers_for,
    proposal_for,
    proposal_of,
    release_in_force_for,
    releasers_for,
    rule_numbers_for,
    rules_for,
    shadow_examples_for,
    shadows_for,
    unit_of_version,
    versions_for,
)
from apps.policies.selectors.health import actions_seen_of, faults_for, menders_of, standing_faults_for
from apps.policies.selectors.versions import compared_for, tenure_of, version_for
from apps.policies.selectors.waivers import waivable_rules
from apps.policies.services import check_policy, decline_proposal, publish_policy, retire_policy, roll_back_policy
from apps.policies.services.policies import version_digest

VIEW, PUBLISH = "policies.view_policy", "policies.publish_policy"
SAID_MAX = 5
RETIRED = gettext_lazy("Retired: its rules judge no more.")


@require_GET
def policies(request: Request) -> HttpResponse:
    """Every policy with what it did in the last 30 days."""
    require(request.user, VIEW)
    numbers = policy_numbers_for(request.user)
    rows = [(policy, numbers.get(policy.slug, RuleNumbers())) for policy in policies_for(request.user)]
    release = release_in_force_for(request.user)
    context = {
        "rows": rows,
        "release": release,
        "lowered": lowered_for(request.user),
        "faults": standing_faults_for(request.user).count(),
        "may_write": not request.user.is_agent and holds(request.user, PUBLISH),
    }
    return render(request, "policies/policies.html", context)


@require_GET
def health(request: Request) -> HttpResponse:
    """Rules that had no value on an action within 30 days, and who may mend each."""
    require(request.user, VIEW)
    page = page_of(request, faults_for(request.user), order=("-last_at", "-id"))
    menders, seen = menders_of(request.user, page.rows), actions_seen_of(request.user, page.rows)
    context = {"page": page, "rows": [(fault, menders[fault.pk]) for fault in page.rows], "seen": seen}
    return render(request, "policies/health.html", context)


@require_GET
def policy(request: Request, slug: str) -> HttpResponse:
    """One policy: each rule as a sentence with its last 30 days, and the versions."""
    found = policy_for(request.user, slug)
    return render(request, "policies/policy.html", _shown(request, found, RetireForm()))


@require_GET
def version(request: Request, slug: str, number: int) -> HttpResponse:
    """One version as it was written, for ever at this address: its rules, tests and digest, and when it held."""
    found = policy_for(request.user, slug)
    shown = version_for(request.user, found, number)
    context = {
        "policy": found,
        "version": shown,
        "rules": rules_for(request.user, shown),
        "cases": cases_for(request.user, shown),
        "tenure": tenure_of(request.user, shown),
        "proposal": proposal_of(request.user, shown),
        "is_intact": version_digest(shown.unit, shown.rules, shown.tests) == shown.digest,
        "unit": unit_of_version(request.user, shown),
        "before": versions_for(request.user, found).filter(number__lt=number).first(),
        "after": versions_for(request.user, found).filter(number__gt=number).last(),
    }
    return render(request, "policies/version.html", context)


@require_GET
def diff(request: Request, slug: str) -> HttpResponse:
    """What one version says otherwise than another, rule by rule; both are in the address."""
    found = policy_for(request.user, slug)
    numbers = list(versions_for(request.user, found).values_list("number", flat=True))
    newest = numbers[0] if numbers else 0
    form = DiffForm({"from": request.GET.get("from", max(1, newest - 1)), "to": request.GET.get("to", newest)},
                    numbers=numbers)  # fmt: skip
    if numbers and not form.is_valid():
        raise NotFoundError
    chosen = form.cleaned_data if numbers else {}
    ends = [version_for(request.user, found, number) for number in (chosen["from"], chosen["to"])] if numbers else []
    compared = compared_for(request.user, *ends) if ends else []
    context = {"policy": found, "form": form, "numbers": numbers, "ends": ends, "compared": compared}
    return render(request, "policies/diff.html", context)


def _shown(request: Request, found: Policy, retire_form: RetireForm, *, number: str | None = None) -> dict[str, Any]:
    actor = request.user
    version = _version(actor, found, number or request.GET.get("version"))
    is_draft = version is not None and version.pk != found.in_force_id
    numbers = {} if is_draft else rule_numbers_for(actor, found)
    changes: list[Change] = changes_shown_for(actor, found, version) if version and is_draft else []
    may_publish = not actor.is_agent and holds(actor, PUBLISH, found)
    drawn = drawn_for(actor, version)
    was_before = bool(version and is_draft and is_earlier(found, version))
    return {
        "changes": changes,
        "is_draft": is_draft,
        "proposal": proposal_of(actor, version),
        "proposals": open_proposals_for(actor, found),
        "was_before": was_before,
        "may_release": bool(
            may_publish and version and is_draft and not was_before and may_release(actor, found, version)
        ),
        "publishers": releasers_for(actor, found, version) if version and is_draft else [],
        "moves_to": _moved(actor, found, version) if version and is_draft else None,
        "is_lowered": bool(version and is_draft and is_lowered_by(found, version)),
        "is_own": bool(version and version.author_id == actor.pk),
        "policy": found,
        "version": version,
        "shadows": [] if is_draft else [(one, shadow_examples_for(actor, one)) for one in shadows_for(actor, found)],
        "rules": [
            (card, numbers.get(card.slug, RuleNumbers()), drawn.get(card.slug)) for card in rules_for(actor, version)
        ],
        "findings": _findings(actor, found, version),
        "waivable": [] if is_draft or actor.is_agent else waivable_rules(actor, found),
        "cases": cases_for(actor, version),
        "tests_before": found.in_force.tests if found.in_force else [],
        "versions": versions_for(actor, found)[:50],
        "may_publish": may_publish,
        "retire_form": retire_form,
    }


def _moved(actor: User, found: Policy, version: PolicyVersion) -> str | None:
    """The name of what a version would cover instead of what the policy covers now; None where that is the same."""
    if version.unit == (found.unit.slug if found.unit else ""):
        return None
    unit = unit_of_version(actor, version)
    return unit.name if unit else version.unit or _("Everything")


def _findings(actor: User, found: Policy, version: PolicyVersion | None) -> list[Finding]:
    """What does not fit, or is odd, about a version as things are now."""
    if version is None:
        return []
    idle = idle_rules_for(actor, found) if version.pk == found.in_force_id else []
    said = check_policy(actor, rules=version.rules, tests=version.tests, policy=found, is_written=True)
    return [*said, *idle]


def _version(actor: User, found: Policy, text: str | None) -> PolicyVersion | None:
    """The version that the address names; else the one in force, else the latest. Raises NotFoundError."""
    form = VersionForm({"version": text or ""})
    if not form.is_valid():
        raise NotFoundError
    number = form.cleaned_data["version"]
    if number is None:
        return found.in_force or found.latest
    version = versions_for(actor, found).filter(number=number).first()
    if version is None:
        raise NotFoundError
    return version


@require_POST
def publish(request: Request, slug: str) -> HttpResponse:
    """Put the version that the person saw in force."""
    found = policy_for(request.user, slug, perm=PUBLISH)
    form = PublishForm(request.POST)
    if not form.is_valid():
        raise InvalidError(errors={"version": [_("Say which version.")]})
    try:
        release = publish_policy(request.user, policy=found, **form.cleaned_data)
    except (ConflictError, NotAllowedError, InvalidError) as error:
        said = [text for texts in error.errors.values() for text in texts]
        messages.error(request, " ".join([str(error.message), *said[:SAID_MAX]]))
        return redirect(f"{reverse('policies:policy', args=[slug])}?version={form.cleaned_data['version']}")
    in_force = any(line["policy"] == slug for line in release.policies)
    judges = _("In force as release %s: it judges from now on.") % release.number
    messages.success(request, judges if in_force else RETIRED)
    return redirect("policies:policy", slug=slug)


@require_POST
def retire(request: Request, slug: str) -> HttpResponse:
    """Propose to take a policy out of force, with the reason; out at once where that only tightens."""
    found = policy_for(request.user, slug, perm=PUBLISH)
    form = RetireForm(request.POST)
    if not form.is_valid():
        return render(request, "policies/policy.html", _shown(request, found, form), status=422)
    try:
        made = retire_policy(request.user, policy=found, reason=form.cleaned_data["reason"])
    except ConflictError as error:
        messages.error(request, str(error.message))
        return redirect("policies:policy", slug=slug)
    return _proposed(request, made, str(RETIRED))


@require_POST
def roll_back(request: Request, slug: str) -> HttpResponse:
    """Propose that an earlier version holds again, with the reason; at once where that only tightens."""
    found = policy_for(request.user, slug, perm=PUBLISH)
    form = RollBackForm(request.POST, auto_id="id_back_%s")
    if not form.is_valid():
        return _not_back(request, found, form, status=422)
    try:
        made = roll_back_policy(request.user, policy=found, **form.cleaned_data)
    except (ConflictError, InvalidError) as error:
        for text in [text for texts in error.errors.values() for text in texts] or [str(error.message)]:
            form.add_error(None, text)
        return _not_back(request, found, form, status=error.status)
    return _proposed(request, made, _("In force again: it judges from now on."))


def _not_back(request: Request, found: Policy, form: RollBackForm, *, status: int) -> HttpResponse:
    """The version's page again with what the person wrote, and why nothing was proposed."""
    context = _shown(request, found, RetireForm(), number=str(form.cleaned_data.get("version") or ""))
    context["back_form"] = form
    return render(request, "policies/policy.html", context, status=status)


def _proposed(request: Request, made: Proposal, done: str) -> HttpResponse:
    page = reverse("policies:policy", args=[made.policy.slug])
    if made.state != ProposalState.OPEN:
        messages.success(request, done)
        return redirect(page)
    messages.success(request, _("Proposed. It holds once somebody else has released it."))
    return redirect(f"{page}?version={made.version.number}")


@require_POST
def decline(request: Request, slug: str) -> HttpResponse:
    """End a proposal without releasing it, with the reason; who made it takes it back so."""
    found = policy_for(request.user, slug, perm=PUBLISH)
    form = DeclineForm(request.POST)
    if not form.is_valid() and "proposal" in form.errors:
        raise InvalidError(errors={"proposal": [_("Say which proposal.")]})
    proposal = proposal_for(request.user, form.cleaned_data["proposal"])
    if proposal.policy_id != found.pk:
        raise NotFoundError
    if form.errors:
        return _not_declined(
            request, proposal, InvalidError(errors={"reason": [str(text) for text in form.errors["reason"]]})
        )
    try:
        decline_proposal(request.user, proposal=proposal, reason=form.cleaned_data["reason"])
    except (ConflictError, InvalidError) as error:
        return _not_declined(request, proposal, error)
    messages.success(request, _("Declined. It judges nothing."))
    return redirect("policies:policy", slug=slug)


def _not_declined(request: Request, proposal: Proposal, error: DomainError) -> HttpResponse:
    """The version's page again with what the person wrote, and why the proposal still stands."""
    context = _shown(request, proposal.policy, RetireForm(), number=str(proposal.version.number))
    context |= refusal_of(error, typed=request.POST.get("reason", ""), at="id_decline_reason")
    return render(request, "policies/policy.html", context, status=error.status)
