"""The fence between claims and halts, with real commits."""

import threading

import pytest
from django.db import connection, transaction

from apps.core.errors import HaltedError
from apps.halts.selectors import require_running, take_fence
from apps.halts.services import engage_halt
from tests.factories.access import make_admin


def test_a_halt_waits_for_claims_under_way_and_later_claims_see_it(real_db):
    admin = make_admin()
    inside, engaged, order = threading.Event(), threading.Event(), []

    def claim():
        with transaction.atomic():
            take_fence()
            require_running(agent="payer")
            inside.set()
            engaged.wait(0.3)
            order.append("claim committed")
        connection.close()

    def engage():
        inside.wait(5)
        engage_halt(admin, scope="everything", reason="x")
        order.append("halt committed")
        engaged.set()
        connection.close()

    threads = [threading.Thread(target=work) for work in (claim, engage)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert order == ["claim committed", "halt committed"]
    with pytest.raises(HaltedError):
        require_running(agent="payer")
