"""How objects are written down as YAML: what a reader of our documents takes for exactly what it was."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from io import StringIO
from typing import Any

import yaml
from django.db.models import Model, QuerySet

type Only = Collection[str] | None
"""The names of the objects that are wanted; None: all."""

type Written = tuple[str, str]
"""The name of an object and its document."""

type Writer = Callable[[Only], Iterator[Written]]


class _Dumper(yaml.SafeDumper):
    """Quotes whatever a reader of our YAML would take for a number, not only what others would; knows no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        """What occurs twice is written twice."""
        return True


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$"),
    list("-0123456789"),
)


def named[Row: Model](rows: QuerySet[Row], only: Only, key: str = "slug") -> QuerySet[Row]:
    """The rows that are wanted."""
    return rows if only is None else rows.filter(**{f"{key}__in": list(only)})


def document(said: Mapping[str, Any], comment: str = "") -> str:
    """A document, or some of its keys; what is empty is left out."""
    written = {name: value for name, value in said.items() if value not in (None, "", [], {})}
    return f"{comment}{dumped(written)}" if written else comment


def dumped(value: dict[str, Any]) -> str:
    """A key per line; what is inside stays on its line where it is flat."""
    node = _Dumper(StringIO(), sort_keys=False, default_flow_style=None).represent_data(value)
    assert isinstance(node, yaml.MappingNode), "a mapping was given"
    node.flow_style = False
    return str(yaml.serialize(node, Dumper=_Dumper, allow_unicode=True, width=110))


def listed(name: str, items: list[Any]) -> str:
    """A list that is written even when it is empty."""
    return dumped({name: items})


def number(name: str, value: Any) -> str:
    """Every digit of a decimal, zero too."""
    return f"{name}: {value.normalize():f}\n"


def time(moment: datetime | None) -> str | None:
    """A moment in UTC."""
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def slug(row: Any) -> str | None:
    """The name of what is referred to, if anything is."""
    return row.slug if row else None
