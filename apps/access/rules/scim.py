"""SCIM 2.0 as far as the plane speaks it (RFC 7643, 7644): filters, patches and resources, and vendors' odd spellings.

Pure: what a request says becomes frozen values; what cannot be read is a ScimError with the RFC's own word for it.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from apps.core.rules import ValueProblem, check_values

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
LISTED = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"

MAX_FILTER, MAX_COUNT, MAX_OPERATIONS, MAX_MEMBERS = 500, 200, 1_000, 10_000
NAME_MAX, USERNAME_MAX, EMAIL_MAX, EXTERNAL_MAX, GROUP_MAX = 120, 150, 254, 200, 200
USERNAME = re.compile(r"[\w.@+-]+")
FILTERED = {
    "User": {"username": "userName", "externalid": "externalId", "id": "id", "emails.value": "email"},
    "Group": {"displayname": "displayName", "externalid": "externalId", "id": "id", "members.value": "member"},
}
FILTERED["User"]['emails[type eq "work"].value'] = "email"
FILTERED["Group"]["members"] = "member"
CLAUSE = re.compile(
    r'\s*([\w.:]+(?:\[type eq "work"\]\.value)?)\s+eq\s+("(?:[^"\\]|\\.)*")\s*(?:and\b|$)', re.IGNORECASE
)
ONE_MEMBER = re.compile(r'members\[\s*value\s+eq\s+"([^"]*)"\s*\]', re.IGNORECASE)
UNKEPT = re.compile(
    r"(title|nickname|profileurl|usertype|preferredlanguage|locale|timezone|phonenumbers|ims|photos|addresses|groups"
    r"|entitlements|roles|x509certificates|password|schemas|id|meta|name\.(middlename|honorific\w+)"
    r"|emails\[[^\]]*\](\.\w+)?)([.\[].*)?$"
)
"""Of the core schema, taken and not kept, as extensions are; ``roles`` and ``entitlements`` grant nothing."""


class ScimError(ValueError):
    """A request that does not fit; ``kind`` is the RFC's scimType."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Person:
    """What a directory says of a person; None: nothing was said of it."""

    username: str | None = None
    external_id: str | None = None
    name: str | None = None
    email: str | None = None
    active: bool | None = None


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What a directory says of a group. ``members``: all of them, before ``added`` and ``removed``; None: as it was."""

    name: str | None = None
    external_id: str | None = None
    members: frozenset[UUID] | None = None
    added: frozenset[UUID] = field(default_factory=frozenset)
    removed: frozenset[UUID] = field(default_factory=frozenset)


def read_filter(text: str, kind: str) -> dict[str, str]:
    """``{attribute: value}`` of a filter of ``eq`` clauses joined by ``and``. Raises ScimError ``invalidFilter``."""
    found: dict[str, str] = {}
    if len(text) > MAX_FILTER:
        raise ScimError("invalidFilter", "The filter is too long.")
    rest = text
    while rest.strip():
        clause = CLAUSE.match(rest)
        name = _short(clause[1], kind).lower() if clause else ""
        if clause is None or name not in FILTERED[kind]:
            raise ScimError("invalidFilter", f"Only eq on {', '.join(FILTERED[kind].values())}, joined by and.")
        try:
            found[FILTERED[kind][name]] = str(json.loads(clause[2]))
            check_values(found)
        except (ValueError, ValueProblem) as error:
            raise ScimError("invalidFilter", "A text of the filter cannot be read.") from error
        is_last = not clause[0].rstrip().lower().endswith("and")
        rest = rest[clause.end() :]
        if not is_last and not rest.strip():
            raise ScimError("invalidFilter", "The filter ends in the middle.")
    return found


def _short(name: str, kind: str) -> str:
    """An attribute without the schema's name before it."""
    head = f"{USER if kind == 'User' else GROUP}:"
    return name[len(head) :] if name.lower().startswith(head.lower()) else name


def read_person(body: Mapping[str, Any]) -> Person:
    """A whole user as POST and PUT send it. Raises ScimError."""
    given = {str(name).lower(): value for name, value in body.items()}
    if not given.get("username"):
        raise ScimError("invalidValue", "userName is missing.")
    parts: dict[str, Any] = {}
    for name, value in given.items():
        _set_person(parts, name, value)
    names = _name_of(parts)
    return _person({"externalid": "", "email": "", **parts}, names or str(given["username"]))


def read_person_patch(body: Mapping[str, Any]) -> Person:
    """What a PATCH changes of a user. Half a name changes nothing: no half is kept. Raises ScimError."""
    parts: dict[str, Any] = {}
    for verb, path, value in _operations(body):
        if verb == "remove":
            _remove_person(parts, path)
        elif path:
            _set_person(parts, _short(path, "User").lower(), value)
        elif isinstance(value, Mapping):
            for name, inner in value.items():
                _set_person(parts, _short(str(name), "User").lower(), inner)
        else:
            raise ScimError("invalidValue", "Without a path the value is an object.")
    if not {"givenname", "familyname"} <= parts.keys():
        parts = {name: value for name, value in parts.items() if name not in {"givenname", "familyname"}}
    return _person(parts, _name_of(parts))


