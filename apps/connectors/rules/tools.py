"""Tools of an MCP server as operations: what is taken of a list of them, and what such an operation may be.

All of it is another's word: names, descriptions and hints are read for a person, who confirms them; none is trusted.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from apps.agents.rules import EffectClass
from apps.connectors.rules.openapi import Contents, Described, Unfit
from apps.connectors.rules.openapi.guesses import DOING, FINAL, THINGS, Guess, amount_for, consequence_for, money_in
from apps.connectors.rules.openapi.operations import NAME_MAX, slug_for, words_of
from apps.connectors.rules.openapi.schemas import LISTS, SINGLE, TABLES, Reading
from apps.connectors.rules.parameters import CALL, schema_problem
from apps.connectors.rules.secrets import MISPLACED, SECRET, looks_secret
from apps.connectors.rules.states import ExecutedBy, Idempotency
from apps.connectors.rules.wording import visible_text
from apps.core.rules import ValueProblem, canonical_json, check_values

MCP = "mcp"
DOCUMENT = "MCP tools"
"""What an imported tool comes from, whatever the server calls itself: under another name it is the same list."""
TOOL = re.compile(r"/[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
DESCRIPTION_MAX = 10_000
HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufe00-\ufe0e\ue000-\uf8ff\U000e0100-\U000e01ef\U000f0000-\U0010ffff]"
)
"""Letters and marks that draw nothing: a person would confirm what an agent reads between them."""
NOT_A_TOOL = "Only a connector with the adapter mcp calls tools."
TOOLS_ARE: tuple[tuple[str, Any, str], ...] = (
    ("method", CALL, f"{CALL}."),
    ("execution", ExecutedBy.PLANE, "The plane calls tools: plane."),
)
"""What an operation that calls a tool has to say, and why."""


def calling_errors(values: Mapping[str, Any], *, adapter: str) -> dict[str, list[str]]:
    """What of an operation does not fit with its system being an MCP server, or not being one."""
    tool = values["tool"]
    if adapter != MCP:
        return {} if tool is None else {"tool": [NOT_A_TOOL]}
    found = {name: [why] for name, wanted, why in TOOLS_ARE if values[name] != wanted}
    if not TOOL.fullmatch(values["path"]):
        found["path"] = ["“/” and the tool's name: letters, digits, “_”, “-” and dots."]
    if values["idempotency"] == Idempotency.HEADER:
        found["idempotency"] = ["A tool knows no key: none, or natural where its own parameters are the key."]
    if problem := _tool_problem(tool):
        found["tool"] = [problem]
    return found


def _tool_problem(tool: Any) -> str:
    if tool is None:
        return ""
    if not isinstance(tool, dict) or set(tool) - {"hints", "output"}:
        return "An object with hints and output."
    hints = tool.get("hints", {})
    if not isinstance(hints, dict) or set(hints) - set(HINTS) or not all(isinstance(it, bool) for it in hints.values()):
        return f"Hints are true or false: {', '.join(HINTS)}."
    return schema_problem(tool["output"]) if "output" in tool else ""


def read_tools(tools: Sequence[Any], *, server: Mapping[str, Any], connector: str) -> Contents:
    """What a server's list of tools describes."""
    said = [str(server.get(name) or "") for name in ("name", "version")]
    operations: dict[str, Described] = {}
    unfit: list[Unfit] = []
    names = [tool.get("name") if isinstance(tool, Mapping) else None for tool in tools]
    reading = Reading({}, is_old=False)
    for place, tool in enumerate(tools):
        where = f"{CALL} /{visible_text(str(names[place]))[:200]}"
        if names.count(names[place]) > 1:
            unfit.append(Unfit(where, "The list names it twice: nobody knows which one would be called.", "name"))
            continue
        try:
            found = tool_of(tool, connector=connector, budget=reading)
        except ValueProblem as problem:
            unfit.append(Unfit(where, str(problem)[:300], visible_text(problem.path)[:300]))
            continue
        if (other := operations.setdefault(found.slug, found)) is not found:
            unfit.append(Unfit(where, f"Its slug would be {found.slug}, as that of {other.where}.", "name"))
    title = " ".join(visible_text(one)[:80] for one in said if one)
    notes = (f"The server calls itself “{title}”.",) if title else ()
    return Contents(DOCUMENT, "", tuple(operations.values()), tuple(unfit), notes, renamed="")


def refuse_secrets(tools: Sequence[Any], *, server: Mapping[str, Any]) -> None:
    """Raise ValueProblem where there is a secret anywhere in a list of tools: what is left of it is shown and kept."""
    if SECRET.search(canonical_text([*tools, dict(server)])):
        raise ValueProblem(MISPLACED)


def canonical_text(tools: Sequence[Any]) -> str:
    """A list of tools as one text. Raises ValueProblem for what no text holds."""
    check_values(list(tools))
    return canonical_json(list(tools)).decode()


