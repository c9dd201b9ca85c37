"""What leaving a unit for another one comes to. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Left:
    """What concerns an agent, a workflow or a unit now and would no more where it goes, each by name and sorted.

    ``rules``: those in force that do more than allow; ``gained``: those that it would come under and that let through
    or ask; ``unsure``: those that read the unit, or amounts in the currency of the topmost one, where that is another;
    ``waivers``: those that would come to lift a rule for it; ``roles``: those by which who moves it would come to act
    on it. ``halts``: engaged, so that nothing leaves them. A confidential rule is named after its policy alone, once
    for each.
    """

    rules: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()
    waivers: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    halts: tuple[str, ...] = ()

    @property
    def is_anything(self) -> bool:
        """Whether something could come out milder, so that it takes two people."""
        return any(asdict(self).values())

    def as_json(self) -> dict[str, list[str]]:
        """The lists that are not empty, as they are kept and told."""
        return {name: list(names) for name, names in asdict(self).items() if names}


def is_more(left: Left, told: Mapping[str, list[str]]) -> bool:
    """Whether something is left, or gained, that was not ``told`` when it was asked for.

    Roles are those of who looks: whoever agrees with another may hold others.
    """
    found = {name: names for name, names in left.as_json().items() if name != "roles"}
    return any(Counter(names) - Counter(told.get(name, ())) for name, names in found.items())
