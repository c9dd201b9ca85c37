"""A hostile agent writes into everything it can reach: pages show it as text, and the plane's own facts stand."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from apps.core.services import system_user
from apps.oversight.models import Comment, Escalation
from tests.browser.conftest import PASSWORD, assert_nothing_overflows, sign_in
from tests.browser.scene import Scene, set_the_scene
from tests.factories.access import grant, make_admin
from tests.factories.workflows import make_run, make_workflow
from tests.oversight.hostile_corpus import CORPUS

pytestmark = pytest.mark.browser

AT_ONCE = 17
"""How many strings one item carries in each of its places."""
SHORT, LONG, COMMENT = 120, 3_000, 10_000
"""Characters that a title, a parameter and a comment take; an agent's reasoning takes all that it may send."""
FOUND = """
() => {
  const made = "script, img, iframe, object, embed, form, button, input, svg, style, link, base, meta, video, a";
  const armed = /^(on|hx-|data-hx-|style$|src|action|formaction|autofocus|id$|contenteditable)/;
  const places = ".agent-words, .diff td, .diff th, .lead, h1, h2.title, pre.code, .story p";
  const words = [...document.querySelectorAll(places)];
  const inside = words.flatMap((part) => [...part.querySelectorAll("*")]);
  const told = (found) => found.map((one) => one.outerHTML.slice(0, 200));
  return {
    words: words.length,
    made: told(inside.filter((one) => one.matches(made))),
    armed: told(inside.filter((one) => [...one.attributes].some(({name}) => armed.test(name)))),
  };
}
"""
"""What the texts made in the places where they stand: no element that does anything, no attribute that could."""
STANDS = """
() => {
  const at = (name) => document.querySelector(name)?.getBoundingClientRect();
  const seen = (box) => !!box && box.height > 0 && box.top >= 0 && box.top < innerHeight;
  const bar = document.querySelector(".decision"), agent = document.querySelector(".agent-words");
  const approve = [...bar.querySelectorAll("button, a")].find((one) => one.textContent.includes("Approve"));
  const box = approve.getBoundingClientRect(), facts = document.querySelector(".consequence");
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return {
    consequence: seen(at(".consequence")), parameters: seen(at("#parameters")),
    order: at(".consequence").top < at("#parameters").top,
    bar: box.bottom <= innerHeight && box.top > 0 && approve.contains(top),
    before: !!(facts.compareDocumentPosition(agent) & Node.DOCUMENT_POSITION_FOLLOWING),
  };
}
"""
"""Whether the plane's facts stand above the agent's words, and the way to decide is in sight and on top."""


def handfuls() -> Iterator[list[str]]:
    """The corpus, spread over as few items as it takes."""
    texts = list(CORPUS.values())
    for start in range(0, len(texts), AT_ONCE):
        yield texts[start : start + AT_ONCE]


def hostile_item(scene: Scene, texts: list[str]) -> Escalation:
    """A payment whose every place that an agent can reach holds these texts."""
    short, long = ([text[:size] for text in texts] for size in (SHORT, LONG))
    item = scene.payment(
        parameters={"iban": short[0], **{f"x{n}": text for n, text in enumerate(long)}, short[1]: "a key"},
        goal="\n\n".join(sorted(texts, key=len)), reasoning=max(texts, key=len), alternatives=long,
        sources=[{"title": text, "url": text} for text in long],
        evidence=[{"title": text, "url": text, "text": text} for text in long],
    )  # fmt: skip
    for text in texts:
        Comment.objects.create(escalation=item, author=scene.agent.user, text=text[:COMMENT])
        Comment.objects.create(escalation=item, author=scene.ada, text=text[:COMMENT])
    return item


def assert_calm(page: Page) -> None:
    """Whatever the texts say, they made no element and carry no attribute that does anything."""
    found = page.evaluate(FOUND)
    assert found["words"]
    assert found["made"] == []
    assert found["armed"] == []
    assert page.title() != "owned"
    assert_nothing_overflows(page)


def open_all(page: Page) -> None:
    """Open every closed line of the page, so that everything is drawn."""
    page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")


@pytest.fixture
def never_asked(page: Page) -> Iterator[list[str]]:
    """No text opens a dialog, a download or another window."""
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.on("popup", lambda popup: asked.append(popup.url))
    page.on("download", lambda download: asked.append(download.url))
    yield asked
    assert asked == []


def test_hostile_texts_stay_text_on_every_page_and_the_facts_stand_above(
    page: Page, db: str, never_asked: list[str]
) -> None:
    scene = set_the_scene()
    admin = make_admin(username="hostess", name="Eva Rywhere", password=PASSWORD)
    grant(admin, scene.queue.role, scene.unit)
    items = [hostile_item(scene, texts) for texts in handfuls()]
    sign_in(page, "hostess", "/help/")
    for item in items:
        page.goto(f"/inbox/{item.pk}/")
        stands = page.evaluate(STANDS)
        assert all(stands.values()), (stands, item.title)
        open_all(page)
        assert_calm(page)
        page.goto(f"/actions/{item.action_id}/")
        assert_calm(page)
    page.goto("/inbox/?view=team")
    assert_calm(page)
    page.goto(f"/audit/?trail={items[0].action_id}")
    assert_nothing_overflows(page)


def test_a_hostile_question_and_a_hostile_run_stay_text(page: Page, db: str, never_asked: list[str]) -> None:
    scene = set_the_scene()
    admin = make_admin(username="hostess2", name="Eva Rywhere", password=PASSWORD)
    grant(admin, scene.queue.role, scene.unit)
    workflow = make_workflow("steps: {look: {agent: lab.look}}", unit=scene.unit.slug)
    sign_in(page, "hostess2", "/help/")
    for texts in handfuls():
        short = [text[:SHORT] for text in texts]
        given = {f"x{n}": text[:LONG] for n, text in enumerate(texts)}
        run = make_run(workflow, given, actor=system_user("console"))
        asked = scene.question(short[0], options=[{"label": text, "value": n} for n, text in enumerate(short)])
        page.goto(f"/inbox/{asked.pk}/")
        assert_calm(page)
        page.goto(f"/runs/{run.pk}/?tab=data")
        assert_calm(page)
