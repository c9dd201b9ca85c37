"""What agents write, made inert: a little Markdown, no images, no foreign links, nothing that hides."""

from functools import lru_cache
from urllib.parse import urlsplit

import nh3
from django.conf import settings
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from markdown_it import MarkdownIt
from markdown_it.token import Token

from apps.core.formats import is_hidden, token

MAX_BYTES = 20_000
CACHED_TEXTS = 512
PHRASES = {"br", "strong", "em", "s", "code", "a", "span"}
BLOCKS = {"p", "pre", "blockquote", "ul", "ol", "li", "h3", "h4", "h5", "h6", "hr"}
TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
ATTRIBUTES = {"a": {"href"}, "span": {"class", "title"}}
DEEPEST_HEADING = 6

_markdown = MarkdownIt("js-default", {"html": False, "linkify": False}).disable(["image", "autolink"])


def inert(text: str) -> SafeString:
    """Safe HTML of an agent's text; the same text costs once."""
    return _inert(str(text), tuple(getattr(settings, "AGENT_LINK_HOSTS", ())))


@lru_cache(maxsize=CACHED_TEXTS)
def _inert(text: str, hosts: tuple[str, ...]) -> SafeString:
    raw = text.encode("utf-8", "replace")
    kept = raw[:MAX_BYTES].decode("utf-8", "ignore")
    tokens = _markdown.parse(kept)
    for block in tokens:
        _calm(block)
        if block.children:
            block.children = _without_foreign_links(block.children, hosts)
    html = nh3.clean(
        _markdown.renderer.render(tokens, _markdown.options, {}),
        tags=PHRASES | BLOCKS | TABLES, attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        url_schemes={"https", "mailto"}, link_rel="noopener noreferrer nofollow",
    )  # fmt: skip
    if len(raw) > MAX_BYTES:
        more = _("… %(n)s more bytes are not shown.") % {"n": len(raw) - MAX_BYTES}
        html += f"<p>{escape(more)}</p>"
    return mark_safe(_with_tokens(html))  # noqa: S308 - cleaned by nh3 just above


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
    """Stand-ins for hidden characters. The cleaned HTML has none in its tags: attributes hold only our own hosts."""
    if not any(is_hidden(char) for char in html):
        return html
    before, parts = " ", []
    inside = False
    for char in html:
        inside = (inside or char == "<") and char != ">"
        parts.append(str(token(char)) if not inside and is_hidden(char, before) else char)
        before = char
    return "".join(parts)
