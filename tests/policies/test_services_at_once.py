"""Publishing by several people at the same time, with real commits."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from django.db import connection

from apps.core.errors import ConflictError
from apps.policies.models import Policy, Release
from apps.policies.rules import Effect, Wish
from apps.policies.services import (
    apply_policy,
    decline_proposal,
    evaluate_action,
    propose_change,
    publish_policy,
    save_policy,
)
from tests.factories.access import make_admin, make_queue
from tests.factories.policies import make_facts, make_policy, make_rule
from tests.together import at_once

ASKS = make_rule(slug="asks", when="action.amount_minor > 1000", effect="require_approval", queue="finance")


def test_publications_at_once_lose_none(real_db: str) -> None:
    admin = make_admin()
    policies = [make_policy(in_force=False) for _ in range(6)]

    def run(policy: Policy) -> int:
        try:
            return publish_policy(admin, policy=policy).number
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        numbers = sorted(pool.map(run, policies))
    assert numbers == [1, 2, 3, 4, 5, 6]
    last = Release.objects.order_by("-number")[0]
    assert {policy["policy"] for policy in last.policies} == {policy.slug for policy in policies}
    assert evaluate_action(admin, facts=make_facts()).effect is Effect.ALLOW


def test_a_proposal_is_released_or_declined_and_never_both(real_db: str) -> None:
    author, *others = (make_admin() for _ in range(3))
    make_queue(slug="finance")
    for _ in range(4):
        policy = make_policy(ASKS)
        wish = Wish(slug="item-1", effect=Effect.DENY, operation="bank.pay")
        made = propose_change(author, policy=policy.slug, wish=wish, asking=["asks"], item=uuid4(), reason="Why not.")
        number = made.version.number
        answers = at_once(
            lambda policy=policy, number=number: publish_policy(others[0], policy=policy, version=number),
            lambda made=made: decline_proposal(others[1], proposal=made, reason="No."),
        )
        assert sum(isinstance(answer, ConflictError) for answer in answers) == 1
        made.refresh_from_db()
        policy.refresh_from_db()
        assert (made.state == "released") == (policy.in_force_id == made.version_id)


def test_documents_and_people_at_once_do_not_wait_for_each_other(real_db: str) -> None:
    author, other = make_admin(), make_admin()
    make_queue(slug="finance")
    for number in range(6):
        policy = make_policy(ASKS)
        save_policy(author, slug=policy.slug, name="P", rules=[{**ASKS, "message": f"Draft {number}."}])
        latest = policy.versions.latest("number").number
        applied = [{**ASKS, "message": f"Applied {number}."}]
        at_once(
            lambda policy=policy, latest=latest: publish_policy(other, policy=policy, version=latest),
            lambda policy=policy, applied=applied: apply_policy(author, slug=policy.slug, name="P", rules=applied),
        )
        policy.refresh_from_db()
        assert policy.in_force_id in policy.versions.values_list("pk", flat=True)
