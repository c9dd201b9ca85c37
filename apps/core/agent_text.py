"""What agents write, made inert: a little Markdown, no images, no foreign links, nothing that hides."""

import re
from functools import lru_cache
from urllib.parse import urlsplit

import nh3
from django.conf import settings
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from markdown_it import MarkdownIt
from markdown_it.token import Token

from apps.core.revealing import with_hosts

MAX_BYTES = 20_000
CACHED_TEXTS = 256
MARKUP = re.compile(r"[\[|`*_~>#]|^[ \t]*(?:[-+]|\d+[.)])[ \t]|\n", re.MULTILINE)
MARKUP_MAX, BRACKETS_MAX = 1_500, 300
"""More is no text of a person's length, and brackets cost their square: it is shown as it was written."""
PHRASES = {"br", "strong", "em", "s", "code", "a"}
BLOCKS = {"p", "pre", "blockquote", "ul", "ol", "li", "h3", "h4", "h5", "h6", "hr"}
TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
ATTRIBUTES = {"a": {"href"}}
TAG = re.compile(r"(<[^>]*>)")
DEEPEST_HEADING = 6

_markdown = MarkdownIt("js-default", {"html": False, "linkify": False}).disable(["image", "autolink"])


def inert(text: str) -> SafeString:
    """Safe HTML of an agent's text, its first 20 KB; the same text costs once."""
    raw = str(text).encode("utf-8", "replace")
    kept = raw[:MAX_BYTES].decode("utf-8", "ignore")
    return _inert(kept, len(raw) - len(raw[:MAX_BYTES]), tuple(settings.AGENT_LINK_HOSTS))


@lru_cache(maxsize=CACHED_TEXTS)
def _inert(text: str, left_out: int, hosts: tuple[str, ...]) -> SafeString:
    is_bearable = text.count("[") <= BRACKETS_MAX and sum(1 for _mark in MARKUP.finditer(text)) <= MARKUP_MAX
    html = _cleaned(text, hosts) if is_bearable else f"<pre>{escape(text)}</pre>"
    if left_out:
        more = _("… %(n)s more bytes are not shown.") % {"n": left_out}
        html += f"<p>{escape(more)}</p>"
    return mark_safe(_with_tokens(html))  # noqa: S308 - cleaned by nh3, or escaped


def _cleaned(text: str, hosts: tuple[str, ...]) -> str:
    tokens = _markdown.parse(text)
    for block in tokens:
        _calm(block)
        if block.children:
            block.children = _without_foreign_links(block.children, hosts)
    return nh3.clean(
        _markdown.renderer.render(tokens, _markdown.options, {}),
        tags=PHRASES | BLOCKS | TABLES, attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        url_schemes={"https", "mailto"}, link_rel="noopener noreferrer nofollow",
    )  # fmt: skip


def _calm(block: Token) -> None:
    """Headings start at h3, below those of the page."""
    if block.type in {"heading_open", "heading_close"}:
        block.tag = f"h{min(DEEPEST_HEADING, int(block.tag[1]) + 2)}"


def _without_foreign_links(children: list[Token], hosts: tuple[str, ...]) -> list[Token]:
    """Links to hosts outside the list become their label and the host in brackets, as text."""
    kept: list[Token] = []
    refused: list[str] = []
    for child in children:
        if child.type == "link_open":
            host = _host_of(str(child.attrGet("href") or ""))
            refused.append("" if host in hosts else host or _("no host"))
            if refused[-1]:
                continue
        elif child.type == "link_close" and (host := refused.pop() if refused else ""):
            label = Token("text", "", 0)
            label.content = f" ({host})"
            kept.append(label)
            continue
        kept.append(child)
    return kept


def _host_of(href: str) -> str:
    try:
        return urlsplit(href).hostname or ""
    except ValueError:
        return ""


def _with_tokens(html: str) -> str:
    """Stand-ins for hidden characters, and hosts that stand out: in the text between the tags, never inside one.

    The cleaned HTML has nothing to hide in its tags: their only attribute is the address of a host on our list.
    """
    return "".join(part if part.startswith("<") else with_hosts(part, str) for part in TAG.split(html))
