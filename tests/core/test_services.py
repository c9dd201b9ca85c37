"""Answers given once, and what every floor asks the database with."""

from uuid import uuid4

import pytest
from django.db import transaction

from apps.core.errors import ConflictError
from apps.core.models import IdempotencyKey, User
from apps.core.services import answer_once, forget_answers, system_user
from tests.factories.access import make_user

pytestmark = pytest.mark.django_db


def test_a_list_of_any_length_is_one_parameter():
    one, other = make_user(), make_user()
    rows = User.objects.order_by("id")
    assert list(rows.filter(pk__any_of=[other.pk, one.pk, *(uuid4() for _ in range(70_000))])) == [one, other]
    assert not rows.filter(pk__any_of=[]).exists()


def test_the_same_key_and_body_get_the_stored_answer():
    actor, calls = make_user(), []

    def answer():
        calls.append(1)
        return 201, {"n": len(calls)}

    first = answer_once(actor, scope="s", key="k", digest="d", answer=answer)
    second = answer_once(actor, scope="s", key="k", digest="d", answer=answer)
    assert first == (201, {"n": 1}, False)
    assert second == (201, {"n": 1}, True)


def test_the_same_key_with_another_body_is_a_conflict_and_does_nothing():
    actor = make_user()
    answer_once(actor, scope="s", key="k", digest="d", answer=lambda: (200, {}))
    with pytest.raises(ConflictError) as refusal:
        answer_once(actor, scope="s", key="k", digest="other", answer=lambda: pytest.fail("it ran"))
    assert refusal.value.code == "idempotency_conflict"


def test_keys_belong_to_their_principal():
    answer_once(make_user(), scope="s", key="k", digest="d", answer=lambda: (200, 1))
    assert answer_once(make_user(), scope="s", key="k", digest="e", answer=lambda: (200, 2))[1] == 2


def test_an_answer_that_failed_can_be_asked_for_again():
    actor = make_user()

    def fail():
        raise ConflictError

    with pytest.raises(ConflictError), transaction.atomic():
        answer_once(actor, scope="s", key="k", digest="d", answer=fail)
    assert not IdempotencyKey.objects.exists()
    assert forget_answers() == 0


def test_a_system_user_cannot_take_a_persons_name():
    make_user(username="plane")
    with pytest.raises(ConflictError):
        system_user("plane")
