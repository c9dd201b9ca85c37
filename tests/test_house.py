"""The house keeps its own rules."""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.module_loading import import_string

from apps.access.rules import PERMISSIONS
from apps.configuration.rules import KINDS
from apps.core.models import Stateful
from controlplane.reactions import with_traces
from tests.configuration.kinds import CONFIGURATION, NOT_CONFIGURATION
from tests.conftest import LONGEST

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {
    "__init__", "admin", "api", "forms", "management", "migrations", "models", "rules", "selectors", "services",
    "tasks", "urls", "views",
}  # fmt: skip
EXTRA = {
    "access": {"accounts", "authentication", "enrolment", "oidc", "passwords", "posting", "saml", "sessions"},
    "agents": {"authentication"},
    "connectors": {"adapters"},
    "core": {
        "agent_text", "amounts", "authentication", "choices", "clockwork", "context", "days", "differences", "envelope",
        "errors", "expressions", "finders", "formats", "gate", "http", "keys", "keysets", "middleware", "pages",
        "prepared", "noting", "presence", "problems", "queue", "reasons", "revealing", "samples", "schema", "shortcuts",
        "statistics", "templatetags", "tracing", "turns", "unanswered", "updating", "validating", "values", "walking",
    },
    "demo": {"agents", "company", "context", "systems"},
    "kpis": {"charts", "templatetags"},
    "notifications": {"adapters", "headlines"},
    "workflows": {"engine"},
}  # fmt: skip
"""Rooms that one app truly needs."""
FILES = sorted(path for path in ROOT.glob("apps/**/*.py") if "migrations" not in path.parts)
WRITES = {
    "save", "create", "bulk_create", "get_or_create", "update_or_create", "bulk_update", "delete", "force_insert",
}  # fmt: skip
OPEN_TO_ANYONE = re.compile(
    r"^(healthz|readyz|oauth/.*|\.well-known/.*|accounts/.*|api/v1/schema/|api/docs/|help/problems/|favicon\.ico|csp-report/?|styleguide/)$"
)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "apps").parts[1].removesuffix(".py")


def app_of(path: Path) -> str:
    return path.relative_to(ROOT / "apps").parts[0]


APP_FILES = [path for path in FILES if len(path.relative_to(ROOT / "apps").parts) > 1]


def functions_in(room):
    for path in APP_FILES:
        if room_of(path) != room:
            continue
        module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                yield function


def test_every_file_is_a_known_room_and_fits_on_one_reading():
    assert len(APP_FILES) > 1_000
    assert [path for path in APP_FILES if room_of(path) not in ROOMS | EXTRA.get(app_of(path), set())] == []
    assert [path for path in APP_FILES if len(path.read_text().splitlines()) > 400] == []


@pytest.mark.parametrize("app", sorted({app_of(path) for path in APP_FILES}))
def test_every_app_says_what_it_is_for(app):
    assert import_module(f"apps.{app}").__doc__


WITHOUT_ACTOR = {"take_fence", "require_running", "live_grants"}
"""Questions that the house asks itself, about nobody in particular."""


def test_every_selector_of_rows_asks_who_is_looking():
    asking = [one for one in functions_in("selectors") if one.__name__.endswith("_for")]
    assert len(asking) > 100
    first = {one: next(iter(inspect.signature(one).parameters), "") for one in asking}
    wrong = [one for one in asking if first[one] != "actor" and one.__name__ not in WITHOUT_ACTOR]
    assert [f"{one.__module__}.{one.__name__}" for one in wrong] == []


DOORS = [path for path in APP_FILES if room_of(path) in {"views", "api", "selectors", "forms", "tasks"}]


def calls_of(path: Path) -> set[str]:
    return {
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }


def test_only_services_write():
    assert len(DOORS) > 400
    assert {path: calls for path in DOORS if (calls := calls_of(path) & WRITES)} == {}


