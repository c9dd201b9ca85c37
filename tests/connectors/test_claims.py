"""Claims at the same time, with real commits."""

import threading

from django.db import connection

from apps.connectors import services
from apps.connectors.models import Effect
from apps.core.errors import ConflictError
from apps.core.services import system_user
from tests.factories.agents import make_action, make_agent
from tests.factories.connectors import make_operation, permit


def test_of_ten_claims_at_once_one_wins(real_db):
    plane = system_user("plane")
    agent, operation = make_agent(), make_operation()
    permit(agent.user, operation)
    action = make_action(agent=agent, operation=operation.slug, state="approved", parameters={"iban": "DE89"})
    services.prepare_effect(plane, action=action)
    won, lost, ready = [], [], threading.Barrier(10)

    def claim():
        try:
            ready.wait()
            won.append(services.claim_effect(plane, action=type(action).objects.get(pk=action.pk)))
        except ConflictError as error:
            lost.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=claim) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 9)
    assert Effect.objects.get().attempt == 1
