"""Rules and tests edited as forms and as text: carried from page to page, written down only once they are proposed."""

import json
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.access.models import BusinessUnit
from apps.access.selectors import unit_for
from apps.console.forms import Choices, NewPolicyForm, RuleForm, shown_as, typed
from apps.console.views.desk import Desk, begun, carried
from apps.console.views.rule_cases import MOVES as CASE_MOVES
from apps.console.views.rule_cases import begin_from, fold_case, move_case, unit_of
from apps.core.errors import ConflictError, InvalidError
from apps.core.gate import refuse_agents, require, scope_for, visible
from apps.core.http import Request
from apps.core.noting import note_refused, note_unfit
from apps.policies.models import Policy
from apps.policies.rules import Effect
from apps.policies.selectors import (
    CaseCard,
    changes_drafted_for,
    drafted_cases_for,
    drafted_rules_for,
    operations_named_for,
    policy_for,
    publishers_for,
)
from apps.policies.services import check_policy, propose_rules, save_policy

PUBLISH = "policies.publish_policy"
UNFIT = 422
LOOKING = frozenset({"check", "case-run"})
"""What changes nothing even on the page is no attempt, and stands in no ledger however wrong it is."""
NEW: dict[str, Any] = {"slug": "", "when": "true", "effect": Effect.REQUIRE_APPROVAL.value}


@require_http_methods(["GET", "POST"])
def edit_rules(request: Request, slug: str) -> HttpResponse:
    """The rules of a policy as they are in force, to edit; each button brings the page again, until they are proposed.

    Nothing is kept meanwhile: what is edited travels with the form.
    """
    refuse_agents(request.user)
    found = policy_for(request.user, slug, perm=PUBLISH)
    schemas = operations_named_for(request.user)
    choices = Choices.of(schemas, found.unit)
    if request.method == "GET":
        desk = _begun(request, found, choices)
        if action := request.GET.get("from", ""):
            begin_from(request.user, desk, choices, schemas, action)
        return _page(request, found, choices, desk)
    desk = carried(request.POST)
    do, _colon, at = request.POST.get("do", "").partition(":")
    is_folded = _folded(request, found, desk, choices, do, at)
    if not is_folded or not fold_case(request.user, desk, choices, schemas, request.POST, do):
        if do not in LOOKING and not desk.is_fit:
            note_unfit(request, request.user)
        return _page(request, found, choices, desk)
    if do == "propose":
        return _proposed(request, found, choices, desk)
    if do in CASE_MOVES:
        move_case(desk, choices, schemas, do, at)
    else:
        _move(request, found, desk, choices, do, at)
    return _page(request, found, choices, desk)


def _begun(request: Request, found: Policy, choices: Choices) -> Desk:
    """What the page starts from; the rule that the address names is open."""
    desk = begun(request, found)
    slugs = [rule.get("slug") for rule in desk.rules]
    if (wanted := request.GET.get("rule", "")) in slugs:
        _open(desk, choices, slugs.index(wanted))
    return desk


def _folded(request: Request, found: Policy, desk: Desk, choices: Choices, do: str, at: str) -> bool:
    """Whether the open rule was taken into the rules, so that what the button says may follow."""
    if desk.open is None:
        return True
    before, data = desk.rules[desk.open], request.POST
    if do in {"row", "unrow"}:
        without = int(at) if do == "unrow" and at.isdecimal() else None
        shown = typed(data, without=without, more=1 if do == "row" else 0)
        desk.form = RuleForm(choices=choices, before=before, initial=shown)
        return False
    if do == "drop":
        _drop(desk)
        return True
    form = RuleForm(data, choices=choices, before=before)
    if not form.is_valid():
        turned = form.turned if do in {"text", "rows"} else None
        desk.form = RuleForm(choices=choices, before=before, initial=turned) if turned else form
        return False
    desk.rules[desk.open] = form.document()
    at_rule = f"rules.{desk.open}."
    desk.findings = list(check_policy(request.user, rules=desk.rules, policy=found))
    slug = desk.rules[desk.open]["slug"]
    mine = [
        finding
        for finding in desk.errors
        if finding.field.startswith(at_rule) or (finding.rule == slug and finding.field.endswith(".slug"))
    ]
    if mine and do != "text":
        for finding in mine:
            form.refuse(finding.field.split(".", 2)[-1], str(finding))
        desk.form = form
        return False
    return True


def _drop(desk: Desk) -> None:
    """Leave the open rule as it was; a new one goes."""
    assert desk.open is not None, "asked by the caller"
    if desk.rules[desk.open] == NEW:
        del desk.rules[desk.open]
    desk.open = None


def _move(request: Request, found: Policy, desk: Desk, choices: Choices, do: str, at: str) -> None:
    """What the button says, once the open rule is taken in."""
    place = int(at) if at.isdecimal() and int(at) < len(desk.rules) else None
    if do == "open" and place is not None:
        _open(desk, choices, place)
    elif do == "remove" and place is not None:
        del desk.rules[place]
        desk.open = None
    elif do == "add":
        desk.rules.append(dict(NEW))
        _open(desk, choices, len(desk.rules) - 1)
    elif do in {"text", "rows"} and desk.open is not None:
        _turn(desk, choices, do)
    else:
        desk.open = None
        _look(request, found, desk, is_whole=do == "check")


