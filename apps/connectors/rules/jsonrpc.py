"""The messages of the Model Context Protocol over HTTP: what is said, and what of an answer is believed."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from apps.connectors.rules.answers import storable
from apps.core.rules import ValueProblem, canonical_json, strict_json

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26")
"""Revisions of the protocol that are spoken, the newest, which is offered, first."""
SESSION = re.compile(r"[!-~]{1,512}")
NOT_OFFERED = -32601
REFUSALS = frozenset({-32700, -32601})
"""Errors that say that nothing was begun; after any other nobody knows: -32602 is said of what a tool gave, too."""
REFUSED, FAILED_TOOL, BROKEN_TOOL = 400, 422, 500
"""The status that stands for such a refusal, for a tool that says that it failed, and for any other error."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request: its result, or the code and words of its error."""

    result: Mapping[str, Any] | None = None
    code: int | None = None
    words: str = ""


def request_of(number: int, method: str, params: Mapping[str, Any]) -> bytes:
    """A request on the wire."""
    return canonical_json({"jsonrpc": "2.0", "id": number, "method": method, "params": dict(params)})


def notification_of(method: str) -> bytes:
    """Something that is said and not answered."""
    return canonical_json({"jsonrpc": "2.0", "method": method})


def refusal_to(message: Mapping[str, Any]) -> bytes:
    """What a server's own request is answered: nothing is offered to it (no model, no question to people, no files)."""
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
    if message["method"] == "ping":
        return canonical_json({**answer, "result": {}})
    return canonical_json({**answer, "error": {"code": NOT_OFFERED, "message": "Not offered."}})


def message_of(raw: bytes) -> Mapping[str, Any]:
    """One message. Raises ValueProblem for anything else."""
    found = strict_json(raw)
    if not isinstance(found, dict) or found.get("jsonrpc") != "2.0":
        raise ValueProblem("This is no message of JSON-RPC 2.0.")
    made = storable(found)
    assert isinstance(made, dict)
    return made


def asks(message: Mapping[str, Any]) -> bool:
    """Whether a message is a request that the server makes."""
    number = message.get("id")
    return isinstance(message.get("method"), str) and isinstance(number, int | str) and not isinstance(number, bool)


def reply_in(message: Mapping[str, Any], number: int) -> Reply | None:
    """The reply to a request in a message; None where it is about something else. Raises ValueProblem.

    An error without an id is of the request that it answers: the server could not read one.
    """
    error, said = message.get("error"), message.get("id")
    if "method" in message or not (_is(said, number) or (said is None and error is not None)):
        return None
    if error is not None:
        code = error.get("code") if isinstance(error, dict) else None
        if not isinstance(code, int) or isinstance(code, bool):
            raise ValueProblem("An error has a code.")
        return Reply(code=code, words=str(error.get("message", "")))
    if not isinstance(message.get("result"), dict):
        raise ValueProblem("A reply has a result or an error.")
    return Reply(message["result"])


def _is(said: object, number: int) -> bool:
    return isinstance(said, int) and not isinstance(said, bool) and said == number


def events_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The data of each event of a ``text/event-stream``; an event without data is none."""
    rest, lines = bytearray(), list[bytes]()
    for chunk in chunks:
        rest += chunk
        if b"\n" not in chunk and b"\r" not in chunk:
            continue  # a line in a thousand pieces is put together once
        *ended, last = _lines(bytes(rest))
        rest = bytearray(last)
        for line in ended:
            if line.startswith(b"data:"):
                lines.append(line[5:].removeprefix(b" "))
            elif not line:
                if data := b"\n".join(lines).strip():
                    yield data
                lines = []


def _lines(raw: bytes) -> list[bytes]:
    """The lines of ``raw``, however they end; the last is not ended yet. A CR at the very end may be half of a CRLF."""
    kept = b""
    if raw.endswith(b"\r"):
        raw, kept = raw[:-1], b"\r"
    *whole, last = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return [*whole, last + kept]


def version_of(result: Mapping[str, Any]) -> str:
    """The revision that both sides speak. Raises ValueProblem."""
    version = result.get("protocolVersion")
    if version not in VERSIONS:
        said = str(version)[:40] if isinstance(version, str) else "none"
        raise ValueProblem(f"It speaks {said} of the protocol; spoken here are {', '.join(VERSIONS)}.")
    return str(version)


def answer_in(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a tool answered: its structured content, else its texts. Raises ValueProblem.

    Pictures, sounds and resources are left out, and ``left_out`` names their kinds.
    """
    structured = result.get("structuredContent")
    if structured is not None:
        if not isinstance(structured, dict):
            raise ValueProblem("Structured content is an object.")
        return structured
    texts, others = _content(result)
    found: dict[str, Any] = {"text": "\n\n".join(texts)}
    return {**found, "left_out": others} if others else found


def weight_of(value: Any) -> int:
    """How many values there are in one."""
    if isinstance(value, Mapping):
        return 1 + sum(weight_of(each) for each in value.values())
    return 1 + sum(weight_of(each) for each in value) if isinstance(value, list) else 1


def words_of(result: Mapping[str, Any]) -> str:
    """What a tool said of its failure."""
    return " ".join(_content(result)[0]) or "The tool failed."


def _content(result: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    content = result.get("content", [])
    if not isinstance(content, list) or not all(isinstance(each, dict) for each in content):
        raise ValueProblem("Content is a list of objects.")
    texts = [each["text"] for each in content if each.get("type") == "text" and isinstance(each.get("text"), str)]
    others = {str(each.get("type"))[:40] for each in content if each.get("type") != "text"}
    return texts, sorted(others)
