"""Endpoints of what OpenAPI documents describe: import one, look at what waits for a person, say what becomes of it."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.rules import EffectClass
from apps.connectors import services
from apps.connectors.api.operations import OperationSerializer, operation_json
from apps.connectors.models import OperationPin
from apps.connectors.rules.openapi import BYTES_MAX, Contents, Described, Unfit
from apps.connectors.rules.pins import PINNED, Plan, Review
from apps.connectors.rules.tools import MCP
from apps.connectors.selectors import connector_for
from apps.connectors.selectors.pins import pin_for
from apps.core.api import JsonObject, PlaneView, StrictBoolean, StrictSerializer, Text, known_params
from apps.core.errors import InvalidError
from apps.core.schema import PROBLEMS


class ImportBody(StrictSerializer):
    """An OpenAPI 3.0 or 3.1 document, JSON or YAML, as one text; with ``dry_run`` nothing is changed.

    An MCP server is asked itself: without ``document``, and with ``seen`` only if it still lists what was looked at.
    """

    document = Text(max_length=BYTES_MAX, trim_whitespace=False, required=False)
    seen = Text(max_length=71, required=False)
    dry_run = StrictBoolean(required=False)


class GuessSerializer(serializers.Serializer[Any]):
    """The effect class that an operation's method and words suggest, and why."""

    effect = serializers.CharField()
    reason = serializers.CharField()


class DescribedSerializer(serializers.Serializer[Any]):
    """An operation as its document describes it."""

    slug = serializers.CharField()
    name = serializers.CharField()
    method = serializers.CharField()
    path = serializers.CharField()
    guess = GuessSerializer()
    notes = serializers.ListField(child=serializers.CharField())


class ChangedSerializer(DescribedSerializer):
    """One that was imported before and is described differently now: what differs from the last time."""

    differs = serializers.ListField(child=serializers.CharField())


class UnfitSerializer(serializers.Serializer[Any]):
    """What is not taken over: which, where in it, and why."""

    where = serializers.CharField()
    at = serializers.CharField()
    reason = serializers.CharField()


class ImportedSerializer(serializers.Serializer[Any]):
    """What became, or in a dry run would become, of a document."""

    title = serializers.CharField()
    version = serializers.CharField()
    dry_run = serializers.BooleanField()
    notes = serializers.ListField(child=serializers.CharField())
    new = DescribedSerializer(many=True)
    changed = ChangedSerializer(many=True)
    removed = serializers.ListField(child=serializers.CharField())
    same = serializers.ListField(child=serializers.CharField())
    unfit = UnfitSerializer(many=True)
    digest = serializers.CharField(required=False, help_text="Of the list of an MCP server: `seen` of the next call.")


class DefinitionSerializer(serializers.Serializer[Any]):
    """What a document can say of an operation."""

    name = serializers.CharField()
    method = serializers.CharField()
    path = serializers.CharField()
    parameters = serializers.JSONField()
    idempotency = serializers.CharField()
    tool = serializers.JSONField(required=False, help_text="Of a tool of an MCP server: hints, schema of its answers.")


class PinSerializer(serializers.Serializer[Any]):
    """An imported operation: what a person confirmed of it, and what its document says since, while it ``waiting``.

    ``taken``: what taking that makes of it. ``seen`` goes with the answer, so that it is about what was looked at.
    """

    operation = serializers.CharField()
    state = serializers.CharField()
    waiting = serializers.CharField()
    document = serializers.CharField()
    key = serializers.CharField()
    digest = serializers.CharField()
    guess = GuessSerializer()
    definition = DefinitionSerializer()
    proposed = DefinitionSerializer(allow_null=True)
    now = DefinitionSerializer()
    taken = DefinitionSerializer()
    differs = serializers.ListField(child=serializers.CharField())
    seen = serializers.CharField()
    confirmed_at = serializers.DateTimeField(allow_null=True)
    confirmed_by = serializers.CharField(allow_null=True)


