"""What a person may type of how an operation is carried out: what it reads back, tries, keeps apart, and how long."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.connectors.models import Operation
from apps.connectors.rules import OnConflict
from apps.connectors.rules.trying import methods_of_trying
from apps.connectors.rules.verifying import WITHIN_S_MAX
from apps.connectors.services.operations import EXCLUSIVE_MAX, TIMEOUT_S_MAX

CONFLICTS = [
    (OnConflict.QUEUE, _("waits for its turn")),
    (OnConflict.ASK, _("goes before people, and then waits")),
    (OnConflict.DENY, _("is denied")),
    (OnConflict.SUPERSEDE, _("waits, and is cancelled where the same is asked for again")),
]

PLACES = {
    "verify": "verify_operation",
    "verify.operation": "verify_operation",
    "verify.expect": "verify_expect",
    "verify.within_s": "verify_within_s",
    "dry_run": "dry_run_path",
}
"""Where the errors of an operation stand in the form."""


class OperationForm(forms.Form):
    """How an operation is carried out; what stays empty is not done."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    verify_operation = forms.CharField(max_length=120, required=False, label=_("Operation that reads it back"))
    verify_parameters = forms.CharField(
        required=False,
        max_length=10_000,
        label=_("Its parameters"),
        widget=forms.Textarea({"rows": 3, "spellcheck": "false"}),
    )
    verify_expect = forms.CharField(max_length=2048, required=False, label=_("What must hold then"))
    verify_within_s = forms.IntegerField(
        min_value=0, max_value=WITHIN_S_MAX, required=False, label=_("Seconds that the system may take to show it")
    )
    dry_run_path = forms.CharField(max_length=500, required=False, label=_("Path of the dry run"))
    exclusive = forms.CharField(max_length=EXCLUSIVE_MAX, required=False, label=_("Key of what runs one at a time"))
    on_conflict = forms.ChoiceField(choices=CONFLICTS, required=False, label=_("What meets another with its key"))
    timeout_s = forms.IntegerField(min_value=1, max_value=TIMEOUT_S_MAX, label=_("Seconds a call may take"))

    def __init__(self, data: Any = None, *, operation: Operation) -> None:
        verify, plan = operation.verify or {}, operation.dry_run or {}
        lines = [f"{name}: {said}" for name, said in sorted(verify.get("parameters", {}).items())]
        super().__init__(
            data,
            initial={
                "version": operation.version,
                "verify_operation": verify.get("operation", ""),
                "verify_parameters": "\n".join(lines),
                "verify_expect": verify.get("expect", ""),
                "verify_within_s": verify.get("within_s"),
                "dry_run_method": plan.get("method", ""),
                "dry_run_path": plan.get("path", ""),
                "exclusive": operation.exclusive,
                "on_conflict": operation.on_conflict,
                "timeout_s": operation.timeout_s,
            },
        )
        methods = methods_of_trying(operation.connector.adapter)
        self.fields["dry_run_method"] = forms.ChoiceField(
            choices=[("", _("none")), *((name, name) for name in methods)],
            required=False,
            label=_("Method of the dry run"),
        )

    def clean_verify_parameters(self) -> dict[str, str]:
        """Name and expression of every line."""
        found: dict[str, str] = {}
        for line in self.cleaned_data["verify_parameters"].splitlines():
            name, colon, said = (part.strip() for part in line.partition(":"))
            if colon and name and said and name not in found:
                found[name] = said
            elif line.strip():
                raise forms.ValidationError(_("Each line is a name of its own, a colon and an expression."))
        return found

    def clean(self) -> dict[str, Any]:
        """What was said, as an operation holds it, in ``spec``."""
        said = self.cleaned_data
        texts = {name: said.get(f"verify_{name}") for name in ("operation", "parameters", "expect", "within_s")}
        verify = {name: value for name, value in texts.items() if value not in ("", None, {})}
        plan = {"method": said.get("dry_run_method"), "path": said.get("dry_run_path")}
        self.cleaned_data["spec"] = {
            "verify": {"operation": "", **verify} if verify else None,
            "dry_run": plan if any(plan.values()) else None,
            "exclusive": said.get("exclusive", ""),
            "on_conflict": said.get("on_conflict") or OnConflict.QUEUE,
            "timeout_s": said.get("timeout_s"),
        }
        return said

    @property
    def spec(self) -> dict[str, Any]:
        """What was said, as an operation holds it."""
        said: dict[str, Any] = self.cleaned_data["spec"]
        return said

    def refuse(self, errors: Mapping[str, list[str]]) -> None:
        """Say why not, each beside what it is about."""
        for path, said in errors.items():
            if path.startswith("verify.parameters"):
                name = path.removeprefix("verify.parameters").lstrip(".")
                self.add_error("verify_parameters", [f"{name}: {text}" if name else text for text in said])
            else:
                place = PLACES.get(path, path)
                known = place in self.fields
                self.add_error(place if known else None, said if known else [f"{path}: {text}" for text in said])
