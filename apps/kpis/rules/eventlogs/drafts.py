"""The beginning of a workflow, as it shows in a log: the way that most cases took."""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import chain, count
from typing import Any

import yaml

from apps.workflows.rules.schema import CEL_WORDS, MAX_STEPS

MAX_STEP, MAX_SLUG = 40, 60
DUE = "3d"
"""When people should have done a step of a draft, until somebody says something better."""
WIDTH = 10_000
"""YAML folds nothing below this, so that what is named stays on its line."""


def draft_of(name: str, told: Mapping[str, Any], *, unit: str, slug: str = "", queue: str = "") -> str:
    """A workflow document, with a remark on each step: until somebody says otherwise, people of ``queue`` do it.

    Without a queue an agent does, by a capability of the activity's name, which there may not be. An activity that
    occurs again on the way becomes one step, at its first place: what leads back is for a person to say. ``told`` is
    the map of ``figures_of``.
    """
    way = told["variants"][0]
    waits = {(arrow["from"], arrow["to"]): arrow for arrow in told["arrows"]}
    occurring = list(dict.fromkeys(way["activities"]))
    activities = occurring[:MAX_STEPS]
    names = _names(activities)
    who = "a form for people" if queue else "an agent"
    lines = [
        _remark(f'From the event log "{name}": the way that {way["share"]:.1%} of its cases took.'),
        _remark(f"Say of each step who does it: {who}, as here, or another of agent, operation, approval and form."),
        *([_remark(f"Of {len(occurring)} activities the first {MAX_STEPS}.")] if len(occurring) > MAX_STEPS else []),
        _pair("kind", "Workflow"),
        _pair("slug", slug or slug_for(name)),
        _pair("name", name),
        _pair("unit", unit),
        "steps:",
    ]
    for place, activity in enumerate(activities):
        before = activities[place - 1] if place else ""
        arrow = waits.get((before, activity))
        waited = f"; waited for {arrow['wait_p50_s'] / 3600:,.1f} h at the median" if arrow else ""
        lines += [
            f"  {names[activity]}:",
            "    " + _remark(f"{activity}{waited}"),
            *("    " + line for line in (_of_people(activity, queue) if queue else _of_an_agent(names[activity]))),
            *([f"    needs: [{names[before]}]"] if before else []),
        ]
    return "\n".join([*lines, ""])


def slug_for(name: str) -> str:
    """What a workflow from a log of this name is called in addresses, unless somebody says otherwise."""
    return _slug(name, "-", MAX_SLUG) or "from-a-log"


def _of_people(activity: str, queue: str) -> list[str]:
    form = {
        "schema": {"type": "object", "properties": {"note": {"type": "string", "maxLength": 2000}}},
        "context": {"activity": json.dumps(activity, ensure_ascii=False)},
    }
    return [f"form: {_flow(form)}", _pair("queue", queue), f"due: {_flow({'after': DUE})}"]


def _of_an_agent(name: str) -> list[str]:
    return [_pair("agent", name.replace("_", "."))]


def _names(activities: Sequence[str]) -> dict[str, str]:
    """Names of steps, each its own."""
    found: dict[str, str] = {}
    for place, activity in enumerate(activities, start=1):
        name = _slug(activity, "_", MAX_STEP)
        if not name or not name[0].isalpha() or name in CEL_WORDS:
            name = f"step_{place}_{name}".strip("_")
        found[activity] = _free(name, {*found.values()})
    return found


def _free(name: str, taken: set[str]) -> str:
    """The name, or the name with the first number that makes it another one."""
    return next(one for one in chain([name], (f"{name}_{n}" for n in count(2))) if one not in taken)


def _slug(text: str, between: str, longest: int) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", between, plain).strip(between)[:longest].strip(between)


def _remark(text: str) -> str:
    return "# " + " ".join(text.split())


def _flow(value: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(value, allow_unicode=True, width=WIDTH, default_flow_style=True, sort_keys=False)).strip()


def _pair(key: str, value: str) -> str:
    return str(yaml.safe_dump({key: value}, allow_unicode=True, width=WIDTH)).strip()
