"""Pages of versions: what an auditor keeps the address of, and what one version says otherwise than another."""

import pytest
from django.urls import reverse

from apps.core.services import system_user
from apps.policies.models import Policy, PolicyVersion
from apps.policies.selectors.versions import compared_for, tenure_of, version_for
from apps.policies.services import apply_policy, save_policy
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.policies import make_policy, make_retired, make_rule
from tests.oversight.edge_cases.doors import Person

pytestmark = pytest.mark.django_db
VIEW = "policies.view_policy"
FIRST = [
    make_rule(slug="all"),
    make_rule(slug="no", effect="deny", when="action.amount_minor > 500"),
    make_rule(slug="gone", effect="deny", when="action.amount_minor > 900"),
]


def changed(policy: Policy, *rules: dict[str, object]) -> PolicyVersion:
    apply_policy(system_user("console"), slug=policy.slug, name=policy.name, unit=policy.unit, rules=list(rules))
    policy.refresh_from_db()
    assert policy.latest
    return policy.latest


def test_an_earlier_version_stays_at_its_address_with_who_and_when() -> None:
    policy = make_policy(*FIRST, name="Payments")
    changed(policy, make_rule(slug="all"))
    reader = Person(make_holder(VIEW))
    page = reader.page(f"/policies/{policy.slug}/v/1/")
    first = policy.versions.get(number=1)
    assert "Payments, version 1" in page
    assert "action.amount_minor &gt; 900" in page
    assert "Digest, recomputed just now" in page
    assert ">intact<" in page
    assert first.digest.removeprefix("sha256:")[:20] in page.replace("<wbr>", "")
    tenure = tenure_of(reader.user, first)
    assert tenure
    assert tenure.ended_by_release == tenure.release + 1
    assert f"as release {tenure.release}" in page
    assert "It judges now." not in page
    assert "It judges now." in reader.page(f"/policies/{policy.slug}/v/2/")
    history = reader.page(f"/policies/{policy.slug}/")
    assert f'href="/policies/{policy.slug}/v/1/"' in history
    assert f"/policies/{policy.slug}/diff/?from=1&amp;to=2" in history


def test_a_draft_says_that_nothing_was_judged_by_it_and_a_retired_policy_when_it_ended() -> None:
    draft, retired = make_policy(in_force=False), make_retired(make_policy(*FIRST))
    reader = Person(make_admin())
    assert "Never: nothing was judged by it." in reader.page(f"/policies/{draft.slug}/v/1/")
    ended = tenure_of(reader.user, version_for(reader.user, retired, 1))
    assert ended
    assert ended.ended_at
    assert "It judges now." not in reader.page(f"/policies/{retired.slug}/v/1/")


def test_a_version_whose_digest_is_of_something_else_is_found_out() -> None:
    policy = make_policy(*FIRST)
    said = {"rules": FIRST, "digest": policy.versions.get().digest, "author": make_admin()}
    PolicyVersion.objects.create(policy=policy, number=2, **{**said, "rules": FIRST[:1]})
    page = Person(make_holder(VIEW)).page(f"/policies/{policy.slug}/v/2/")
    assert ">altered<" in page
    assert "somebody changed it in the database" in page


def test_a_difference_says_rule_by_rule_what_tightens_and_what_is_lowered() -> None:
    policy = make_policy(*FIRST)
    changed(
        policy, make_rule(slug="all"), make_rule(slug="no", effect="deny", when="action.amount_minor > 400"),
        make_rule(slug="new", effect="deny"),
    )  # fmt: skip
    reader = Person(make_holder(VIEW))
    one, two = (policy.versions.get(number=number) for number in (1, 2))
    found = {each.change.difference.slug: each.bearing for each in compared_for(reader.user, one, two)}
    assert found == {"gone": "looser", "new": "tighter", "no": "open"}
    back = {each.change.difference.slug: each.bearing for each in compared_for(reader.user, two, one)}
    assert back == {"gone": "tighter", "new": "looser", "no": "open"}
    page = reader.page(f"/policies/{policy.slug}/diff/?from=1&to=2")
    for said in ("can only tighten", "lowers what is enforced", "&gt; 500", "&gt; 400", "Before:"):
        assert said in page
    assert "In force:" not in page
    by_default = reader.page(f"/policies/{policy.slug}/diff/")
    assert by_default.index("version 1 by") < by_default.index("version 2 by")
    assert "lowers what is enforced" in by_default


@pytest.mark.parametrize("asked", ["?from=1&to=9", "?from=x", "?from=0&to=1", "?to=-1"])
def test_versions_that_are_not_there_are_not_there(asked: str) -> None:
    policy = make_policy(*FIRST)
    client = Person(make_holder(VIEW)).pages
    assert client.get(f"/policies/{policy.slug}/diff/{asked}").status_code == 404
    assert client.get(f"/policies/{policy.slug}/v/2/").status_code == 404


def test_who_may_not_see_the_policy_finds_neither_page() -> None:
    policy = make_policy(*FIRST, unit=make_unit())
    stranger = Person(make_holder(VIEW, unit=make_unit())).pages
    for name, args in (("policies:version", [policy.slug, 1]), ("policies:diff", [policy.slug])):
        assert stranger.get(reverse(name, args=args)).status_code == 404


def test_one_version_alone_and_the_same_twice_are_said_so() -> None:
    policy = make_policy(*FIRST)
    reader = Person(make_holder(VIEW))
    assert "Nothing to compare" in reader.page(f"/policies/{policy.slug}/diff/")
    save_policy(system_user("console"), slug=policy.slug, name=policy.name, rules=[make_rule(slug="all")])
    assert "The same rules" in reader.page(f"/policies/{policy.slug}/diff/?from=2&to=2")
