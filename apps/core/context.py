"""What every page shows around its content: the menu a person may use, counts, engaged halts, their own settings."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest
from django.urls import Resolver404, resolve
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from apps.core.gate import holds
from apps.core.models import User
from apps.core.shortcuts import SHORTCUTS, keymap_of


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the menu. ``perms``: holding any one of them shows it; none means everybody."""

    key: str
    label: Any
    icon: str
    url: str
    perms: tuple[str, ...] = ()
    shortcut: str = ""


MENU: Sequence[tuple[Any, tuple[Place, ...]]] = (
    (
        _("Work"),
        (
            Place("inbox", _("Inbox"), "inbox", "/inbox/", ("oversight.view_escalation",), "g i"),
            Place("actions", _("Actions"), "zap", "/actions/", ("agents.view_agent",), "g t"),
            Place("runs", _("Runs"), "workflow", "/runs/", ("workflows.view_run",), "g r"),
            Place("agents", _("Agents"), "bot", "/agents/", ("agents.view_agent",), "g b"),
            Place("workflows", _("Workflows"), "waypoints", "/workflows/", ("workflows.view_run",), "g w"),
        ),
    ),
    (
        _("Insight"),
        (
            Place("dashboards", _("Dashboards"), "gauge", "/dashboards/", ("kpis.view_kpi",), "g d"),
            Place("audit", _("Audit trail"), "scroll-text", "/audit/", ("audit.view_entry",), "g a"),
        ),
    ),
    (
        _("Control"),
        (
            Place("control", _("Health"), "activity", "/control/", ("access.manage_access", "agents.manage_agent")),
            Place("policies", _("Policies"), "scale", "/policies/", ("policies.view_policy",), "g p"),
            Place("access", _("Roles & access"), "key-round", "/access/", ("access.manage_access",)),
            Place("connectors", _("Connectors"), "plug", "/connectors/", ("connectors.manage_connector",)),
            Place(
                "halts", _("Kill switches"), "octagon-pause", "/halts/", ("halts.engage_halt", "halts.lift_halt"), "g h"
            ),
        ),
    ),
)
FOOT = (
    Place("help", _("Help & shortcuts"), "circle-question-mark", "/help/"),
    Place("settings", _("Settings"), "settings-2", "/settings/"),
)


@cache
def _is_served(url: str) -> bool:
    try:
        resolve(url)
    except Resolver404:
        return False
    return True


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Lazy values: a fragment that shows no menu asks for none. Settings name what floors above supply."""
    actor = request.user if hasattr(request, "user") and request.user.is_authenticated else None
    return {
        "menu": cache(lambda: _menu(request, actor)),
        "menu_foot": cache(lambda: [_entry(request, place, {}) for place in FOOT if _is_served(place.url)]),
        "engaged_halts": cache(lambda: _called("NAVIGATION_HALTS", actor) or []),
        "emergencies": cache(lambda: _called("NAVIGATION_EMERGENCIES", actor) or []),
        "unseen": cache(lambda: _called("NAVIGATION_UNSEEN", actor) or 0),
        "may_lift": cache(lambda: actor is not None and _is_served("/halts/")),
        "server_now": cache(timezone.now),
        "theme": request.COOKIES.get("acp_theme") if request.COOKIES.get("acp_theme") in {"light", "dark"} else "",
        "keys_off": bool(_shortcuts(actor).get("off")),
        "own_keys": _shortcuts(actor).get("keys", {}),
        "keymap": json.dumps(keymap_of(_shortcuts(actor).get("keys", {}))),
        "shortcuts": SHORTCUTS,
        "search_is_served": cache(lambda: _is_served("/search/")),
        "request_id": getattr(request, "request_id", ""),
        "demo_people": cache(_demo_people),
    }


def _shortcuts(actor: User | None) -> dict[str, Any]:
    """A person's own keys; they come with the session's user, so no page asks for them."""
    return actor.shortcuts if actor is not None else {}


def _demo_people() -> list[dict[str, str]]:
    """The sample company's people for the sign-in page: username, name, role, try, and perhaps password."""
    path = getattr(settings, "DEMO_PEOPLE", "") if getattr(settings, "ACP_DEMO", False) else ""
    return cast("list[dict[str, str]]", import_string(path)()) if path else []


def _called(setting: str, actor: User | None) -> Any:
    """The answer of the callable that a setting names, for ``actor``; None without either."""
    path = getattr(settings, setting, "")
    return cast("Callable[[User], Any]", import_string(path))(actor) if path and actor is not None else None


def _menu(request: HttpRequest, actor: User | None) -> list[dict[str, Any]]:
    if actor is None:
        return []
    known: dict[str, Any] = getattr(request, "navigation_counts", {})
    wanted: dict[str, str] = getattr(settings, "NAVIGATION_COUNTS", {})
    counts = {key: known[key] if key in known else import_string(path)(actor) for key, path in wanted.items()}
    held = _called("NAVIGATION_PERMISSIONS", actor)
    may = held.__contains__ if held is not None else cache(lambda perm: holds(actor, perm))
    groups = [
        {"label": label, "places": [_entry(request, place, counts) for place in places if _is_open(place, may)]}
        for label, places in MENU
    ]
    return [group for group in groups if group["places"]]


def _is_open(place: Place, may: Callable[[str], bool]) -> bool:
    return _is_served(place.url) and (not place.perms or any(may(perm) for perm in place.perms))


def _entry(request: HttpRequest, place: Place, counts: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": place.key,
        "label": place.label,
        "icon": place.icon,
        "url": place.url,
        "shortcut": place.shortcut,
        "current": request.path.startswith(place.url),
        "count": counts.get(place.key),
    }
