"""The projection that counts what rules do: whatever the ledger says, once, behind its horizon."""

from django.conf import settings
from django.db import connection, transaction

from apps.audit.services import advance, read_on
from apps.policies.selectors import RuleNumbers, policy_numbers_for
from tests.conftest import let_the_horizon_pass
from tests.factories.access import make_user
from tests.factories.agents import make_action


def test_entries_are_counted_once(real_db: str) -> None:
    assert settings.PROJECTIONS["policies"] == "apps.policies.tasks.fold_entries"
    for _ in range(3):
        verdict = {"effect": "deny", "rules": [{"policy": "payments", "rule": "huge"}]}
        action = make_action(verdict=verdict)
        with transaction.atomic():
            advance(action.principal, action, "denied")
    let_the_horizon_pass()
    while read_on(projection="policies", limit=2):
        pass
    assert read_on(projection="policies") == 0
    assert policy_numbers_for(make_user()) == {"payments": RuleNumbers(denied=3)}
    connection.close()
