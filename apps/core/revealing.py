"""Text that may hide something, made visible: invisible and turning characters, stacked marks, look-alike hosts."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0\u034f\u17b4\u17b5")
"""Characters of letter or mark classes that draw nothing."""
VARIATIONS = frozenset(range(0xFE00, 0xFE10)) | frozenset(range(0xE0100, 0xE01F0))
SINGLY = 12
"""Hidden characters in a row that get a token each; more are counted in one, so that nobody buries a page in them."""
RUNS_MAX = 2_000
"""Beyond so many turns between seen and hidden, what is hidden is written out plainly: pages stay small."""
MARKS_MAX = 4
"""Combining marks on one letter that a script needs; what is stacked above is drawn over the neighbours."""
SUSPECT = re.compile(r"[^\n\t -~]")
NOTABLE = re.compile(r"//|@|xn--|[^\n\t -~]", re.IGNORECASE)
HOST = re.compile(
    r"//(?:[^\s/?#\\]*@)?(?P<web>\[[0-9A-Fa-f:.]+\]|[^\s/?#:@\\\"'<>&()\[\]{},;|`*^]+)"
    r"|(?<![\w.+%-])[\w.+%-]{1,64}@(?P<mail>[\w-]+(?:\.[\w-]+)+)"
    r"|(?<![\w.@/-])(?P<bare>(?:[\w-]+\.)+[\w-]{2,})"
)
TOGETHER = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO", "LATIN"})
"""Alphabets that one language writes side by side."""


def is_hidden(char: str, before: str = "") -> bool:
    """Whether a reader would not see ``char``, or see it as something else: controls, bidi, zero width, odd blanks."""
    if char in "\n\t ":
        return False
    if ord(char) in VARIATIONS:
        return char != "\ufe0f" or unicodedata.category(before or " ") not in {"So", "Po", "Nd", "Sm"}
    return char in BLANKS or unicodedata.category(char) in {"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp", "Zs"}


def written_out(text: str) -> str:
    """Plain text in which what would be hidden or turn the line stands as its number: for what is no HTML."""
    if text.isascii() and text.isprintable():
        return text
    pairs = zip(f" {text}", text, strict=False)
    return "".join(f"‹U+{ord(one):04X}›" if one != "\u00a0" and is_hidden(one, was) else one for was, one in pairs)


@lru_cache(maxsize=1024)
def token(char: str) -> SafeString:
    """The visible stand-in for a character that nobody would see."""
    return _mark(f"U+{ord(char):04X}", unicodedata.name(char, "unnamed character"))


def reveal(text: object) -> SafeString:
    """Escaped text in which invisible and bidirectional characters stand as tokens and hosts stand out."""
    return with_hosts(str(text), escape)


def reveal_characters(text: object) -> SafeString:
    """Escaped text in which invisible and bidirectional characters stand as tokens."""
    return _visible(str(text), escape)


def with_hosts(source: str, plain: Callable[[str], str]) -> SafeString:
    """``source`` made visible, its hosts emphasised; ``plain`` makes HTML of what is left."""
    if not NOTABLE.search(source):
        return mark_safe(plain(source))  # noqa: S308 - made HTML by the caller's function
    parts: list[str] = []
    end = 0
    for match in HOST.finditer(source):
        name = match.lastgroup or ""
        if name == "bare" and not _is_odd(match[name]):
            continue
        start, stop = match.span(name)
        parts += [_visible(source[end:start], plain), _host(match[name], plain)]
        end = stop
    return mark_safe("".join([*parts, _visible(source[end:], plain)]))  # noqa: S308 - every part is HTML by now


def ascii_host(host: str) -> str:
    """The host as computers know it: look-alikes of ASCII as what they become, labels beyond it as ``xn--...``."""
    plain = unicodedata.normalize("NFKC", host).replace("\u3002", ".").lower()
    return ".".join(
        label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in plain.split(".")
    )


def unicode_host(host: str) -> str:
    """The host as people would see it: ``xn--…`` labels spelled out where they can be."""
    return ".".join(_spelled(label) for label in host.split("."))


def mixes_alphabets(host: str) -> bool:
    """Whether one label of a host takes letters from alphabets that no language writes together."""
    return any(len(found) > 1 and not found <= TOGETHER for found in map(_alphabets, host.split(".")))


def _alphabets(label: str) -> set[str]:
    letters = filter(str.isalpha, unicodedata.normalize("NFKC", label))
    return {unicodedata.name(char, "?").split(" ")[0] for char in letters}


def _spelled(label: str) -> str:
    if not label.lower().startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def _is_odd(host: str) -> bool:
    """Whether a name that stands alone deserves a warning; a file name in another language does not."""
    return "xn--" in host.lower() or mixes_alphabets(host)


def _host(host: str, plain: Callable[[str], str]) -> SafeString:
    shown = format_html("<strong>{}</strong>", _visible(host, plain))
    if host.isascii() and "xn--" not in host.lower():
        return shown
    known, looks = ascii_host(host), unicode_host(host)
    if not host.isascii():
        shown += _mark(known, _("The name as computers know it"))
    if host != looks:
        shown += _mark(_("looks like “%s”") % looks, _("What the name shows where it is drawn"))
    if mixes_alphabets(looks):
        shown += _mark(_("mixed alphabets"), _("Letters that look alike come from different alphabets"))
    return mark_safe(shown)  # noqa: S308 - joined from HTML


def _mark(text: str, title: str) -> SafeString:
    return format_html('<span class="token" title="{}">{}</span>', title, _visible(text, escape))


def _visible(source: str, plain: Callable[[str], str]) -> SafeString:
    if not SUSPECT.search(source):
        return mark_safe(plain(source))  # noqa: S308 - made HTML by the caller's function
    parts: list[str] = []
    for run, hidden in _runs(source):
        if not hidden:
            parts.append(plain(run))
        elif len(parts) < RUNS_MAX:
            parts.append(_tokens(run))
        else:
            parts += [f"‹U+{ord(char):04X}›" for char in run]
    return mark_safe("".join(parts))  # noqa: S308 - every part is HTML by now


def _runs(source: str) -> Iterator[tuple[str, bool]]:
    """The text in turns: what is seen, what is hidden."""
    start, was_hidden, marks, before = 0, False, 0, " "
    for index, char in enumerate(source):
        if char.isascii():
            marks, hidden = 0, (char < " " and char not in "\n\t") or char == "\x7f"
        else:
            marks = marks + 1 if unicodedata.category(char) in {"Mn", "Me"} else 0
            hidden = marks > MARKS_MAX or is_hidden(char, before)
        if hidden != was_hidden:
            if index > start:
                yield source[start:index], was_hidden
            start, was_hidden = index, hidden
        before = char
    if start < len(source):
        yield source[start:], was_hidden


def _tokens(run: str) -> SafeString:
    """Stand-ins for hidden characters: one each, or one for a long row of them that says how many of which."""
    if len(run) <= SINGLY:
        return mark_safe("".join(map(token, run)))  # noqa: S308 - tokens are HTML
    counted = [f"U+{ord(char):04X} ×{number}" for char, number in Counter(run).most_common(SINGLY)]
    kinds = len(set(run)) - len(counted)
    more = [_("%d other kinds") % kinds] if kinds else []
    text = _("%(n)s hidden characters: %(which)s") % {"n": len(run), "which": ", ".join([*counted, *more])}
    return format_html('<span class="token">{}</span>', text)
