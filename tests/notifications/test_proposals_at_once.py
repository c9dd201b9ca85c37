"""A proposal is decided while people are being told of it, with real connections and commits."""

from threading import Event
from time import sleep

import pytest
from django.db import transaction

from apps.audit.tasks import deliver_reactions
from apps.notifications.models import Delivery, Notice
from apps.notifications.services import close_proposal_notices
from apps.notifications.services.notices import _spread
from apps.policies.services import decline_proposal
from tests.factories.access import make_admin
from tests.notifications.test_proposals import policy_in, proposed
from tests.together import at_once

pytestmark = pytest.mark.usefixtures("real_db")


def test_what_is_being_spread_while_it_is_decided_asks_nobody_afterwards() -> None:
    policy, author, other = policy_in(), make_admin(), make_admin()
    made = proposed(author, policy)
    deliver_reactions()
    notice, is_spread = Notice.objects.get(event="proposal"), Event()

    def spread() -> None:
        with transaction.atomic():
            _spread(notice.pk)
            is_spread.set()
            sleep(0.5)  # while the other decides

    def decide() -> None:
        assert is_spread.wait(10)
        decline_proposal(other, proposal=made, reason="No.")
        close_proposal_notices(other, proposal_id=made.pk)

    at_once(spread, decide)
    assert Delivery.objects.filter(channel="in_app").count() == 1
    assert not Delivery.objects.filter(channel="in_app", closed_at=None).exists()
