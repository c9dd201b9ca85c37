"""What is edited of a policy, its rules and its tests, as one page hands them to the next."""

import json
from dataclasses import dataclass, field
from typing import Any

import yaml
from django.http import QueryDict
from django.utils.translation import gettext as _

from apps.console.forms import PolicyCaseForm, RuleForm, parsed
from apps.console.selectors.cases import BegunCase
from apps.core.errors import InvalidError, NotFoundError
from apps.core.http import Request
from apps.core.rules import digest_of
from apps.policies.models import Policy
from apps.policies.rules import Finding
from apps.policies.rules.cases import MAX_CASES
from apps.policies.rules.documents import MAX_RULES
from apps.policies.selectors import versions_for
from apps.workflows.rules.source import SourceError, read_source


@dataclass
class Desk:
    """What is edited: the rules and tests, which of them is open, and what is to be said of it all.

    ``tests_text``: the tests as somebody types them; None where they are shown as rows. ``troubles`` are in the way of
    looking at the difference; what is ``said`` is not. ``is_fresh``: the open test was not there before it was opened;
    ``was``: what it said then, where it was run since.
    """

    rules: list[dict[str, Any]]
    tests: Any = field(default_factory=list)
    tests_text: str | None = None
    open: int | None = None
    open_case: int | None = None
    form: RuleForm | None = None
    case_form: PolicyCaseForm | None = None
    findings: list[Finding] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    new_operation: str = ""
    is_fresh: bool = False
    was: dict[str, Any] | None = None
    begun_from: BegunCase | None = None
    is_checked: bool = False

    @property
    def digest(self) -> str:
        """Of what was looked at, so that nothing else is proposed."""
        return digest_of({"rules": self.rules, "tests": self.tests})

    @property
    def errors(self) -> list[Finding]:
        """What is in the way."""
        return [finding for finding in self.findings if not finding.is_warning]

    @property
    def open_form(self) -> RuleForm | PolicyCaseForm | None:
        """The form of the rule or the test that is open."""
        return self.form or self.case_form

    @property
    def is_fit(self) -> bool:
        """Whether nothing is in the way."""
        form = self.open_form
        return not (self.errors or self.troubles or (form is not None and form.errors))

    @property
    def was_json(self) -> str:
        """What the open test was, for the page to carry along."""
        return json.dumps(self.was, ensure_ascii=False)

    @property
    def tests_json(self) -> str:
        """The tests, for the page to carry along."""
        return json.dumps(self.tests, ensure_ascii=False)


def begun(request: Request, found: Policy) -> Desk:
    """What the page starts from: what is in force, or the version that the address names."""
    number = request.GET.get("version", "")
    version = found.in_force or found.latest
    if number:
        version = versions_for(request.user, found).filter(number=int(number) if number.isdecimal() else 0).first()
        if version is None:
            raise NotFoundError
    return Desk(list(version.rules), list(version.tests)) if version else Desk([])


def carried(data: QueryDict) -> Desk:
    """What the page before had. Raises InvalidError for what no page has."""
    rules = parsed(data.get("rules", ""))
    if rules is None or len(rules) > MAX_RULES + 1:
        raise InvalidError(errors={"rules": [_("These are no rules.")]})
    desk = Desk(rules, open=_place(data.get("open", ""), rules), new_operation=data.get("new-operation", "").strip())
    if (text := data.get("tests")) is not None:
        desk.tests_text = text
        _read_tests(desk, text)
        return desk
    tests = parsed(data.get("cases", "[]"))
    if tests is None or len(tests) > MAX_CASES + 1:
        raise InvalidError(errors={"tests": [_("These are no tests.")]})
    desk.is_fresh = bool(data.get("fresh"))
    desk.was = next(iter(parsed(f"[{data.get('was', '')}]") or []), None)
    desk.tests, desk.open_case = tests, _place(data.get("open-case", ""), tests)
    return desk


def _place(text: str, rows: list[dict[str, Any]]) -> int | None:
    return int(text) if text.isdecimal() and int(text) < len(rows) else None


def _read_tests(desk: Desk, text: str) -> None:
    if not text.strip():
        return
    try:
        value = read_source(text).value
    except SourceError as error:
        desk.troubles.append(_("Tests: %s") % error.problem)
        return
    desk.tests = value if value is not None else []


def as_text(tests: list[Any]) -> str:
    """Tests as documents have them."""
    return yaml.safe_dump(tests, allow_unicode=True, sort_keys=False, width=100) if tests else ""
