"""What was seen is kept with the vote, once, for ever; what was opened is noted."""

import hashlib
import json
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from apps.audit.models import Entry
from apps.core.models import User
from apps.core.rules import canonical_json
from apps.oversight.models import EvidenceView, ViewSnapshot, Vote
from tests.factories.oversight import make_payment, nothing_happens, say

pytestmark = pytest.mark.django_db
FRAGMENT = {"HX-Request": "true", "HX-Target": "piece"}


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def with_evidence(**fields: Any) -> Any:
    payment = make_payment(**fields)
    pieces = [
        {"title": "Invoice 8841", "text": "2,500.00 EUR"},
        {"title": "Contract", "url": "https://erp.example/c/1"},
    ]
    payment.action.evidence = pieces
    payment.action.save(update_fields=["evidence"])
    return payment


def test_a_vote_keeps_the_canonical_view_under_its_digest() -> None:
    payment = make_payment(quorum=2)
    item = payment.item
    text = canonical_json(item.shown()).decode()
    say(payment.ada, item, view_hash=item.view_hash())
    say(payment.ben, item, view_hash=item.view_hash())
    kept = ViewSnapshot.objects.get()  # both saw the same: kept once
    assert kept.shown == text
    assert f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" == kept.hash
    assert set(Vote.objects.values_list("view_hash", flat=True)) == {kept.hash}


def test_an_edit_keeps_what_was_seen_before_it() -> None:
    payment = make_payment()
    seen = payment.item.view_hash()
    say(payment.ada, payment.item, view_hash=seen, parameters={**payment.action.parameters, "amount_minor": 200_000})
    assert json.loads(ViewSnapshot.objects.get(pk=seen).shown or "")["values"]["amount_minor"] == 250_000
    assert Vote.objects.get().view_hash == seen


def test_what_was_refused_keeps_nothing() -> None:
    payment = make_payment()
    answer = signed_in(payment.ada).post(
        f"/api/v1/escalations/{payment.item.pk}/decision/",
        {"verdict": "approve", "version": 1, "view_hash": f"sha256:{'0' * 64}"},
        content_type="application/json",
        headers={"Idempotency-Key": "stale"},
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "stale")
    assert not ViewSnapshot.objects.exists()


@pytest.mark.parametrize("change", [{"shown": "{}"}, {"hash": f"sha256:{'1' * 64}"}])
def test_the_database_refuses_to_change_what_was_seen(change: dict[str, str]) -> None:
    payment = make_payment()
    say(payment.ada, payment.item, view_hash=payment.item.view_hash())
    with pytest.raises(IntegrityError, match="does not change"), transaction.atomic():
        ViewSnapshot.objects.update(**change)
    with pytest.raises(IntegrityError, match="does not change"), transaction.atomic():
        ViewSnapshot.objects.all().delete()


def test_the_page_shows_later_what_was_seen_and_that_the_digest_fits() -> None:
    payment = make_payment()
    say(payment.ada, payment.item, view_hash=payment.item.view_hash())
    vote = Vote.objects.get()
    page = signed_in(payment.ben).get(f"/inbox/{payment.item.pk}/seen/{vote.pk}/").content.decode()
    assert "250000" in page
    assert "The digest fits" in page
    ViewSnapshot.objects.update(shown=None)  # an erasure
    page = signed_in(payment.ben).get(f"/inbox/{payment.item.pk}/seen/{vote.pk}/").content.decode()
    assert "Erased" in page
    assert "250000" not in page


def test_a_vote_without_a_view_says_so() -> None:
    payment = make_payment()
    say(payment.ada, payment.item)
    page = signed_in(payment.ada).get(f"/inbox/{payment.item.pk}/seen/{Vote.objects.get().pk}/").content.decode()
    assert "No view was kept" in page


