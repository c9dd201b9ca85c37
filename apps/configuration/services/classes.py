"""How classes of data are brought about and go."""

from django.utils.translation import gettext as _

from apps.classification.models import DataClass
from apps.classification.rules import Place
from apps.classification.services import remove_data_class, save_data_class
from apps.configuration.services.reading import Document
from apps.connectors.models import Connector, Operation
from apps.connectors.rules import ConnectorState
from apps.core.errors import ConflictError
from apps.core.models import User


def apply_data_class(actor: User, document: Document) -> str:
    """A class of data; without ``redact_in`` it is hidden everywhere, without ``visible_to`` from everybody."""
    value = document.source.value
    return save_data_class(
        actor,
        slug=document.slug,
        name=str(value.get("name") or document.slug.replace("-", " ").replace("_", " ").capitalize()),
        sensitivity=value["sensitivity"],
        purpose=value.get("purpose", ""),
        retention_days=value.get("retention_days"),
        visible_to=value.get("visible_to", ()),
        redact_in=value.get("redact_in", tuple(Place)),
    )[1]


def end_data_class(actor: User, document: Document) -> DataClass | None:
    """Remove a class that no operation's parameters carry and no system is cleared for. Raises ConflictError."""
    found = DataClass.objects.filter(slug=document.slug).first()
    if found is None:
        return None
    live = Operation.objects.filter(classed__has_key=found.slug).exclude(state=ConnectorState.RETIRED)
    using = [*live.values_list("slug", flat=True), *_cleared(found.slug)]
    if using:
        raise ConflictError(_("These still name it: %s.") % ", ".join(using))
    return remove_data_class(actor, data_class=found)


def _cleared(slug: str) -> list[str]:
    rows = Connector.objects.filter(cleared__contains=[slug]).exclude(state=ConnectorState.RETIRED)
    return list(rows.values_list("slug", flat=True))