class ReviewBody(StrictSerializer):
    """What a person makes of it; ``effect``, ``amount``, ``target`` and ``consequence`` stay unless they are given."""

    seen = Text(max_length=71)
    verdict = serializers.ChoiceField([verdict.value for verdict in Review], required=False)
    reason = Text(max_length=500, required=False, allow_blank=True)
    effect = serializers.ChoiceField([effect.value for effect in EffectClass], required=False)
    amount = JsonObject(required=False, allow_null=True)
    target = Text(max_length=200, required=False, allow_blank=True)
    consequence = Text(max_length=500, required=False, allow_blank=True)


def imported_json(contents: Contents, plan: Plan, *, dry_run: bool) -> dict[str, Any]:
    """The answer as ``ImportedSerializer`` describes it."""
    return {
        "title": contents.title,
        "version": contents.version,
        "dry_run": dry_run,
        "notes": list(contents.notes),
        "new": [_described_json(found, found.slug) for found in plan.new],
        "changed": [
            {**_described_json(change.described, change.known.slug), "differs": change.fields}
            for change in plan.changed
        ],
        "removed": [known.slug for known in plan.removed],
        "same": plan.same,
        "unfit": [_unfit_json(unfit) for unfit in plan.unfit],
    }


def _described_json(found: Described, slug: str) -> dict[str, Any]:
    said = {name: found.definition[name] for name in ("name", "method", "path")}
    guess = {"effect": str(found.guess.effect), "reason": found.guess.reason}
    return {"slug": slug, **said, "guess": guess, "notes": list(found.notes)}


def _unfit_json(unfit: Unfit) -> dict[str, str]:
    return {"where": unfit.where, "at": unfit.path, "reason": unfit.reason}


def pin_json(pin: OperationPin) -> dict[str, Any]:
    """The pin as ``PinSerializer`` describes it."""
    told = ("waiting", "document", "key", "digest", "guess", "definition", "proposed", "now", "taken", "seen")
    now, taken = pin.now, pin.taken
    return {
        "operation": pin.operation.slug,
        "state": pin.operation.state,
        **{name: getattr(pin, name) for name in told},
        "differs": [name for name in PINNED if now.get(name) != taken.get(name)],
        "confirmed_at": pin.confirmed_at,
        "confirmed_by": pin.confirmed_by.username if pin.confirmed_by else None,
    }


class ConnectorImport(PlaneView):
    """``/connectors/{slug}/import/``."""

    @extend_schema(operation_id="import_openapi", request=ImportBody, responses={200: ImportedSerializer, **PROBLEMS})
    def post(self, request: Request, slug: str) -> Response:
        """Import an OpenAPI document, or the tools of an MCP server. What is new comes in disabled.

        What changed in use is quarantined. The same again changes nothing, so no key is needed to repeat the call.
        """
        connector = connector_for(self.actor, slug)
        body = self.body(ImportBody)
        dry_run = body.get("dry_run", False)
        if connector.adapter == MCP:
            if "document" in body:
                raise InvalidError(errors={"document": [_("The server itself says which tools it has.")]})
            listing = services.import_tools(self.actor, connector=connector, seen=body.get("seen", ""), dry_run=dry_run)
            told = imported_json(listing.contents, listing.plan, dry_run=dry_run)
            return Response({**told, "digest": listing.digest})
        if "document" not in body:
            raise InvalidError(errors={"document": [_("This field is required.")]})
        if "seen" in body:
            raise InvalidError(errors={"seen": [_("Only a server is asked again; a document is what it was.")]})
        contents, plan = services.import_openapi(
            self.actor, connector=connector, text=body["document"], dry_run=dry_run
        )
        return Response(imported_json(contents, plan, dry_run=dry_run))


class OperationReview(PlaneView):
    """``/operations/{slug}/review/``."""

    @extend_schema(operation_id="get_operation_review", responses={200: PinSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """What a person confirmed of an imported operation, and what its document says since."""
        known_params(request)
        return Response(pin_json(pin_for(self.actor, slug)))

    @extend_schema(
        operation_id="review_operation", request=ReviewBody, responses={200: OperationSerializer, **PROBLEMS}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Confirm a new operation, take a change or keep what is there: it is in use then. For people."""
        operation = pin_for(self.actor, slug).operation
        body = self.body(ReviewBody)

        def answer() -> tuple[int, Any]:
            return 200, operation_json(services.review_operation(self.actor, operation=operation, **body))

        return self.once(answer)
