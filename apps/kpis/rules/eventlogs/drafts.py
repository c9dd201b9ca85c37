"""The beginning of a workflow, as it shows in a log: the way that most cases took."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from apps.workflows.rules.schema import CEL_WORDS, MAX_STEPS

MAX_STEP, MAX_SLUG = 40, 60
WIDTH = 10_000
"""YAML folds nothing below this, so that what is named stays on its line."""


def draft_of(name: str, told: Mapping[str, Any], *, unit: str) -> str:
    """A workflow document, with a remark on each step: an agent does it, until somebody says otherwise.

    An activity that occurs again on the way becomes one step, at its first place: what leads back is for a person to
    say. ``told`` is the map of ``figures_of``.
    """
    way = told["variants"][0]
    waits = {(arrow["from"], arrow["to"]): arrow for arrow in told["arrows"]}
    activities = list(dict.fromkeys(way["activities"]))[:MAX_STEPS]
    names = _names(activities)
    lines = [
        _remark(f'From the event log "{name}": the way that {way["share"]:.1%} of its cases took.'),
        _remark("Say of each step who does it: an agent, as here, an operation, an approval or a form."),
        _pair("kind", "Workflow"),
        _pair("slug", _slug(name, "-", MAX_SLUG) or "from-a-log"),
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
            "    " + _pair("agent", names[activity].replace("_", ".")),
            *([f"    needs: [{names[before]}]"] if before else []),
        ]
    return "\n".join([*lines, ""])


def _names(activities: Sequence[str]) -> dict[str, str]:
    """Names of steps, each its own."""
    found: dict[str, str] = {}
    for place, activity in enumerate(activities, start=1):
        name = _slug(activity, "_", MAX_STEP)
        if not name or not name[0].isalpha() or name in {*found.values(), *CEL_WORDS}:
            name = f"step_{place}" + (f"_{name}"[:MAX_STEP] if name else "")
        found[activity] = name
    return found


def _slug(text: str, between: str, longest: int) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", between, plain).strip(between)[:longest].strip(between)


def _remark(text: str) -> str:
    return "# " + " ".join(text.split())


def _pair(key: str, value: str) -> str:
    return str(yaml.safe_dump({key: value}, allow_unicode=True, width=WIDTH)).strip()