def test_the_api_tells_each_vote_with_its_view() -> None:
    payment = make_payment()
    say(payment.ada, payment.item, view_hash=payment.item.view_hash())
    told = signed_in(payment.ben).get(f"/api/v1/escalations/{payment.item.pk}/").json()["votes"]
    assert [(vote["by"], vote["verdict"], vote["view_hash"]) for vote in told] == [
        (payment.ada.username, "approve", payment.item.view_hash())
    ]
    assert told[0]["seen"]["values"] == {"amount_minor": 250_000, "currency": "EUR", "iban": "DE0017"}


def test_on_a_high_tier_the_view_of_others_stays_hidden_until_one_has_voted() -> None:
    payment = make_payment(risk="high", quorum=2)
    say(payment.ada, payment.item, view_hash=payment.item.view_hash(), restated=250_000)
    vote = Vote.objects.get()
    client = signed_in(payment.ben)
    assert client.get(f"/inbox/{payment.item.pk}/seen/{vote.pk}/").status_code == 404
    assert client.get(f"/api/v1/escalations/{payment.item.pk}/").json()["votes"] == []
    assert signed_in(payment.ada).get(f"/inbox/{payment.item.pk}/seen/{vote.pk}/").status_code == 200


def test_the_views_of_another_unit_are_not_there() -> None:
    payment, other = make_payment(), make_payment()
    say(payment.ada, payment.item, view_hash=payment.item.view_hash())
    vote = Vote.objects.get()
    client = signed_in(other.ada)
    assert client.get(f"/inbox/{payment.item.pk}/seen/{vote.pk}/").status_code == 404
    assert client.get(f"/inbox/{other.item.pk}/seen/{vote.pk}/").status_code == 404


def test_opening_evidence_is_noted_once_and_ticked() -> None:
    payment = with_evidence()
    client = signed_in(payment.ada)
    digest = f"sha256:{hashlib.sha256(b'2,500.00 EUR').hexdigest()}"
    page = client.get(f"/inbox/{payment.item.pk}/").content.decode()
    assert "viewed 0/2" in page
    assert "12\xa0bytes" in page
    assert digest in page
    assert '<pre class="code" tabindex="0">2,500.00 EUR' not in page
    piece = client.post(f"/inbox/{payment.item.pk}/evidence/", {"digest": digest}, headers=FRAGMENT).content.decode()
    assert "2,500.00 EUR" in piece
    assert "Viewed" in piece
    client.post(f"/inbox/{payment.item.pk}/evidence/", {"digest": digest})
    assert EvidenceView.objects.count() == 1
    assert Entry.objects.get(name="evidenceview.viewed").trail_id == payment.item.trail
    assert "viewed 1/2" in client.get(f"/inbox/{payment.item.pk}/").content.decode()
    assert "viewed 0/2" in signed_in(payment.ben).get(f"/inbox/{payment.item.pk}/").content.decode()


def test_without_script_the_piece_stands_open_in_the_item() -> None:
    payment = with_evidence()
    digest = f"sha256:{hashlib.sha256(b'2,500.00 EUR').hexdigest()}"
    answer = signed_in(payment.ada).post(f"/inbox/{payment.item.pk}/evidence/?view=team", {"digest": digest})
    assert answer["Location"] == f"/inbox/{payment.item.pk}/?view=team&piece={digest[7:19]}#piece-{digest[7:19]}"


def test_evidence_that_is_not_there_is_not_noted() -> None:
    payment, other = with_evidence(), make_payment()
    digest = f"sha256:{hashlib.sha256(b'2,500.00 EUR').hexdigest()}"
    client = signed_in(payment.ada)
    with nothing_happens():
        assert client.post(f"/inbox/{payment.item.pk}/evidence/", {"digest": "sha256:x"}).status_code == 404
        assert client.post(f"/inbox/{payment.item.pk}/evidence/").status_code == 404
        assert signed_in(other.ada).post(f"/inbox/{payment.item.pk}/evidence/", {"digest": digest}).status_code == 404
        assert client.get(f"/inbox/{payment.item.pk}/evidence/").status_code == 405
