"""What an edit comes to: shown before it is approved, and approved only as it was shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.classification.rules import unmarked
from apps.connectors.rules import money_text
from apps.core.differences import masked
from apps.core.http import Request
from apps.core.values import JsonAmount
from apps.oversight.forms import ValueForm
from apps.oversight.models import Escalation
from apps.oversight.selectors.sheets import sheet_for
from apps.oversight.selectors.veils import sight_of
from apps.oversight.services import weigh_edit


@dataclass(frozen=True, slots=True)
class Preview:
    """An edit as it would be approved; ``digest`` binds the approval to what was shown.

    ``before`` and ``after`` are the parameters with amounts as people read them, None where nothing differs.
    ``is_stricter``: the rules ask more of it, so others decide it.
    """

    digest: str
    consequence: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    is_stricter: bool = False


def preview_of(request: Request, item: Escalation, values: ValueForm) -> Preview:
    """What the edited ``values`` would do. Writes nothing; raises InvalidError as the edit itself would."""
    edit = weigh_edit(request.user, item, values.value)
    sight = sight_of(request.user, item)
    if edit is None:
        return Preview(item.digest, sight.text(item.consequence))
    before = masked(sheet_for(request.user, item).parameters)
    assert isinstance(before, dict)
    said = unmarked(edit.consequence, edit.classed, edit.parameters, sight.hide) if edit.classed else edit.consequence
    was, now = _priced(values, before, now=False), _priced(values, values.value, now=True)
    return Preview(edit.digest, said, was, now, edit.is_stricter)


def _priced(values: ValueForm, parameters: Mapping[str, Any], *, now: bool) -> dict[str, Any]:
    """Parameters with their amounts as people read them."""
    found = dict(parameters)
    for name, field in values.fields.items():
        if isinstance(field, JsonAmount) and isinstance(found.get(name), int):
            found[name] = money_text(found[name], field.typed_in if now else field.currency)
    return found
