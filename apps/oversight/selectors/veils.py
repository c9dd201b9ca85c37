"""What one person may see of an item that carries classes of data."""

from dataclasses import dataclass
from typing import Any

from apps.agents.selectors import hidden_of
from apps.classification.rules import ANYTHING, Classed, Place, Veil, classed_by, covers, marked, named, unmarked
from apps.classification.selectors import hidden_for
from apps.core.models import User
from apps.oversight.models import Escalation
from apps.oversight.rules import marked_patch


@dataclass(frozen=True, slots=True)
class Sight:
    """One item before one person. ``hide``: the classes that they may not see; empty for most, at no cost."""

    item: Escalation
    classed: Classed
    hide: frozenset[str]
    said: Classed

    @property
    def hidden(self) -> list[dict[str, Any]]:
        """``{data_class, paths}`` of what they may not see."""
        return [
            {"data_class": slug, "paths": [".".join(path) for path in self.classed[slug]]}
            for slug in sorted(self.hide & set(self.classed))
        ]

    def values(self, value: Any) -> Any:
        """What is to be decided, with marks for what is hidden, by their paths."""
        return marked(value, self.classed, self.hide) if self.hide else value

    def subject(self) -> Any:
        """What it is about, beside an action or without one."""
        return self.over(self.values(self.item.subject) if self.item.action is None else self.item.subject)

    def answer(self, value: Any) -> Any:
        """An answer, by the classes in its form."""
        return marked(value, self.said, self.hide) if self.hide else value

    def text(self, text: str) -> str:
        """What the plane wrote, with the values for the marks of what is not hidden."""
        return unmarked(text, self.classed, self.item.values(), self.hide) if self.classed else text

    def over(self, value: Any) -> Any:
        """JSON that may quote hidden values, with their marks."""
        if not self.hide:
            return value
        asked = (self.item.asked or {}).get("parameters", {})
        return Veil([(self.classed, self.item.values()), (self.classed, asked)], self.hide).over(value)

    def patch(self, patch: Any) -> Any:
        """An edit, with marks for what is hidden."""
        return marked_patch(patch, self.classed, self.hide) if self.hide else patch

    def hides(self, path: str) -> bool:
        """Whether a dotted path of what is to be decided is hidden."""
        names = path.replace("[", ".").replace("]", "").split(".")
        return bool(self.hide) and covers(self.classed, names) in self.hide


def sight_of(actor: User, item: Escalation, *, place: Place = Place.INBOX) -> Sight:
    """What ``actor`` may see of an item that they fetched. No query where it carries no class."""
    said: Classed = classed_by(item.schema, ANYTHING)[0] if item.schema and named(item.schema) else {}
    if item.action is not None:
        hide = hidden_of(actor, item.action, place=place)
        classed = item.action.classed
    else:
        classed = item.classed
        hide = hidden_for(actor, classed, unit=item.unit_id, place=place)
    if said:
        hide |= hidden_for(actor, said, unit=item.unit_id, place=place)
    return Sight(item, classed, hide, said)