def _set_person(parts: dict[str, Any], name: str, value: Any) -> None:
    if name == "name" and isinstance(value, Mapping):
        for part, inner in value.items():
            _set_person(parts, f"name.{part}".lower(), inner)
    elif name == "emails" and isinstance(value, list):
        parts["email"] = _email_of(value)
    elif name in {"emails.value", 'emails[type eq "work"].value', "emails[primary eq true].value"}:
        parts["email"] = value
    elif name in {"username", "externalid", "displayname", "active"}:
        parts[name] = value
    elif name in {"name.formatted", "name.givenname", "name.familyname"}:
        parts[name.removeprefix("name.")] = value
    elif not (UNKEPT.match(name) or name.startswith("urn:")):
        raise ScimError("invalidPath", f"There is no attribute {name[:80]}.")


def _remove_person(parts: dict[str, Any], path: str) -> None:
    name = _short(path, "User").lower()
    if name in {"username", "active", "id"}:
        raise ScimError("mutability", f"{path[:80]} cannot be removed.")
    if name == "emails":
        parts["email"] = ""
    elif name != "name":
        _set_person(parts, name, "")


def _email_of(emails: Sequence[Any]) -> Any:
    """The primary address, else the one at work, else the first."""
    rows = [one for one in emails if isinstance(one, Mapping) and one.get("value")]
    ranked = sorted(rows, key=lambda one: (str(one.get("primary")).lower() != "true", one.get("type") != "work"))
    return ranked[0]["value"] if ranked else ""


def _name_of(parts: Mapping[str, Any]) -> str:
    """What a person is called: displayName, else the whole name, else its two halves."""
    whole = " ".join(str(parts[half]).strip() for half in ("givenname", "familyname") if parts.get(half))
    return str(parts.get("displayname") or parts.get("formatted") or whole or "").strip()


def _person(parts: Mapping[str, Any], name: str) -> Person:
    texts = {key: _text(parts[key], key, most) for key, most in PERSON_TEXTS.items() if key in parts}
    username = texts.get("username")
    if username is not None and not USERNAME.fullmatch(username):
        raise ScimError("invalidValue", "userName has letters, digits and @ . + - _ alone.")
    email = texts.get("email")
    if email and not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise ScimError("invalidValue", "The address of mail is none.")
    return Person(
        username=username,
        external_id=texts.get("externalid"),
        name=_text(name, "displayName", NAME_MAX) or None,
        email=email,
        active=_truth(parts["active"]) if "active" in parts else None,
    )


PERSON_TEXTS = {"username": USERNAME_MAX, "externalid": EXTERNAL_MAX, "email": EMAIL_MAX}


def _text(value: Any, name: str, most: int) -> str:
    value = "" if value is None else value
    if not isinstance(value, str) or len(value) > most:
        raise ScimError("invalidValue", f"{name} is a text of at most {most} characters.")
    return value.strip()


def _truth(value: Any) -> bool:
    """A boolean, also as Entra ID spells it: ``"False"``."""
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if isinstance(value, bool):
        return value
    raise ScimError("invalidValue", "active is true or false.")


def read_group(body: Mapping[str, Any]) -> GroupChange:
    """A whole group as POST and PUT send it: who is not named is not in it. Raises ScimError."""
    given = {str(name).lower(): value for name, value in body.items()}
    name = _text(given.get("displayname"), "displayName", GROUP_MAX)
    if not name:
        raise ScimError("invalidValue", "displayName is missing.")
    external = _text(given.get("externalid"), "externalId", EXTERNAL_MAX)
    return GroupChange(name=name, external_id=external, members=members_of(given.get("members")))


def read_group_patch(body: Mapping[str, Any]) -> GroupChange:
    """What a PATCH changes of a group; later operations stand before earlier ones. Raises ScimError."""
    parts: dict[str, Any] = {"added": frozenset(), "removed": frozenset(), "members": None}
    for verb, path, value in _operations(body):
        if not path and isinstance(value, Mapping):
            for name, inner in value.items():
                _change_group(parts, verb, _short(str(name), "Group"), inner)
        else:
            _change_group(parts, verb, _short(path, "Group"), value)
    return GroupChange(
        name=parts.get("displayname"),
        external_id=parts.get("externalid"),
        members=parts["members"],
        added=parts["added"],
        removed=parts["removed"],
    )


