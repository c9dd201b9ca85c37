"""A person's own keys, and jumping to what they name."""

import pytest
from django.test import Client

from apps.agents.models import Action
from apps.core.models import User
from apps.core.shortcuts import KNOWN, SHORTCUTS, keymap_of, shortcut_errors
from tests.factories.access import make_holder, make_user
from tests.factories.oversight import make_payment

PALETTE = {"HX-Request": "true", "HX-Target": "palette-found"}


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def typed(**changes: str) -> dict[str, str]:
    """The form as it stands from the start, with changes."""
    return {"on": "on", **{each.field: each.key[-1] for each in SHORTCUTS}, **changes}


def test_every_key_is_named_once_and_none_is_taken_twice() -> None:
    assert len(KNOWN) == len(SHORTCUTS) == len({each.field for each in SHORTCUTS})
    assert shortcut_errors({each.key: each.key for each in SHORTCUTS}) == {}


@pytest.mark.parametrize(
    ("own", "wrong"),
    [
        ({"a": "y"}, set()),
        ({"a": "r"}, {"a"}),
        ({"a": "r", "r": "a"}, set()),
        ({"a": "y", "r": "y"}, {"a", "r"}),
        ({"a": "g"}, {"a"}),
        ({"a": "?"}, {"a"}),
        ({"a": "5"}, {"a"}),
        ({"a": "A"}, {"a"}),
        ({"a": "ab"}, {"a"}),
        ({"a": "é"}, {"a"}),
        ({"a": " "}, {"a"}),
        ({"g i": "g a"}, {"g i"}),
        ({"g i": "g g"}, set()),
        ({"g i": "g y"}, set()),
        ({"nonsense": "y"}, {"nonsense"}),
    ],
)
def test_conflicts_are_found_where_they_are_made(own: dict[str, str], wrong: set[str]) -> None:
    assert set(shortcut_errors(own)) == wrong


def test_what_is_pressed_leads_to_what_pages_call_it_and_a_key_given_away_to_nothing() -> None:
    assert keymap_of({"a": "y"}) == {"y": "a", "a": ""}
    assert keymap_of({"a": "r", "r": "a"}) == {"r": "a", "a": "r"}
    assert keymap_of({}) == {}


@pytest.mark.django_db
def test_keys_are_kept_shown_on_every_page_and_put_back() -> None:
    payment = make_payment()
    client = signed_in(payment.ada)
    assert client.post("/settings/shortcuts/", typed(key_a="y", key_g_i="n"))["Location"] == "/settings/shortcuts/"
    payment.ada.refresh_from_db()
    assert payment.ada.shortcuts == {"off": False, "keys": {"a": "y", "g i": "g n"}}
    page = client.get("/inbox/").content.decode()
    assert "<kbd>Y</kbd>" in page
    assert "Approve</span> <kbd>A</kbd>" not in page
    assert "Approve</span> <kbd>Y</kbd>" in page
    assert "<kbd>G</kbd> <kbd>N</kbd>" in page
    assert "&quot;y&quot;: &quot;a&quot;" in page
    client.post("/settings/shortcuts/", {**typed(), "reset": "1"})
    payment.ada.refresh_from_db()
    assert payment.ada.shortcuts == {"off": False, "keys": {}}


@pytest.mark.django_db
def test_a_conflict_is_refused_beside_the_field_and_nothing_is_kept() -> None:
    person = make_user()
    answer = signed_in(person).post("/settings/shortcuts/", typed(key_a="r"))
    assert answer.status_code == 422
    assert 'id="id_key_a_error">Taken by “Reject”.' in answer.content.decode()
    person.refresh_from_db()
    assert person.shortcuts == {}


@pytest.mark.django_db
def test_keys_that_are_off_are_shown_nowhere() -> None:
    payment = make_payment()
    client = signed_in(payment.ada)
    client.post("/settings/shortcuts/", {name: value for name, value in typed().items() if name != "on"})
    page = client.get("/inbox/").content.decode()
    assert 'data-keys="off"' in page
    assert "<kbd>A</kbd>" not in page
    assert "Single keys are off" in page


@pytest.mark.django_db
def test_the_palette_finds_pages_items_by_their_ending_and_names() -> None:
    payment = make_payment()
    client = signed_in(payment.ada)
    everything = client.get("/search/", headers=PALETTE).content.decode()
    assert 'href="/inbox/"' in everything
    assert 'role="option"' in everything
    assert "/connectors/" not in everything  # the menu shows it to others
    assert 'href="/inbox/focus/"' in client.get("/search/", {"q": "foc"}, headers=PALETTE).content.decode()
    found = client.get("/search/", {"q": str(payment.item.pk)[-8:].upper()}, headers=PALETTE).content.decode()
    assert f'href="/inbox/{payment.item.pk}/"' in found
    assert (
        f'href="/inbox/{payment.item.pk}/"'
        in client.get("/search/", {"q": str(payment.item.pk)}, headers=PALETTE).content.decode()
    )
    nothing = client.get("/search/", {"q": "<b>zzz"}, headers=PALETTE).content.decode()
    assert "Nothing is called “&lt;b&gt;zzz”" in nothing


@pytest.mark.django_db
def test_an_action_is_found_by_what_its_agent_calls_it() -> None:
    payment, other = make_payment(), make_payment()
    Action.objects.filter(pk=payment.action.pk).update(reference="INV-7")

    def found(person: User, text: str) -> bool:
        page = signed_in(person).get("/search/", {"q": text}, headers=PALETTE).content.decode()
        return f"/actions/{payment.action.pk}/" in page

    auditor = make_holder("agents.view_agent", unit=payment.unit)
    assert found(auditor, "INV-7")
    assert not found(auditor, "INV-")
    assert not found(make_holder("agents.view_agent", unit=other.unit), "INV-7"), "it belongs to another unit"


@pytest.mark.django_db
def test_the_palette_shows_nothing_of_other_units() -> None:
    payment, other = make_payment(), make_payment()
    found = signed_in(other.ada).get("/search/", {"q": str(payment.item.pk)[-8:]}, headers=PALETTE).content.decode()
    assert "/inbox/" not in found
