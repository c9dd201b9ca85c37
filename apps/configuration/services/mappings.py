"""How what groups of a directory grant is brought about and goes."""

from apps.access.models import BusinessUnit, GroupMapping, Role
from apps.access.services.directory import remove_mapping, save_mapping
from apps.configuration.services.reading import Document
from apps.core.models import User


def apply_group_mapping(actor: User, document: Document) -> str:
    """A role that a group holds; without a unit everywhere."""
    value = document.source.value
    unit = BusinessUnit.objects.get(slug=value["unit"]) if value.get("unit") else None
    role = Role.objects.get(slug=value["role"])
    return save_mapping(actor, slug=document.slug, group=value["group"], role=role, unit=unit)[1]


def end_group_mapping(actor: User, document: Document) -> GroupMapping | None:
    """The group grants it no longer."""
    found = GroupMapping.objects.select_related("unit").filter(slug=document.slug).first()
    return remove_mapping(actor, mapping=found) if found else None
