"""Questions to databases: what a fixed statement may be, and what is put in the place of its parameters."""

import re
from collections.abc import Mapping
from typing import Any

from apps.agents.rules import EffectClass
from apps.connectors.rules.parameters import SELECT
from apps.connectors.rules.states import ExecutedBy, Idempotency
from apps.core.rules import ValueProblem

SQL = "sql"
QUERY_MAX, ROWS_MAX, VALUES_MAX = 10_000, 500, 1_000
BEGINS = re.compile(r"\s*(?:select|with|values)\b", re.IGNORECASE)
NAMED = re.compile(r"%\(([A-Za-z_][A-Za-z0-9_]*)\)s")
DATABASE = re.compile(r"/[A-Za-z0-9_-]{1,63}")
NOT_A_DATABASE = "Only a connector with the adapter sql asks a database."
QUESTIONS_ARE: tuple[tuple[str, Any, str], ...] = (
    ("path", "/", "A statement has no address: “/”."),
    ("effect", EffectClass.READ, "The plane only reads databases: read."),
    ("idempotency", Idempotency.NONE, "Reading again does nothing: none."),
    ("execution", ExecutedBy.PLANE, "The plane asks databases: plane."),
    ("dry_run", None, "A statement that only reads needs no dry run."),
    ("compensation", None, "A statement that only reads does nothing that could be taken back."),
)
"""What an operation that asks a database has to say, and why."""

OUTER = """SELECT CASE WHEN octet_length(line) <= %(acp$bytes)s THEN line END
FROM (SELECT row_to_json(asked)::text AS line FROM ("""
CLOSING = f") AS asked LIMIT {ROWS_MAX + 1}) AS lines"


def system_query_errors(*, adapter: str, path: str, auth: str) -> dict[str, list[str]]:
    """What does not fit in a database's address, of which ``path`` is a part, and in how it is signed in to."""
    if adapter != SQL:
        return {}
    found: dict[str, list[str]] = {}
    if not DATABASE.fullmatch(path):
        found["base_url"] = ["The path is the name of the database, such as postgresql://db.example/sales."]
    if auth != "basic":
        found["auth.type"] = ["A database takes basic: a user name and a password."]
    return found


def asking_errors(values: Mapping[str, Any], *, adapter: str) -> dict[str, list[str]]:
    """What of an operation does not fit with its system being a database, or not being one."""
    if adapter != SQL:
        return {"query": [NOT_A_DATABASE]} if values["query"] else {}
    found = {name: [why] for name, wanted, why in QUESTIONS_ARE if values[name] != wanted}
    if values["method"] != SELECT:
        found["method"] = [f"{SELECT}."]
    if problem := query_problem(values["query"], values["parameters"]):
        found["query"] = [problem]
    return found


def query_problem(query: str, schema: Mapping[str, Any]) -> str:
    """Why this is no statement that may be asked; empty where it is one.

    What it could do beyond reading, the database refuses: it is one subquery of a transaction that only reads.
    """
    if not 1 <= len(query.strip()) <= QUERY_MAX:
        return f"A statement from 1 to {QUERY_MAX} characters."
    if any(not char.isprintable() and char not in "\n\t" for char in query.replace("\r\n", "\n")):
        return "No control characters."
    if not BEGINS.match(query):
        return "It begins with SELECT, WITH or VALUES."
    if ";" in query:
        return "One statement, without a semicolon anywhere."
    if "%" in NAMED.sub("", query).replace("%%", ""):
        return "Parameters are written %(name)s; any other percent sign is doubled."
    return _names_problem(set(NAMED.findall(query)), schema)


def _names_problem(used: set[str], schema: Mapping[str, Any]) -> str:
    properties = schema.get("properties", {})
    if unknown := sorted(used - properties.keys()):
        return f"The operation has no such parameter: {', '.join(unknown)}."
    if unused := sorted(properties.keys() - used):
        return f"The statement does not use: {', '.join(unused)}."
    if schema.get("additionalProperties") is not False:
        return "The parameters must have additionalProperties false: the statement uses no others."
    return ""


def values_of(query: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What is bound, by name; what was not given is NULL. Raises ValueProblem for what no column holds."""
    found: dict[str, Any] = {}
    for name in NAMED.findall(query):
        value = parameters.get(name)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict | list):
                raise ValueProblem("It is compared with a column: give a text, a number or a list of them.", name)
            if isinstance(one, str) and "\x00" in one:
                raise ValueProblem("No database holds U+0000.", name)
        if isinstance(value, list) and len(value) > VALUES_MAX:
            raise ValueProblem(f"At most {VALUES_MAX} values.", name)
        found[name] = value
    return found


def bounded(query: str) -> str:
    """The statement as one subquery whose rows come as JSON, one more than may be; a row that is too large is NULL."""
    return "\n".join([OUTER, query, CLOSING])