def tool_of(tool: Any, *, connector: str, budget: Reading) -> Described:
    """One tool. Raises ValueProblem whose path says where."""
    if not isinstance(tool, Mapping):
        raise ValueProblem("An object is expected.")
    name = tool.get("name")
    if not isinstance(name, str) or not TOOL.fullmatch(f"/{name}"):
        raise ValueProblem("A name has letters, digits, “_”, “-” and dots, 128 at most.", "name")
    budget.budget.begin()
    hints = _hints(tool.get("annotations"))
    title = _line(tool.get("title") or _title(tool.get("annotations")))
    parameters = _parameters(tool, budget)
    kept: dict[str, Any] = {"hints": hints} if hints else {}
    if tool.get("outputSchema") is not None:
        kept["output"] = _without(_schema(tool, "outputSchema", budget), "uniqueItems")
    label = (title or words_of(name) or name)[:NAME_MAX]
    definition = {
        "name": label, "method": CALL, "path": f"/{name}", "parameters": parameters,
        "idempotency": str(Idempotency.NONE), "tool": kept,
    }  # fmt: skip
    if looks_secret(canonical_text([tool])):
        raise ValueProblem(MISPLACED)
    guess, amount = guess_of_tool(name=name, title=title, hints=hints, parameters=parameters), amount_for(parameters)
    repeats = "It says that repeating it does nothing; until a person says so too, it is not repeated."
    return Described(
        key=name,
        slug=slug_for(connector, name, CALL, ""),
        definition=definition,
        guess=guess,
        consequence=consequence_for(label, parameters, guess.effect, amount),
        amount=amount,
        notes=(repeats,) if hints.get("idempotentHint") and guess.effect != EffectClass.READ else (),
    )


def guess_of_tool(*, name: str, title: str, hints: Mapping[str, bool], parameters: Mapping[str, Any]) -> Guess:
    """What it probably does. What its server says of it may make a guess graver, and milder only where its name agrees.

    A tool that says nothing may do things that nobody takes back: so the protocol has it, too.
    """
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", f"{name} {title}")}
    if hints.get("readOnlyHint"):
        deeds = sorted(words & DOING - THINGS)
        if not deeds:
            return Guess(EffectClass.READ, "Its server says that it only reads, and its name says nothing else.")
        effect = EffectClass.IRREVERSIBLE if words & FINAL - THINGS else EffectClass.WRITE
        return Guess(effect, f"Its server says that it only reads, but “{deeds[0]}” in its name says something else.")
    if final := sorted(words & FINAL):
        return Guess(EffectClass.IRREVERSIBLE, f"“{final[0]}” in its name sounds final.")
    if money := money_in(parameters):
        return Guess(EffectClass.IRREVERSIBLE, f"It takes {money[0]}: it may move money.")
    if hints.get("destructiveHint") is False:
        return Guess(EffectClass.WRITE, "Its server says that it destroys nothing.")
    return Guess(EffectClass.IRREVERSIBLE, "Nothing says that it can be taken back.")


def _hints(annotations: Any) -> dict[str, bool]:
    """Those that are known, where they are true or false."""
    given = annotations if isinstance(annotations, Mapping) else {}
    return {name: given[name] for name in HINTS if isinstance(given.get(name), bool)}


def _title(annotations: Any) -> Any:
    return annotations.get("title") if isinstance(annotations, Mapping) else None


def _line(text: Any) -> str:
    return _written_out(" ".join(text.split())) if isinstance(text, str) else ""


def _parameters(tool: Mapping[str, Any], budget: Reading) -> dict[str, Any]:
    """The schema of its arguments, with what the server says of the tool as its description."""
    made = _schema(tool, "inputSchema", budget)
    description = tool.get("description") or ""
    if not isinstance(description, str) or len(description) > DESCRIPTION_MAX:
        raise ValueProblem(f"A description is a text of at most {DESCRIPTION_MAX} characters.", "description")
    if said := _seen(description):
        made["description"] = said
    if "additionalProperties" not in made and not any(name in made for name in LISTS):
        made["additionalProperties"] = False
    return made


def _schema(tool: Mapping[str, Any], key: str, budget: Reading) -> dict[str, Any]:
    """A schema of an object without references, all words in it made visible. Raises ValueProblem."""
    given = tool.get(key)
    if not isinstance(given, Mapping) or given.get("type") != "object":
        raise ValueProblem("A JSON Schema of type object is expected.", key)
    made = Reading(given, is_old=False, budget=budget.budget).schema(given, key)
    if problem := schema_problem(made):
        raise ValueProblem(problem, key)
    shown: dict[str, Any] = _words_seen(made)
    return shown


def _words_seen(schema: Any) -> Any:
    """A schema whose titles and descriptions hide nothing; what values are compared with stays as it is."""
    if not isinstance(schema, Mapping):
        return schema
    made: dict[str, Any] = {}
    for name, value in schema.items():
        if name in {"title", "description"} and isinstance(value, str):
            made[name] = _seen(value)
        elif name in TABLES:
            made[name] = {key: _words_seen(part) for key, part in value.items()}
        elif name in LISTS:
            made[name] = [_words_seen(part) for part in value]
        else:
            made[name] = _words_seen(value) if name in SINGLE else value
    return made


def _without(schema: Any, keyword: str) -> Any:
    """A schema without a keyword, wherever it stands: comparing all items of an answer with all is too much work."""
    if isinstance(schema, list):
        return [_without(part, keyword) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        name: {key: _without(part, keyword) for key, part in value.items()}
        if name in TABLES
        else _without(value, keyword)
        if name in SINGLE | LISTS
        else value
        for name, value in schema.items()
        if name != keyword
    }


def _seen(text: str) -> str:
    """A text of several lines with characters that nobody sees written out."""
    return "\n".join(_written_out(line.replace("\t", " ")) for line in text.strip().splitlines())


def _written_out(text: str) -> str:
    return UNSEEN.sub(lambda found: f"‹U+{ord(found.group()):04X}›", visible_text(text))
