"""What rules name of parameters to hide them, or to compare them: whether the operations have it. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence

from apps.policies.rules.documents import Finding, Rule
from apps.policies.rules.hints import nearest
from apps.policies.rules.naming import Known, Schema
from apps.policies.rules.paths import ANY, Lack, lack_of

_PATH = re.compile(r"[A-Za-z0-9_$-]{1,80}(?:\.(?:[A-Za-z0-9_$-]{1,80}|\*)){0,8}")


def check_compared(at: str, rule: Rule, known: Known) -> Iterator[Finding]:
    """What is approved in advance compares only what the operations have: what neither has would be the same."""
    wanted = rule.obligations.standing.same if rule.obligations.standing else frozenset()
    schemas = _schemas(rule, known) if rule.scope.operations else {}
    for name in sorted(wanted):
        for slug, schema in sorted(schemas.items()):
            if lack := lack_of(schema, name.split(".")):
                said = f"{slug} has no parameter {name!r}.{_hint(name, {slug: schema}, [lack])}"
                yield Finding(f"{at}.obligations.standing.same", said, rule.slug)


def check_hidden(at: str, rule: Rule, known: Known) -> Iterator[Finding]:
    """What a rule hides is a parameter that there is, and no amount: limits, budgets and figures count it.

    Each operation that the rule names has it; of a rule that names none, one that it can meet.
    """
    at = f"{at}.obligations.redact"
    before = known.kept.get(rule.slug)
    kept = before.obligations.redact if before and before.scope == rule.scope else frozenset()
    schemas = _schemas(rule, known)
    for name in sorted(rule.obligations.redact):
        if not _PATH.fullmatch(name):
            said = f"A parameter such as iban, customer.iban or lines.*.iban is wanted: {name!r}."
            yield Finding(at, said, rule.slug)
        elif rule.scope.operations:
            for slug, schema in sorted(schemas.items()):
                if said := _refused(name, slug, {slug: schema}, known):
                    yield Finding(at, said, rule.slug, is_warning=name in kept)
        elif schemas and (said := _refused(name, _where(rule), schemas, known)):
            yield Finding(at, said, rule.slug, is_warning=name in kept or known.is_written)


def _schemas(rule: Rule, known: Known) -> dict[str, Schema]:
    """Of the operations that the rule names, or of all that its connectors leave."""
    named, systems = rule.scope.operations, rule.scope.connectors
    return {
        slug: schema
        for slug, schema in (known.operations or {}).items()
        if (slug in named if named else not systems or known.homes.get(slug) in systems)
    }


def _where(rule: Rule) -> str:
    systems = ", ".join(sorted(rule.scope.connectors))
    return f"No operation of {systems}" if systems else "No operation"


def _refused(name: str, where: str, schemas: Mapping[str, Schema], known: Known) -> str:
    """Why none of some operations has something to hide at ``name``; empty where one has, or may have."""
    path = name.split(".")
    lacks = {slug: lack_of(schema, path) for slug, schema in schemas.items()}
    there = [slug for slug, lack in lacks.items() if lack is None]
    counted = [slug for slug in there if any(_overlaps(path, other) for other in known.amounts.get(slug, ()))]
    if len(counted) < len(there):
        return ""
    if counted:
        of = ", ".join(sorted(counted)[:3])
        return f"{name!r} is the amount of {of}, which limits, budgets and figures count: nobody can hide it."
    hint = "" if known.is_written else _hint(name, schemas, [lack for lack in lacks.values() if lack])
    return f"{where} has {'no' if where in schemas else 'a'} parameter {name!r}.{hint}"


def _overlaps(path: Sequence[str], other: str) -> bool:
    return all(ANY in pair or pair[0] == pair[1] for pair in zip(path, other.split("."), strict=False))


def _hint(name: str, schemas: Mapping[str, Schema], lacks: Sequence[Lack]) -> str:
    """The path that may have been meant: through the items of a list, or with another name where it leads nowhere."""
    path = tuple(name.split("."))
    for lack in sorted(lacks, key=lambda each: -len(each.before)):
        here = len(lack.before)
        through = (*path[:here], ANY, *path[here + path[here].isdigit() :])
        renamed = (*path[:here], nearest(path[here], lack.names), *path[here + 1 :])
        meant = renamed if lack.names else through
        if "" not in meant and any(lack_of(schema, meant) is None for schema in schemas.values()):
            return f" Did you mean {'.'.join(meant)}?"
    return ""
