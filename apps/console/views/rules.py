"""Rules edited as a form and as text: carried along from page to page, written down only once they are proposed."""

import json
from dataclasses import dataclass, field
from typing import Any

import yaml
from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.access.models import BusinessUnit
from apps.access.selectors import unit_for
from apps.connectors.selectors import operation_schemas
from apps.console.forms import Choices, NewPolicyForm, RuleForm, parsed, shown_as, typed
from apps.core.amounts import exponent_of
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.gate import refuse_agents, require, scope_for, visible
from apps.core.http import Request
from apps.core.rules import digest_of
from apps.policies.models import Policy
from apps.policies.rules import DocumentError, Effect, Finding, read_rule
from apps.policies.rules.documents import MAX_RULES
from apps.policies.rules.rows import rows_of
from apps.policies.selectors import (
    changes_drafted_for,
    drafted_rules_for,
    in_words,
    policy_for,
    try_rules,
    versions_for,
)
from apps.policies.services import check_policy, propose_rules, save_policy
from apps.workflows.rules.source import SourceError, read_source

PUBLISH = "policies.publish_policy"
UNFIT = 422
NEW: dict[str, Any] = {"slug": "", "when": "true", "effect": Effect.REQUIRE_APPROVAL.value}


@dataclass
class Desk:
    """What is edited: the rules, which of them is open, the tests as text, and what is to be said of it all.

    ``troubles`` are in the way of looking at the difference; what is ``said`` is not.
    """

    rules: list[dict[str, Any]]
    tests_text: str
    open: int | None = None
    tests: Any = field(default_factory=list)
    form: RuleForm | None = None
    findings: list[Finding] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    is_checked: bool = False

    @property
    def digest(self) -> str:
        """Of what was looked at, so that nothing else is proposed."""
        return digest_of({"rules": self.rules, "tests": self.tests_text})

    @property
    def errors(self) -> list[Finding]:
        """What is in the way."""
        return [finding for finding in self.findings if not finding.is_warning]

    @property
    def is_fit(self) -> bool:
        """Whether nothing is in the way."""
        return not (self.errors or self.troubles or (self.form is not None and self.form.errors))


@require_http_methods(["GET", "POST"])
def edit_rules(request: Request, slug: str) -> HttpResponse:
    """The rules of a policy as they are in force, to edit; each button brings the page again, until they are proposed.

    Nothing is kept meanwhile: what is edited travels with the form.
    """
    refuse_agents(request.user)
    found = policy_for(request.user, slug, perm=PUBLISH)
    choices = Choices.of(operation_schemas(), found.unit)
    if request.method == "GET":
        return _page(request, found, choices, _begun(request, found, choices))
    desk = _carried(request.POST)
    do, _colon, at = request.POST.get("do", "").partition(":")
    if not _folded(request, found, choices, desk, do, at):
        return _page(request, found, choices, desk)
    if do == "propose":
        return _proposed(request, found, choices, desk)
    _move(request, found, choices, desk, do, at)
    return _page(request, found, choices, desk)


def _begun(request: Request, found: Policy, choices: Choices) -> Desk:
    """What the page starts from: what is in force, or the version that the address names; a rule may be open."""
    number = request.GET.get("version", "")
    version = found.in_force or found.latest
    if number:
        version = versions_for(request.user, found).filter(number=int(number) if number.isdecimal() else 0).first()
        if version is None:
            raise NotFoundError
    rules = list(version.rules) if version else []
    desk = Desk(rules, _yaml(version.tests) if version else "")
    slugs = [rule.get("slug") for rule in rules]
    if (wanted := request.GET.get("rule", "")) in slugs:
        _open(desk, choices, slugs.index(wanted))
    return desk


def _yaml(tests: list[Any]) -> str:
    return yaml.safe_dump(tests, allow_unicode=True, sort_keys=False, width=100) if tests else ""


def _carried(data: QueryDict) -> Desk:
    rules = parsed(data.get("rules", ""))
    if rules is None or len(rules) > MAX_RULES + 1:
        raise InvalidError(errors={"rules": [_("These are no rules.")]})
    place = data.get("open", "")
    is_open = place.isdecimal() and int(place) < len(rules)
    desk = Desk(rules, data.get("tests", ""), int(place) if is_open else None)
    _read_tests(desk)
    return desk


def _read_tests(desk: Desk) -> None:
    if not desk.tests_text.strip():
        return
    try:
        value = read_source(desk.tests_text).value
    except SourceError as error:
        desk.troubles.append(_("Tests: %s") % error.problem)
        return
    desk.tests = value if value is not None else []


def _folded(request: Request, found: Policy, choices: Choices, desk: Desk, do: str, at: str) -> bool:
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
        desk.form = form
        return False
    desk.rules[desk.open] = form.document()
    at_rule = f"rules.{desk.open}."
    desk.findings = list(check_policy(request.user, rules=desk.rules))
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


def _move(request: Request, found: Policy, choices: Choices, desk: Desk, do: str, at: str) -> None:
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
    desk.findings = list(check_policy(request.user, rules=desk.rules, tests=desk.tests))
    desk.is_checked = is_whole


def _proposed(request: Request, found: Policy, choices: Choices, desk: Desk) -> HttpResponse:
    """Propose what was looked at; anything else is shown first."""
    desk.open, desk.form = None, None
    _look(request, found, desk, is_whole=True)
    if not desk.is_fit:
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
    context = {
        "policy": found,
        "desk": desk,
        "rules": [(place, rule, card) for place, (rule, card) in enumerate(zip(desk.rules, cards, strict=True))],
        "rules_json": json.dumps(desk.rules, ensure_ascii=False),
        "form": desk.form,
        "card": cards[desk.open] if desk.open is not None else None,
        "can_be_rows": desk.open is not None and _can_be_rows(desk.rules[desk.open], choices),
        "based": based,
        "reason": request.POST.get("reason", ""),
        "warnings": [finding for finding in desk.findings if finding.is_warning],
        "changes": changes_drafted_for(actor, found, desk.rules) if shows_change else [],
        "cases": _tried(request, found, desk) if shows_change else [],
        "tests_changed": shows_change and list(desk.tests) != (found.in_force.tests if found.in_force else []),
        "currency": choices.currency,
    }
    refused = UNFIT if not desk.is_fit else status
    return render(request, "console/edit_rules.html", context, status=refused)


def _can_be_rows(rule: dict[str, Any], choices: Choices) -> bool:
    try:
        return rows_of(read_rule(rule), digits=exponent_of(rule.get("currency") or choices.currency)) is not None
    except DocumentError:
        return False


def _tried(request: Request, found: Policy, desk: Desk) -> list[tuple[bool, str]]:
    """What comes of each test, run just now."""
    covered = found.in_force.unit if found.in_force else found.unit.slug if found.unit else ""
    results = try_rules(request.user, rules=desk.rules, tests=desk.tests, unit=covered)
    return [(result.has_passed, in_words(result)) for result in results]


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
    return render(request, "console/new_policy.html", {"form": form}, status=UNFIT if form.errors else 200)


def _made(request: Request, form: NewPolicyForm) -> bool:
    said = form.cleaned_data
    if Policy.objects.filter(slug=said["slug"]).exists():
        form.add_error("slug", _("There is one with this short name already."))
        return False
    unit = unit_for(request.user, said["unit"], perm=PUBLISH) if said["unit"] else None
    save_policy(request.user, slug=said["slug"], name=said["name"], rules=[], unit=unit)
    return True