def test_every_reaction_names_a_real_handler_and_a_state_that_something_reaches():
    reachable = {
        f"{model._meta.model_name}.{state}"
        for model in apps.get_models()
        if issubclass(model, Stateful)
        for moves in model.MOVES.values()
        for state in (*moves, "changed")  # every service saves through write_if_changed
    }
    source = "".join(path.read_text() for path in APP_FILES if room_of(path) in {"services", "rules"})
    for name, handlers in with_traces(settings.REACTIONS).items():
        assert name in reachable or f'"{name}"' in source, name
        for handler in handlers:
            assert import_string(handler).is_reaction, handler


def test_every_job_lane_and_projection_names_a_real_function():
    for path in [*settings.LANES.values(), *(job[1] for job in settings.JOBS.values()), *settings.PROJECTIONS.values()]:
        assert callable(import_string(path)), path


def test_every_state_has_its_moves():
    for model in apps.get_models():
        if issubclass(model, Stateful):
            states = {value for value, _ in model._meta.get_field("state").choices}
            assert set(model.MOVES) == states, model
            assert all(set(moves) <= states for moves in model.MOVES.values()), model


def every_address(resolver=None, prefix=""):
    for pattern in (resolver or get_resolver()).url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from every_address(pattern, route)
        elif isinstance(pattern, URLPattern):
            yield route


SAMPLES = {"uuid": "01890000-0000-7000-8000-000000000000", "slug": "some", "int": "1", "str": "some", "path": "some"}


def example_of(route: str) -> str:
    route = re.sub(r"<(\w+):\w+>", lambda match: SAMPLES[match[1]], route)
    return re.sub(r"<\w+>", "some", route).replace("^", "").replace("$", "").replace("\\Z", "")


def turns_away(route: str, answer: Any) -> bool:
    if route.startswith("metrics"):
        return answer.status_code in {404, 405}  # off until a token is set
    if route.startswith("scim/"):
        return answer.status_code == 401 and answer.json()["status"] == "401"
    if route.startswith(("api/", "v1/", "otlp/")):
        told = answer.status_code == 401 and answer.json()["code"]
        return answer.status_code == 405 or (
            told == "not_authenticated" and answer["WWW-Authenticate"].startswith("Bearer ")
        )
    return answer.status_code == 405 or (answer.status_code == 302 and "/login/" in answer["Location"])


@pytest.mark.django_db
def test_every_address_turns_an_anonymous_visitor_away():
    routes = sorted({route for route in every_address() if "(?P" not in route and not OPEN_TO_ANYONE.match(route)})
    assert len(routes) > 600
    found = {}
    for route in routes:
        client = Client()  # a stranger each time, without a cookie of the last
        for method in ("get", "post"):
            answer = getattr(client, method)(f"/{example_of(route)}")
            if not turns_away(route, answer):
                found[method, route] = answer.status_code
    assert found == {}


def test_every_permission_that_code_names_is_in_the_contract():
    named = set()
    for path in FILES:
        named |= set(
            re.findall(
                r"\"((?:oversight|agents|connectors|workflows|policies|halts|audit|kpis|access)\.(?:view|decide|manage|use|start|operate|work|publish|engage|lift)_[a-z]+)\"",
                path.read_text(),
            )
        )
    assert named <= set(PERMISSIONS)


def test_every_model_is_configuration_or_it_is_said_why_not():
    models = {model._meta.label for model in apps.get_models() if model.__module__.startswith("apps.")}
    said = [*CONFIGURATION, *NOT_CONFIGURATION]
    assert len(said) == len(set(said))
    assert models == set(said), "new models: name the kind of their documents, or why they have none"
    assert set(CONFIGURATION.values()) == set(KINDS)
    assert all(reason.strip() for reason in NOT_CONFIGURATION.values())


def test_the_files_that_begin_first_are_there():
    assert [name for name in LONGEST if not (ROOT / "tests" / name).is_file()] == []
