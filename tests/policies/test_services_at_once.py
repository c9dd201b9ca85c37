"""Publishing by several people at the same time, with real commits."""

from concurrent.futures import ThreadPoolExecutor

from django.db import connection

from apps.policies.models import Policy, Release
from apps.policies.rules import Effect
from apps.policies.services import evaluate_action, publish_policy
from tests.factories.access import make_admin
from tests.factories.policies import make_facts, make_policy


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
