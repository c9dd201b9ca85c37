"""The API as pages: every endpoint from the same schema that machines read, every problem code with its remedy."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from drf_spectacular.generators import SchemaGenerator

from apps.core.problems import ALL

PREFIX = "/api/v1/"


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter or member."""

    name: str
    kind: str
    required: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method at one address."""

    method: str
    path: str
    anchor: str
    text: str
    parameters: list[Field] = field(default_factory=list)
    body: list[Field] = field(default_factory=list)
    answers: list[tuple[str, list[Field]]] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)


@login_not_required
@require_GET
def docs(request: HttpRequest) -> HttpResponse:
    """The whole API on one page."""
    return render(request, "console/docs.html", {"groups": _groups()})


@login_not_required
@require_GET
def problems(request: HttpRequest) -> HttpResponse:
    """Every problem code with its remedy: where the ``type`` of a problem document points."""
    return render(request, "console/problems.html", {"problems": ALL})


@cache
def _groups() -> list[tuple[str, list[Endpoint]]]:
    """Endpoints by their first word; the schema does not change while the process lives."""
    generator: Any = SchemaGenerator  # drf-spectacular is untyped
    schema = generator().get_schema(request=None, public=True)
    groups: dict[str, list[Endpoint]] = {}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            word = path.removeprefix(PREFIX).split("/")[0]
            groups.setdefault(word, []).append(_endpoint(schema, path, method, operation))
    return sorted(groups.items())


def _endpoint(schema: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> Endpoint:
    body = _content(operation.get("requestBody", {}))
    answers, refusals = [], []
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            answers.append((status, list(_fields(schema, _content(answer)))))
        else:
            refusals.append((status, str(answer.get("description", ""))))
    return Endpoint(
        method=method.upper(),
        path=path,
        anchor=str(operation["operationId"]),
        text=str(operation.get("description", "")),
        parameters=[
            Field(
                name=parameter["name"],
                kind=f"{parameter['in']}, {_kind(schema, parameter.get('schema', {}))}",
                required=bool(parameter.get("required")),
                text=parameter.get("description", ""),
            )
            for parameter in operation.get("parameters", [])
        ],
        body=list(_fields(schema, body)),
        answers=answers,
        refusals=refusals,
    )


def _content(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of a body in its first media type; empty without a body."""
    kinds: list[Mapping[str, Any]] = list(part.get("content", {}).values())
    return dict(kinds[0].get("schema", {})) if kinds else {}


def _resolved(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in part:
        name = part["$ref"].rsplit("/", 1)[1]
        return dict(schema["components"]["schemas"].get(name, {}))
    if len(part.get("allOf", [])) == 1:
        return _resolved(schema, part["allOf"][0])
    return part


def _fields(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Iterator[Field]:
    found = _resolved(schema, part)
    for name, inner in found.get("properties", {}).items():
        text = str(_resolved(schema, inner).get("description", ""))
        yield Field(name, _kind(schema, inner), name in found.get("required", []), text)


def _kind(schema: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    found = _resolved(schema, part)
    if "enum" in found:
        return " | ".join(str(value) for value in found["enum"])
    if found.get("type") == "array":
        return f"list of {_kind(schema, found.get('items', {}))}"
    if "oneOf" in found or "anyOf" in found:
        return " or ".join(_kind(schema, inner) for inner in found.get("oneOf") or found["anyOf"])
    kind = found.get("type", "any")
    kind = " | ".join(kind) if isinstance(kind, list) else str(kind)
    return f"{kind} ({found['format']})" if "format" in found else kind