def _change_group(parts: dict[str, Any], verb: str, path: str, value: Any) -> None:
    name, one = path.lower(), ONE_MEMBER.fullmatch(path)
    if name == "members" or one:
        people = members_of([{"value": one[1]}]) if one else members_of(value)
        _change_members(parts, verb, people, everybody=not one and value is None)
    elif name == "displayname":
        parts[name] = _text(value, "displayName", GROUP_MAX) if verb != "remove" else ""
        if not parts[name]:
            raise ScimError("invalidValue", "A group has a displayName.")
    elif name == "externalid":
        parts[name] = _text(value, "externalId", EXTERNAL_MAX) if verb != "remove" else ""
    elif name not in {"id", "schemas", "meta"}:
        raise ScimError("invalidPath", f"There is no attribute {path[:80]} of a group.")


def _change_members(parts: dict[str, Any], verb: str, people: frozenset[UUID], *, everybody: bool) -> None:
    if verb == "replace" or (verb == "remove" and everybody):
        parts |= {"members": people, "added": frozenset(), "removed": frozenset()}
    elif verb == "add":
        parts |= {"added": parts["added"] | people, "removed": parts["removed"] - people}
    else:
        parts |= {"removed": parts["removed"] | people, "added": parts["added"] - people}


def members_of(value: Any) -> frozenset[UUID]:
    """The people in a list of members. Groups in groups are none: say every person. Raises ScimError."""
    rows = [] if value is None else value
    if not isinstance(rows, list) or len(rows) > MAX_MEMBERS:
        raise ScimError("invalidValue", f"members is a list of at most {MAX_MEMBERS}.")
    try:
        return frozenset(UUID(str(row["value"])) for row in rows)
    except (KeyError, TypeError, ValueError) as error:
        raise ScimError("invalidValue", "A member is {value: id} of a user here.") from error


def _operations(body: Mapping[str, Any]) -> Iterable[tuple[str, str, Any]]:
    """``(verb, path, value)`` of each operation; verbs come in any case."""
    rows = next((value for name, value in body.items() if name.lower() == "operations"), None)
    said = body.get("schemas") or [PATCH]
    if not isinstance(said, list) or PATCH not in said:
        raise ScimError("invalidSyntax", f"The schema of a patch is {PATCH}.")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_OPERATIONS:
        raise ScimError("invalidSyntax", f"Operations is a list of 1 to {MAX_OPERATIONS}.")
    for row in rows:
        verb = str(row.get("op", "")).lower() if isinstance(row, Mapping) else ""
        path = row.get("path") or "" if verb else ""
        if verb not in {"add", "replace", "remove"} or not isinstance(path, str) or len(path) > MAX_FILTER:
            raise ScimError("invalidSyntax", "An operation has op: add, replace or remove, and a path.")
        if verb == "remove" and not path:
            raise ScimError("noTarget", "What is removed has a path.")
        yield verb, path, row.get("value")


def page_of(start: str | None, count: str | None) -> tuple[int, int]:
    """``(startIndex from 1, count)`` as RFC 7644, 3.4.2.4 reads them. Raises ScimError."""
    try:
        first, most = int(start or 1), int(MAX_COUNT if count is None else count)
    except ValueError as error:
        raise ScimError("invalidValue", "startIndex and count are numbers.") from error
    return min(max(first, 1), 10**9), min(max(most, 0), MAX_COUNT)


def _attribute(name: str, kind: str = "string", *, many: bool = False, parts: Sequence[Any] = (), **more: Any) -> Any:
    """One attribute of a schema, as RFC 7643, 7 describes it."""
    said = {
        "name": name, "type": kind, "multiValued": many, "description": name, "required": False, "caseExact": False,
        "mutability": "readWrite", "returned": "default", "uniqueness": "none", **more,
    }  # fmt: skip
    return {**said, "subAttributes": list(parts)} if parts else said


SCHEMAS: tuple[dict[str, Any], ...] = (
    {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": USER,
        "name": "User",
        "description": "A person whom the directory brought.",
        "attributes": [
            _attribute("userName", required=True, uniqueness="server", mutability="immutable"),
            _attribute(
                "name",
                "complex",
                parts=[_attribute("formatted"), _attribute("givenName"), _attribute("familyName")],
            ),
            _attribute("displayName"),
            _attribute("active", "boolean"),
            _attribute(
                "emails",
                "complex",
                many=True,
                parts=[_attribute("value"), _attribute("type"), _attribute("primary", "boolean")],
            ),
        ],
    },
    {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": GROUP,
        "name": "Group",
        "description": "A group of the directory; what it grants is decided here.",
        "attributes": [
            _attribute("displayName", required=True, uniqueness="server"),
            _attribute("members", "complex", many=True, parts=[_attribute("value"), _attribute("display")]),
        ],
    },
)
RESOURCE_TYPES: tuple[dict[str, Any], ...] = tuple(
    {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": name,
        "name": name,
        "endpoint": f"/{name}s",
        "schema": schema,
    }
    for name, schema in (("User", USER), ("Group", GROUP))
)
