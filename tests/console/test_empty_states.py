"""Where there is nothing, every page says so in words, and what comes next.

The addresses come from the URL configuration: a new page is sorted here or in bare.py, or a test fails.
"""

import re

import pytest
from django.test import Client
from lxml import html

from tests.browser.test_everywhere import PAGES
from tests.console import offers
from tests.console.bare import OF_ONE
from tests.console.offers import Scene
from tests.console.test_destructive_acts import CLOSED, NO_FORMS
from tests.test_house import ROOT, every_address, example_of

pytestmark = pytest.mark.django_db
LISTS = {
    "access/", "access/calendars/", "access/chats/", "access/emergency/", "access/groups/", "access/requests/",
    "access/reviews/", "access/rotas/", "accounts/2fa/webauthn/", "actions/", "agents/", "audit/",
    "audit/erasures/", "budgets/", "connectors/", "dashboards/agents/", "dashboards/cost/",
    "dashboards/event-logs/", "dashboards/goals/", "dashboards/oversight/", "dashboards/prices/", "dashboards/rates/",
    "dashboards/unusual/", "data-classes/", "discovered-agents/", "flags/", "halts/drills/",
    "inbox/", "inbox/bulk/", "inbox/focus/", "inbox/standing/", "jobs/", "logs/", "new-waiver/", "notifications/",
    "policies/", "policy-health/", "runs/", "runs/failures/", "spans/", "tool-findings/", "waivers/", "workflows/",
}  # fmt: skip
"""A list of what there may be none of stands on them: then the known words stand in its place."""
IN_A_SENTENCE = {
    "access/who/": "Everybody who may do something somewhere, and why.",  # a question that nobody asked yet
    "accounts/2fa/": "None yet. A passkey signs you in",
    "breakers/": "None has opened.",
    "halts/": "Nothing is stopped.",
    "inbox/drills/": "No queue that you serve has drills.",
    "search/": "what is found stands here",
    "settings/absences/": "No absence is planned.",
    "settings/notifications/": "No chat of your own is set up.",
    "settings/sessions/": "Nowhere else.",
    "settings/tokens/": "None yet.",
}
"""Short lists among other things, and what is said in their place."""
NO_LISTS = {
    "access/roles/", "accounts/confirm-email/", "accounts/inactive/", "accounts/logout/", "access/new-calendar/",
    "access/new-group-mapping/", "access/new-person/", "access/new-review/", "access/new-rota/", "control/",
    "dashboards/data-quality/",
    "help/", "help/problems/", "new-agent/", "new-breaker/", "new-budget/", "new-connector/", "new-data-class/",
    "new-policy/", "settings/", "settings/shortcuts/",
}  # fmt: skip
"""Forms, explanations, and figures that are there whatever happened."""
NEEDS_ROWS = {
    "agents/<slug:slug>/levels/<str:operation>/", "connectors/<slug:slug>/operations/<str:operation>/review/",
    "dashboards/<slug:slug>/weeks/<str:week>/<slug:part>/", "inbox/<uuid:escalation_id>/dry-run/",
    "inbox/<uuid:escalation_id>/on-file/", "runs/failures/retry/",
}  # fmt: skip
"""Pages of something that is listed elsewhere: without it they are not there."""
NO_PAGE = {
    "notifications/<uuid:delivery_id>/", "accounts/sso/<slug:slug>/", "accounts/sso/<slug:slug>/callback/",
    "dashboards/<slug:slug>/weeks/now/",
}  # fmt: skip
"""They lead elsewhere."""
HELD = {"table": ".//tbody/tr", "tbody": "./tr", "ul": "./li", "ol": "./li", "dl": ".//dt"}
"""What holds a list, and what has to be in it."""
KNOWN = ".//*[@class='empty']"
HEADINGS = ".//h2[not(ancestor::*[@class='empty'])]|.//h3[not(ancestor::*[@class='empty'])]"


def words(one: html.HtmlElement) -> str:
    return re.sub(r"\s+", " ", one.text_content()).strip()


def is_said(held: html.HtmlElement) -> bool:
    """Whether the known words stand in the place of a list that fills by itself."""
    after = held.getnext()
    return after is not None and after.get("class") == "empty"


def silent(main: html.HtmlElement) -> list[str]:
    """The lists of a page with nothing in them, its headings with nothing under them, and words that lead nowhere."""
    held = [one for tag, inside in HELD.items() for one in main.iter(tag) if not one.xpath(inside) and not is_said(one)]
    alone = []
    for heading in main.xpath(HEADINGS):
        near = next(one for one in heading.iterancestors() if one.tag in {"section", "article", "main", "details"})
        after = set(heading.xpath("following::*")) & set(near.iter())
        if not any(words(one) or one.tag in {"input", "img", "svg"} for one in after):
            alone.append(heading)
    ends = [one for one in main.xpath(KNOWN) if not (one.xpath("./h2|./h3") and one.xpath("./p|./a"))]
    return [html.tostring(one, encoding="unicode")[:200] for one in (*held, *alone, *ends)]


def main_of(client: Client, path: str) -> html.HtmlElement:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer)
    (main,) = html.fromstring(answer.content).xpath("//main")
    return main


def test_every_page_is_sorted():
    client, lists, of_one = offers.signed_in(), set(), set()
    for route in sorted(set(every_address()) - NEEDS_ROWS - NO_PAGE):
        if route.startswith(NO_FORMS) or CLOSED.match(route) or re.search(r"\.\w+$|\.<", route):
            continue
        answer = client.get(f"/{example_of(route)}")
        if "<" in route and answer.status_code == 404:
            of_one.add(route)
        elif answer.status_code == 200 and b"<main" in answer.content:
            lists.add(route)
    assert lists == LISTS | set(IN_A_SENTENCE) | NO_LISTS
    assert of_one == set(OF_ONE)


@pytest.mark.parametrize("route", sorted(LISTS | set(IN_A_SENTENCE) | NO_LISTS))
def test_in_a_house_with_nothing_in_it_every_list_says_why_it_is_empty(route: str):
    main = main_of(offers.signed_in(), f"/{route}")
    assert silent(main) == []
    assert (route in LISTS) == bool(main.xpath(KNOWN))
    assert IN_A_SENTENCE.get(route, "") in words(main)


@pytest.mark.parametrize("path", [path for path in PAGES if "?" in path])
def test_so_does_a_list_that_is_narrowed(path: str):
    assert silent(main_of(offers.signed_in(), path)) == []


@pytest.mark.parametrize("scene", [pytest.param(scene, id=route) for route, scene in OF_ONE.items()])
def test_so_does_the_page_of_one_thing_about_which_there_is_nothing_else(scene: Scene):
    assert silent(main_of(*scene())) == []


@pytest.mark.parametrize("path", ["/new-agent/", "/access/new-rota/"])
def test_a_choice_of_nothing_says_so(path: str):
    (unit,) = main_of(offers.signed_in(), path).xpath("//select[@name='unit']/..")
    assert "Nothing can be chosen yet" in words(unit)


def test_the_known_words_always_say_what_next():
    """Also where no scene leads: what they say stands in the card that includes them."""
    told = [
        (str(path.relative_to(ROOT)), text[text.rfind("{% if", 0, text.rfind("<div", 0, found.start())) : found.end()])
        for path in sorted(ROOT.glob("templates/**/*.html"))
        if path.parent.name != "styleguide"
        for text in [path.read_text()]
        for found in re.finditer(r"core/_empty\.html[^}]*}", text)
    ]
    assert len(told) > 50
    assert [path for path, card in told if not re.search(r" as (text|action) %}| (text|action)=", card)] == []
