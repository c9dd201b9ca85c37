"""Chats as documents: applied, exported, removed; the address comes from the environment and goes nowhere."""

import pytest

from apps.audit.models import Entry, Payload
from apps.configuration.selectors import export_for
from apps.configuration.services import ConfigurationError, apply_documents
from apps.core.models import User
from apps.core.services import system_user
from apps.notifications.models import ChatTarget
from apps.notifications.services.chats import webhook_url
from tests.factories.access import make_queue, make_user

pytestmark = pytest.mark.django_db
URL = "https://hooks.example/services/canary"


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> User:
    monkeypatch.setenv("CHAT_URL", URL)
    return system_user("console")


def document(**keys: str) -> dict[str, str]:
    lines = {"kind": "ChatTarget", "slug": "finance", **keys}
    return {"chats.yaml": "".join(f"{name}: {value}\n" for name, value in lines.items())}


def test_a_chat_is_applied_kept_and_exported_without_its_address(
    console: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make_queue()
    texts = document(queue=queue.slug, url_env="CHAT_URL")
    assert apply_documents(console, texts=texts) == ["created   ChatTarget finance"]
    assert apply_documents(console, texts=texts) == []
    assert webhook_url(ChatTarget.objects.get()) == URL
    monkeypatch.delenv("CHAT_URL")
    assert apply_documents(console, texts=texts) == []
    exported = export_for(console, kinds=["ChatTarget"])
    assert f"queue: {queue.slug}" in exported
    assert "canary" not in exported + repr([*Entry.objects.values(), *Payload.objects.values()])
    assert apply_documents(console, texts={"export.yaml": exported}) == []


def test_a_chat_that_goes_is_destroyed(console: User) -> None:
    person = make_user()
    apply_documents(console, texts=document(user=person.username, url_env="CHAT_URL"))
    apply_documents(console, texts=document(state="absent"))
    assert not ChatTarget.objects.filter(removed_at=None).exists()
    assert export_for(console, kinds=["ChatTarget"]) == ""


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"queue": "nowhere", "url_env": "CHAT_URL"}, "There is no Queue nowhere."),
        ({"url_env": "CHAT_URL"}, "Name a queue or a person"),
        ({"user": "ada", "url_env": "UNSET"}, "Give the webhook"),
        ({"user": "ada", "url": URL}, "Unknown key"),
    ],
)
def test_what_makes_no_sense_changes_nothing(console: User, keys: dict[str, str], said: str) -> None:
    make_user(username="ada")
    entries = Entry.objects.count()
    with pytest.raises(ConfigurationError) as refused:
        apply_documents(console, texts=document(**keys))
    assert said in str(refused.value)
    assert not ChatTarget.objects.exists()
    assert Entry.objects.count() == entries
