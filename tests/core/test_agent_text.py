import re
import time

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from apps.core.agent_text import MAX_BYTES, inert
from apps.core.formats import pretty_json
from apps.core.revealing import reveal
from tests.oversight.hostile_corpus import CORPUS

TAGS = "p|br|strong|em|s|code|pre|blockquote|ul|ol|li|h[3-6]|hr|table|thead|tbody|tr|th|td"
OURS = re.compile(rf"</?(?:{TAGS}) ?/?>|<span class=\"(?:token|key|str|lit)\"(?: title=\"[^\"<>]*\")?>|</span>")
HIDDEN = re.compile(
    "[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\x00-\x08\x0b-\x1f\x7f-\x9f\ue000\U000e0000-\U000e01ef]"
)


def assert_inert(html: str) -> None:
    """No tag but the plane's own, no character that hides."""
    for tag in re.findall(r"<[^>]*>", html):
        assert OURS.fullmatch(tag), tag
    assert not HIDDEN.search(html)


@pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS)
def test_hostile_text_stays_text_wherever_it_stands(text: str) -> None:
    started = time.process_time()
    assert_inert(inert(text))
    assert_inert(reveal(text))
    assert_inert(pretty_json({text[:1_000]: text}))
    assert time.process_time() - started < 3
    assert len(inert(text)) < 400_000


def test_the_corpus_is_as_large_as_it_should_be() -> None:
    assert len(CORPUS) >= 60
    assert len(set(CORPUS.values())) == len(CORPUS)


@pytest.mark.parametrize(
    "unit", ["[", "[a](", "![", "*a**", "`", "> ", "- x\n", "|a", "# h\n", "\u200ba", "x\u0301", "a@b.c ", "//"]
)
def test_repetition_costs_no_second(unit: str) -> None:
    started = time.process_time()
    assert_inert(inert(unit * 200_000))
    assert_inert(reveal((unit * 200_000)[:200_000]))
    assert time.process_time() - started < 4  # brackets alone took eight seconds before they were counted


def test_only_one_link_text_is_asked_for_by_what_it_shows() -> None:
    assert inert("[https://bank.example/](https://evil.example)") == (
        "<p>https://<strong>bank.example</strong>/ (evil.example)</p>\n"
    )


@override_settings(AGENT_LINK_HOSTS=("wiki.example.com",))
@pytest.mark.parametrize(
    "href",
    [
        "http://wiki.example.com/",
        "https://wiki.example.com@evil.example/",
        "https://wiki.example.com.evil.example/",
        "https://evil.example/wiki.example.com",
        "https://evil.example\\\\@wiki.example.com/",
        "javascript://wiki.example.com/%0aalert(1)",
    ],
)
def test_nothing_but_the_listed_host_becomes_a_link(href: str) -> None:
    html = inert(f"[x]({href})")
    assert re.findall(r'href="([^"]*)"', html) in ([], ["https://evil.example%5C@wiki.example.com/"])


def test_a_foreign_link_is_its_label_and_its_host() -> None:
    assert inert("See [the invoice](https://evil.example/8841?d=1).") == "<p>See the invoice (evil.example).</p>\n"


@override_settings(AGENT_LINK_HOSTS=("wiki.example.com",))
def test_a_link_to_a_listed_host_is_a_link_without_referrer() -> None:
    assert inert("[p](https://wiki.example.com/a)") == (
        '<p><a href="https://wiki.example.com/a" rel="noopener noreferrer nofollow">p</a></p>\n'
    )


def test_headings_start_below_those_of_the_page() -> None:
    assert inert("# One\n\n#### Four") == "<h3>One</h3>\n<h6>Four</h6>\n"


def test_a_forged_badge_is_shown_as_the_text_that_it_is() -> None:
    assert "&lt;span class=" in inert("<span class='badge ok'>Approved</span>")


def test_long_text_is_cut_and_says_so() -> None:
    html = inert("a" * (MAX_BYTES + 100))
    assert "100 more bytes are not shown" in html
    assert len(html) < MAX_BYTES + 500


def test_the_same_text_costs_once() -> None:
    text = "[x](https://evil.example) " * 120
    inert(text)
    before = time.process_time()
    for _ in range(1000):
        inert(text)
    assert time.process_time() - before < 5  # a thousand parses would take half a minute


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=400))
def test_any_text_ends_in_allowed_tags(text: str) -> None:
    html = str(inert(text))
    for tag in re.findall(r"<[^>]*>", html):
        assert not re.search(r"on\w+=|hx-|src=|style=|javascript:", tag)
