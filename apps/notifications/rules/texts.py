"""Text that leaves the house: on one line, with nothing hidden, and no address that a reader's program would link."""

import re
import unicodedata
from urllib.parse import urlsplit

SUBJECT_MAX = 160
URL_MAX = 1_000
QUERY = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
DOT_OF_A_NAME = re.compile(r"(?<=[^\W_])\.(?=[^\W\d_]{2})")
SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def one_line(text: str, limit: int = SUBJECT_MAX) -> str:
    """``text`` on one line: what draws nothing or breaks lines becomes a space, and what is too long is cut."""
    plain = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text[: limit * 8])
    found = " ".join(plain.split())
    return found if len(found) <= limit else f"{found[: limit - 1]}…"


def unlinked(text: str) -> str:
    """``text`` in which mail programs find no address to link: others may have written part of it."""
    return DOT_OF_A_NAME.sub("[.]", text.replace("://", ":"))


def for_chat(text: str) -> str:
    """A name as a chat shows it: no link, no mention."""
    return unlinked(one_line(text)).translate(SLACK).replace("@", "(at)")


def split_webhook(url: str) -> tuple[str, str]:
    """The address of a webhook and its query. Raises ValueError that repeats neither; ``origin_of`` checks the rest."""
    if len(url) > URL_MAX:
        raise ValueError("At most 1,000 characters.")
    base, mark, query = url.partition("?")
    if "#" in url or not QUERY.fullmatch(query):
        raise ValueError("The part behind the question mark is not plain.")
    if urlsplit(base).path in {"", "/"}:
        raise ValueError("An incoming webhook has a path; this is only a host.")
    return base, mark + query
