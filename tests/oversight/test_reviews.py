"""A sample of what was done is looked at afterwards: it holds nothing up, and tells who is mostly wrong."""

from dataclasses import replace
from uuid import uuid4

import pytest

from apps.audit.models import Entry
from apps.core.errors import InvalidError, NotAllowedError
from apps.oversight.models import Escalation
from apps.oversight.rules import is_sampled
from apps.policies.rules import Effect, Verdict, is_stricter
from apps.policies.rules.obligations import DocumentError, Obligations, read_obligations
from tests.connectors.conftest import system
from tests.factories.access import make_approver
from tests.factories.oversight import say
from tests.factories.policies import make_policy, make_rule
from tests.workflows.actions import make_desk, the_item, work

__all__ = ["system"]

pytestmark = pytest.mark.django_db


def test_a_share_is_taken_by_a_number_that_nobody_chooses():
    ids = [uuid4() for _ in range(4_000)]
    taken = sum(is_sampled(one, 200) for one in ids) / len(ids)
    assert 0.01 < taken < 0.03
    assert all(is_sampled(one, 10_000) for one in ids)
    assert not any(is_sampled(one, share) for one in ids for share in (None, 0))
    assert [is_sampled(one, 200) for one in ids] == [is_sampled(one, 200) for one in ids]


@pytest.mark.parametrize(("said", "share"), [("2%", 200), ("0.5%", 50), ("100%", 10_000), ("0.01%", 1)])
def test_a_share_is_read_from_the_document(said, share):
    demands = read_obligations({"sample": said})
    assert demands.sample == share
    other = read_obligations({"sample": "1%"})
    assert (demands | other).sample == max(share, 100)


@pytest.mark.parametrize("said", ["0%", "101%", "2", 2, 0.02, "2 %", "-1%", "1.234%", None, "１%%"])
def test_what_is_no_share_is_refused(said):
    with pytest.raises(DocumentError, match="sample"):
        read_obligations({"sample": said})


def test_a_larger_sample_asks_nobody_again():
    before = Verdict(effect=Effect.REQUIRE_APPROVAL, rules=(), obligations=Obligations())
    assert not is_stricter(replace(before, obligations=Obligations(sample=500)), before)
    assert is_stricter(replace(before, obligations=Obligations(hold_s=5)), before)


def desk_of(system):
    desk = make_desk(system.url, obligations={"sample": "100%"})
    all_of_them = make_rule(when="action.amount_minor <= 100000", obligations={"sample": "100%"})
    make_policy(all_of_them, unit=desk.agent.unit)
    return desk


def done(desk, amount_minor):
    """What an agent did, with a person's yes where it needed one; and what asks people about it."""
    asked = desk.ask(amount_minor).json()
    work()
    if asked["state"] == "pending_approval":
        say(desk.approver, the_item())
        work()
    assert desk.get(f"actions/{asked['id']}/").json()["state"] == "succeeded"
    return Escalation.objects.get(action=asked["id"], kind="review")


@pytest.mark.parametrize("amount_minor", [50_000, 250_000])
def test_what_was_allowed_and_what_was_approved_is_looked_at_afterwards(system, amount_minor):
    desk = desk_of(system)
    review = done(desk, amount_minor)
    assert (review.state, review.risk, review.expires_at, review.run_id) == ("pending", "low", None, None)
    reviewer = make_approver(desk.queue)
    judged = say(reviewer, review, "answer", answer={"verdict": "harmful", "reason": "the vendor does not exist"})
    work()
    assert judged.state == "answered"
    assert desk.get(f"actions/{review.action_id}/").json()["state"] == "succeeded"
    assert not Escalation.objects.filter(state="pending").exists()
    assert Entry.objects.filter(name="escalation.answered", subject_id=review.pk).count() == 1


def test_whoever_approved_it_does_not_judge_it(system):
    desk = desk_of(system)
    review = done(desk, 250_000)
    with pytest.raises(NotAllowedError) as refusal:
        say(desk.approver, review, "answer", answer={"verdict": "right"})
    assert refusal.value.members["why"] == "excluded"
    assert review.votes.count() == 0


@pytest.mark.parametrize(
    "answer",
    [
        {"verdict": "wrong"},
        {"verdict": "wrong", "reason": ""},
        {"verdict": "fine"},
        {},
        "right",
        {"verdict": "right", "x": 1},
    ],
)
def test_a_judgement_against_it_says_why(system, answer):
    desk = desk_of(system)
    review = done(desk, 50_000)
    with pytest.raises(InvalidError):
        say(desk.approver, review, "answer", answer=answer)
    assert say(desk.approver, review, "answer", answer={"verdict": "right"}).state == "answered"


def test_nothing_is_asked_where_no_rule_wants_a_sample_or_the_action_failed(system):
    desk = make_desk(system.url)
    desk.ask(50_000)
    work()
    assert not Escalation.objects.exists()
    failing = desk_of(system)
    system.will(status=400)
    failing.ask(50_000)
    work()
    assert not Escalation.objects.filter(kind="review").exists()


def test_the_page_of_a_review_says_what_was_done_and_takes_the_judgement(system, client):
    desk = desk_of(system)
    review = done(desk, 50_000)
    client.force_login(desk.approver)
    page = client.get(f"/inbox/{review.pk}/").content.decode()
    assert "What was done" in page
    assert "If you approve" not in page
    typed = {"verdict": "answer", "version": 1, "view_hash": review.view_hash(), "a-verdict": "1"}
    assert client.post(f"/inbox/{review.pk}/decision/", typed).status_code == 422
    answer = client.post(f"/inbox/{review.pk}/decision/", {**typed, "a-reason": "twice the agreed price"})
    assert answer.status_code == 302
    review.refresh_from_db()
    assert review.answer == {"verdict": "wrong", "reason": "twice the agreed price"}