def _open(desk: Desk, choices: Choices, place: int) -> None:
    desk.open = place
    desk.form = RuleForm(choices=choices, before=desk.rules[place])


def _turn(desk: Desk, choices: Choices, to: str) -> None:
    """Show the open rule's condition as text, or as rows where rows can say it."""
    assert desk.open is not None, "asked by the caller"
    rule = desk.rules[desk.open]
    form = RuleForm(choices=choices, before=rule)
    if to == "text":
        form = RuleForm(choices=choices, before=rule, initial={**form.initial, **shown_as(None)})
    elif form.initial["as_what"] == "text":
        desk.said.append(_("This condition says more than the form can: it stays text."))
    desk.form = form


def _look(request: Request, found: Policy, desk: Desk, *, is_whole: bool) -> None:
    """Everything that is wrong or odd; where the whole is asked for, it may then be proposed."""
    desk.findings = list(check_policy(request.user, rules=desk.rules, tests=desk.tests, policy=found))
    desk.is_checked = is_whole


def _proposed(request: Request, found: Policy, choices: Choices, desk: Desk) -> HttpResponse:
    """Propose what was looked at; anything else is shown first."""
    desk.open, desk.form = None, None
    _look(request, found, desk, is_whole=True)
    if not desk.is_fit:
        note_refused(request, request.user, InvalidError())  # it asked for more than a look
        return _page(request, found, choices, desk)
    if request.POST.get("seen") != desk.digest:
        desk.said.append(_("Something was changed after you looked: read the difference, then propose it."))
        return _page(request, found, choices, desk, status=UNFIT)
    based = request.POST.get("instead_of", "")
    reason = request.POST.get("reason", "")
    try:
        made = propose_rules(
            request.user,
            policy=found,
            rules=desk.rules,
            tests=list(desk.tests),
            reason=reason,
            instead_of=int(based) if based.isdecimal() else -1,
        )
    except (ConflictError, InvalidError) as error:
        note_refused(request, request.user, error)
        said = [text for texts in error.errors.values() for text in texts]
        desk.said += said or [str(error.message)]
        return _page(request, found, choices, desk, status=error.status)
    messages.success(request, _("Proposed. It holds once somebody else has released it."))
    return redirect(f"{reverse('policies:policy', args=[found.slug])}?version={made.version.number}")


def _page(request: Request, found: Policy, choices: Choices, desk: Desk, *, status: int = 200) -> HttpResponse:
    actor = request.user
    cards = drafted_rules_for(actor, found, desk.rules)
    based = request.POST.get("instead_of") or (found.in_force.number if found.in_force else 0)
    shows_change = desk.is_checked and not desk.errors
    tests = desk.tests if isinstance(desk.tests, list) else []
    results = drafted_cases_for(actor, rules=desk.rules, tests=tests, unit=unit_of(found))
    context = {
        "policy": found,
        "others": [person for person in publishers_for(actor, found) if person.pk != actor.pk],
        "desk": desk,
        "rules": [(place, rule, card) for place, (rule, card) in enumerate(zip(desk.rules, cards, strict=True))],
        "rules_json": json.dumps(desk.rules, ensure_ascii=False),
        "form": desk.form,
        "case_form": desk.case_form,
        "open_form": desk.open_form,
        "card": cards[desk.open] if desk.open is not None else None,
        "based": based,
        "reason": request.POST.get("reason", ""),
        "warnings": [finding for finding in desk.findings if finding.is_warning],
        "changes": changes_drafted_for(actor, found, desk.rules) if shows_change else [],
        "cases": [(place, test, results.get(place)) for place, test in enumerate(tests)],
        "failed": sum(isinstance(result, CaseCard) and not result.has_passed for result in results.values()),
        "case_result": results.get(desk.open_case) if desk.open_case is not None else None,
        "tests_changed": shows_change and list(desk.tests) != (found.in_force.tests if found.in_force else []),
        "operations": sorted(operations_named_for(actor)) if desk.tests_text is None else [],
        "currency": choices.currency,
    }
    refused = UNFIT if not desk.is_fit else status
    return render(request, "console/edit_rules.html", context, status=refused)


@require_http_methods(["GET", "POST"])
def new_policy(request: Request) -> HttpResponse:
    """Name a policy and what it covers; its rules are written next."""
    refuse_agents(request.user)
    require(request.user, PUBLISH)
    units = visible(request.user, PUBLISH, BusinessUnit.objects.order_by("name"))
    everywhere = scope_for(request.user, PUBLISH).everywhere
    form = NewPolicyForm(request.POST if request.method == "POST" else None, units=units, all_of_it=everywhere)
    if form.is_valid() and _made(request, form):
        return redirect("console:edit-rules", slug=form.cleaned_data["slug"])
    if form.errors:
        note_unfit(request, request.user)
    return render(request, "console/new_policy.html", {"form": form}, status=UNFIT if form.errors else 200)


def _made(request: Request, form: NewPolicyForm) -> bool:
    said = form.cleaned_data
    if Policy.objects.filter(slug=said["slug"]).exists():
        form.add_error("slug", _("There is one with this short name already."))
        return False
    unit = unit_for(request.user, said["unit"], perm=PUBLISH) if said["unit"] else None
    save_policy(request.user, slug=said["slug"], name=said["name"], rules=[], unit=unit)
    return True
