"""The page on which rules are edited lands where somebody pressed, in a browser that runs no script."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from apps.policies.models import Policy
from tests.browser.conftest import sign_in
from tests.browser.scene import PASSWORD, set_the_scene
from tests.factories.access import make_holder

pytestmark = pytest.mark.browser
LABEL_ON_TOP = """() => {
  const label = document.querySelector('label[for=id_rule-slug]'), box = label.getBoundingClientRect();
  return label.contains(document.elementFromPoint(box.x + 4, box.y + 2));
}"""


@pytest.mark.parametrize("javascript", [False, True])
def test_a_new_rule_comparison_or_test_is_where_one_lands(
    open_page: Callable[..., Page], db: str, javascript: bool
) -> None:
    scene, page = set_the_scene(), open_page(javascript=javascript, height=500)
    policy = Policy.objects.get(unit=scene.unit)
    writer = make_holder("policies.publish_policy", "policies.view_policy", unit=scene.unit, password=PASSWORD)
    sign_in(page, writer.username, f"/policies/{policy.slug}/edit/")
    page.get_by_role("button", name="Add a rule").click()
    first = page.get_by_label("Short name")
    expect(first).to_be_focused()
    expect(first).to_be_in_viewport()
    assert page.evaluate(LABEL_ON_TOP), "nothing covers the name of the field"
    page.get_by_role("button", name="Add a comparison").click()
    expect(page.get_by_label("Fact 2")).to_be_focused()
    page.get_by_role("button", name="Leave it as it was").click()
    page.get_by_label("A test of the operation").fill(scene.operation.slug)
    page.get_by_role("button", name="Add a test").click()
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    expect(page.get_by_label("Name", exact=True)).to_be_in_viewport()
