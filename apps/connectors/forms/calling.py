"""What a person may type of what is called: a system's own address and how it is signed in to; an operation's call."""

import json
from collections.abc import Mapping
from typing import Any, cast

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from apps.access.models import BusinessUnit
from apps.agents.rules import EffectClass
from apps.connectors.models import Connector, Operation
from apps.connectors.rules import Idempotency
from apps.connectors.rules.mails import methods_of
from apps.connectors.rules.queries import QUERY_MAX, SQL
from apps.connectors.rules.tools import MCP
from apps.core.rules import digest_of

EFFECTS = [
    (EffectClass.READ, _("read: changes nothing")),
    (EffectClass.WRITE, _("write: can be undone")),
    (EffectClass.IRREVERSIBLE, _("irreversible: cannot be undone")),
]
REPEATS = [
    (Idempotency.NONE, _("no: it might be done twice")),
    (Idempotency.HEADER, _("yes: the system knows the key of a header")),
    (Idempotency.NATURAL, _("yes: the same parameters are the same thing")),
]
ADAPTERS = [
    ("http", _("a web service")),
    (SQL, _("a PostgreSQL database, for reading")),
    (MCP, _("an MCP server, whose tools are called")),
]
SIGN_INS = [
    ("none", _("nothing")),
    ("bearer", _("a bearer token")),
    ("basic", _("a user name and a password")),
    ("header", _("a header of its own")),
]


class _Refusing(forms.Form):
    PLACES: Mapping[str, str] = {}

    def refuse(self, errors: Mapping[str, list[str]]) -> None:
        """Say why not, each beside what it is about."""
        for path, said in errors.items():
            place = self.PLACES.get(path, path.split(".")[0])
            known = place in self.fields
            is_whole = known and (path in self.PLACES or "." not in path)
            self.add_error(place if known else None, said if is_whole else [f"{path}: {text}" for text in said])


class _SystemForm(_Refusing):
    """Where a system is, and how the plane signs in to it."""

    PLACES = {"auth.type": "sign_in", "auth.name": "header", "auth.username": "username"}

    name = forms.CharField(max_length=120, label=_("Name"))
    base_url = forms.CharField(max_length=500, label=_("Address"))
    allow_internal = forms.BooleanField(required=False, label=_("The address is inside our own network"))
    sign_in = forms.ChoiceField(choices=SIGN_INS, label=_("The plane signs in with"))
    username = forms.CharField(max_length=120, required=False, label=_("User name"))
    header = forms.CharField(max_length=64, required=False, label=_("Name of the header"))

    @property
    def auth(self) -> dict[str, str]:
        """How it is signed in to, as a connector holds it; what another way needs is left out."""
        said = self.cleaned_data
        more = {"basic": {"username": said["username"]}, "header": {"name": said["header"]}}.get(said["sign_in"], {})
        return {"type": said["sign_in"], **{name: value for name, value in more.items() if value}}


class NewSystemForm(_SystemForm):
    """A system that is not there yet. Without a unit all share it."""

    slug = forms.SlugField(
        label=_("Short name"),
        max_length=63,
        help_text=_("Small letters, digits and dashes. It stays, and begins the names of its operations."),
        error_messages={"invalid": _("Small letters, digits and dashes only, such as core-banking.")},
    )
    adapter = forms.ChoiceField(choices=ADAPTERS, label=_("It is"), help_text=_("A mail server is set up by API."))
    unit = forms.ModelChoiceField(
        BusinessUnit.objects.none(), required=False, label=_("Unit"), to_field_name="slug", empty_label=None
    )

    def __init__(self, data: Any = None, *, units: QuerySet[BusinessUnit], everywhere: bool) -> None:
        super().__init__(data, initial={"sign_in": "bearer"})
        chosen = cast("forms.ModelChoiceField[BusinessUnit]", self.fields["unit"])
        chosen.queryset = units
        chosen.required = not everywhere
        chosen.empty_label = str(_("shared by all")) if everywhere else None


class AddressForm(_SystemForm):
    """A system that is there. ``seen``: what was there when it was shown."""

    seen = forms.CharField(max_length=71, widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, connector: Connector) -> None:
        super().__init__(
            data,
            initial={
                "seen": seen_of(connector),
                "name": connector.name,
                "base_url": connector.base_url,
                "allow_internal": connector.allow_internal or connector.inside_asked_by_id is not None,
                "sign_in": connector.auth.get("type", "none"),
                "username": connector.auth.get("username", ""),
                "header": connector.auth.get("name", ""),
            },
        )


def seen_of(connector: Connector) -> str:
    """What of a system the form shows: where it is another by now, nothing is written over it."""
    auth = connector.auth
    return digest_of([connector.name, connector.base_url, connector.allow_internal, auth, connector.test_base_url])


class CallForm(_Refusing):
    """What an operation calls, with which parameters, and what people are told of it."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    name = forms.CharField(max_length=160, label=_("Name"))
    method = forms.ChoiceField(label=_("Method"))
    path = forms.CharField(max_length=500, label=_("Path"))
    parameters = forms.CharField(
        max_length=100_000, label=_("Parameters"), widget=forms.Textarea({"rows": 14, "spellcheck": "false"})
    )
    effect = forms.ChoiceField(choices=EFFECTS, label=_("Effect"))
    idempotency = forms.ChoiceField(choices=REPEATS, label=_("May it be repeated"))
    query = forms.CharField(
        max_length=QUERY_MAX,
        required=False,
        label=_("Statement"),
        widget=forms.Textarea({"rows": 8, "spellcheck": "false"}),
    )
    target = forms.CharField(max_length=200, required=False, label=_("Parameter that says whom or what it is aimed at"))
    consequence = forms.CharField(max_length=500, required=False, label=_("What people are told"))

    def __init__(self, data: Any = None, *, operation: Operation) -> None:
        initial = {name: getattr(operation, name) for name in (*CALLED, "version")}
        initial["parameters"] = json.dumps(operation.parameters, indent=2, ensure_ascii=False)
        super().__init__(data, initial=initial)
        self.fields["method"] = forms.ChoiceField(
            choices=[(name, name) for name in methods_of(operation.connector.adapter)], label=_("Method")
        )
        if operation.connector.adapter != SQL:
            del self.fields["query"]

    def clean_parameters(self) -> dict[str, Any]:
        """The schema that was written."""
        try:
            found = json.loads(self.cleaned_data["parameters"], object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(_("This is no JSON: %s.") % error) from error
        if not isinstance(found, dict):
            raise forms.ValidationError(_("A JSON Schema of an object."))
        return found

    @property
    def spec(self) -> dict[str, Any]:
        """What was said, as an operation holds it."""
        return {name: self.cleaned_data[name] for name in CALLED if name in self.cleaned_data}


CALLED = ("name", "method", "path", "parameters", "effect", "idempotency", "target", "consequence", "query")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(_("a name stands twice"))
    return found
