"""Whoever may carry out an erasure that somebody asked for is told of it, once, until it is answered."""

from typing import Any

import pytest

from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.notifications.models import Delivery, Notice
from apps.notifications.selectors import notices_for, unseen_count_for
from apps.notifications.services import save_wishes
from apps.notifications.tasks import send_messages
from apps.workflows.models import ErasureRequest
from apps.workflows.services import ask_erasure, drop_erasure, erase_trail
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.oversight import Payment, make_payment, say
from tests.notifications.conftest import Mailbox, later, tell
from tests.notifications.test_in_app import mailed, signed_in

pytestmark = pytest.mark.django_db
WHY, ERASE = "The data subject, Bond, asked us to.", "audit.erase_payload"


def settled() -> Payment:
    """A payment that was rejected, told and reacted to."""
    payment = make_payment()
    say(payment.ada, payment.item, "reject", reason="No.")
    tell()
    return payment


def told_of_it() -> set[Any]:
    return {row.recipient for row in Delivery.objects.filter(notice__event="erasure", channel="in_app")}


def test_those_who_may_carry_it_out_are_told_and_nobody_else() -> None:
    payment = settled()
    asker, other, here = make_admin(), make_admin(), make_holder(ERASE, unit=payment.unit)
    make_holder(ERASE, unit=make_unit())
    make_holder("audit.view_entry")
    ask_erasure(asker, trail_id=payment.item.trail, reason=WHY)
    tell()
    assert told_of_it() == {other, here}
    (row,) = notices_for(here)
    page = signed_in(here).get("/notifications/").content.decode()
    assert f"{asker} wants the words of a trail erased" in page
    assert "Bond" not in page
    opened = signed_in(here).get(f"/notifications/{row.pk}/")
    assert opened["Location"] == f"/audit/trails/{payment.item.trail}/erase/"
    assert signed_in(here).get(opened["Location"]).status_code == 200


def test_once_and_again_for_a_new_request_only() -> None:
    payment, asker, other = settled(), make_admin(), make_admin()
    ask_erasure(asker, trail_id=payment.item.trail, reason=WHY)
    for _ in range(3):
        tell()
    assert Notice.objects.filter(event="erasure").count() == 1
    assert unseen_count_for(other) == 1
    drop_erasure(other, trail_id=payment.item.trail, reason="Not yet.")
    tell()
    assert unseen_count_for(other) == 0
    ask_erasure(asker, trail_id=payment.item.trail, reason=WHY)
    tell()
    assert unseen_count_for(other) == 1


def test_what_is_done_asks_no_more() -> None:
    payment, asker, one, other = settled(), make_admin(), make_admin(), make_admin()
    ask_erasure(asker, trail_id=payment.item.trail, reason=WHY)
    tell()
    erase_trail(one, trail_id=payment.item.trail)
    tell()
    assert (unseen_count_for(one), unseen_count_for(other)) == (0, 0)


def test_it_can_be_agreed_to_before_anybody_was_told() -> None:
    payment, asker, other = settled(), make_admin(), make_admin()
    ask_erasure(asker, trail_id=payment.item.trail, reason=WHY)
    erase_trail(other, trail_id=payment.item.trail)
    tell()
    assert ErasureRequest.objects.get().outcome == "erased"
    assert told_of_it() == set()
    assert Entry.objects.filter(name="payloads.erased").exists()


def test_mail_goes_by_one_s_wishes_and_not_once_it_is_answered(mail: Mailbox) -> None:
    payment, asker, other, silent = settled(), make_admin(), make_admin(), make_admin()
    mailed(other, silent)
    save_wishes(other, timings={"email": {"medium": "now"}}, quiet=None)
    save_wishes(silent, timings={"email": {"medium": "off"}}, quiet=None)
    ask_erasure(asker, trail_id=payment.item.trail, reason=WHY)
    tell()
    (letter,) = mail.to(other.email)
    text = letter.get_body(("plain",)).get_content()
    assert "wants the words of a trail erased" in text
    assert f"/audit/trails/{payment.item.trail}/erase/" in text
    assert "Bond" not in text
    assert mail.to(silent.email) == []


def test_a_digest_leaves_out_what_was_answered_meanwhile(mail: Mailbox) -> None:
    payment, asker, other = settled(), make_admin(), make_admin()
    mailed(other)
    ask_erasure(asker, trail_id=payment.item.trail, reason=WHY)
    tell()
    drop_erasure(asker, trail_id=payment.item.trail)
    while deliver_reactions():
        pass
    later()
    send_messages()
    assert mail.to(other.email) == []
    assert Delivery.objects.get(recipient=other, channel="email").outcome == "not_asked"
