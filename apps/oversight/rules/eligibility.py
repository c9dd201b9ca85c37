"""Who may decide."""

from collections.abc import Mapping
from dataclasses import dataclass, field

EXCLUDE_WORDS = ("requester", "agent_owner", "run_starter", "policy_author")


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of someone who wants to decide: read at the vote, and again at the count."""

    username: str
    is_human: bool
    is_active: bool
    has_permission: bool
    serves: frozenset[str]


@dataclass(frozen=True, slots=True)
class Separation:
    """Who may not decide an item: ``exclude`` as the rule or step says it, and who the four words mean here."""

    exclude: frozenset[str] = frozenset()
    people: Mapping[str, frozenset[str]] = field(default_factory=dict)
    editors: frozenset[str] = frozenset()

    @property
    def barred(self) -> frozenset[str]:
        """Everybody whom ``bars`` gives a reason for."""
        words = (self.people.get(word, frozenset()) for word in EXCLUDE_WORDS if word in self.exclude)
        return self.editors.union(self.exclude - set(EXCLUDE_WORDS), *words)

    def bars(self, username: str) -> str | None:
        """The reason why ``username`` is excluded: a word, ``excluded`` for a name, ``editor``; None if not."""
        if username in self.editors:
            return "editor"
        for word in EXCLUDE_WORDS:
            if word in self.exclude and username in self.people.get(word, frozenset()):
                return word
        named = self.exclude - set(EXCLUDE_WORDS)
        return "excluded" if username in named else None


def why_not_eligible(person: Person, separation: Separation) -> str | None:
    """Why this person may not decide the item, as a stable word; None if they may."""
    if not person.is_human:
        return "not_human"
    if not person.is_active:
        return "inactive"
    if not person.has_permission:
        return "no_permission"
    if not person.serves:
        return "not_in_queue"
    return separation.bars(person.username)
