"""Whoever may release a change of rules that somebody else proposed is told of it, once, until it is decided."""

from typing import Any
from uuid import uuid4

import pytest

from apps.audit.tasks import deliver_reactions
from apps.core.models import User
from apps.notifications.models import Delivery, Notice
from apps.notifications.selectors import notices_for, unseen_count_for
from apps.notifications.services import save_wishes
from apps.notifications.tasks import send_messages
from apps.policies.models import Policy, Proposal
from apps.policies.rules import Effect, Wish
from apps.policies.services import apply_policy, decline_proposal, propose_change, publish_policy, retire_policy
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.connectors import make_operation
from tests.factories.policies import make_policy, make_rule
from tests.notifications.conftest import Mailbox, later, tell
from tests.notifications.test_in_app import mailed, signed_in

pytestmark = pytest.mark.django_db
PUBLISH, VIEW, WHY = "policies.publish_policy", "policies.view_policy", "Bond never says no."


def policy_in(unit: Any = None) -> Policy:
    make_operation(slug="bank.pay")
    return make_policy(make_rule(slug="no", effect="deny"), unit=unit, name="Payments")


def proposed(author: User, policy: Policy) -> Proposal:
    wish = Wish(slug="item-1", effect=Effect.ALLOW, operation="bank.pay", amount_minor=100, currency="EUR")
    return propose_change(author, policy=policy.slug, wish=wish, asking=(), item=uuid4(), reason=WHY)


def told_of_it() -> set[Any]:
    return {row.recipient for row in Delivery.objects.filter(notice__event="proposal", channel="in_app")}


def test_those_who_may_release_it_are_told_where_it_stands_and_nobody_else() -> None:
    unit = make_unit()
    author, here, other = make_holder(PUBLISH, unit=unit), make_holder(PUBLISH, VIEW, unit=unit), make_admin()
    make_holder(PUBLISH, unit=make_unit())
    make_holder(VIEW, unit=unit)
    policy = policy_in(unit)
    made = proposed(author, policy)
    for _ in range(2):
        tell()
    assert told_of_it() == {here, other}
    assert Notice.objects.filter(event="proposal").count() == 1
    (row,) = notices_for(here)
    page = signed_in(here).get("/notifications/").content.decode()
    assert f"{author} proposes a rule for Payments" in page
    assert "Bond" not in page
    (line,) = signed_in(here).get("/api/v1/notifications/").json()["results"]
    assert (line["event"], line["proposal"]) == ("proposal", str(made.pk))
    opened = signed_in(here).get(f"/notifications/{row.pk}/")["Location"]
    assert opened == f"/policies/{policy.slug}/?version={made.version.number}"
    assert "What it changes" in signed_in(here).get(opened).content.decode()


@pytest.mark.parametrize("end", ["decline", "release", "supersede"])
def test_what_is_decided_asks_no_more(end: str) -> None:
    author, one, other = make_admin(), make_admin(), make_admin()
    policy = policy_in()
    made = proposed(author, policy)
    tell()
    assert (unseen_count_for(one), unseen_count_for(other)) == (1, 1)
    if end == "decline":
        decline_proposal(one, proposal=made, reason="No.")
    elif end == "release":
        publish_policy(one, policy=policy, version=made.version.number)
    else:
        apply_policy(one, slug=policy.slug, name=policy.name, rules=[make_rule(effect="deny")])
    tell()
    assert (unseen_count_for(one), unseen_count_for(other)) == (0, 0)


def test_what_only_tightens_holds_at_once_and_asks_nobody() -> None:
    make_admin()
    policy = make_policy(make_rule())
    assert retire_policy(make_admin(), policy=policy, reason="Over.").state == "released"
    tell()
    assert told_of_it() == set()


def test_a_retirement_is_told_as_one() -> None:
    author, other = make_admin(), make_admin()
    retire_policy(author, policy=policy_in(), reason="Over.")
    tell()
    assert [row.notice.title for row in notices_for(other)] == [f"{author} proposes to retire Payments"]


def test_mail_goes_by_ones_wishes_and_a_digest_leaves_out_what_was_decided(mail: Mailbox) -> None:
    author, prompt, patient = make_admin(), make_admin(), make_admin()
    mailed(prompt, patient)
    save_wishes(prompt, timings={"email": {"medium": "now"}}, quiet=None)
    policy = policy_in()
    made = proposed(author, policy)
    tell()
    (letter,) = mail.to(prompt.email)
    text = letter.get_body(("plain",)).get_content()
    assert f"proposes a rule for {policy.name}" in text
    assert f"/policies/{policy.slug}/?version={made.version.number}" in text
    assert "Bond" not in text
    decline_proposal(prompt, proposal=made, reason="No.")
    while deliver_reactions():
        pass
    later()
    send_messages()
    assert mail.to(patient.email) == []
    assert Delivery.objects.get(recipient=patient, channel="email").outcome == "not_asked"
