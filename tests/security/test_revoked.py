"""Whatever was ended anywhere is refused by every web process on the next request, and open pages lose their stream."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import connection

from apps.access.models import Role, RoleGrant, Session
from apps.access.services import (
    create_token,
    end_other_sessions,
    end_person,
    end_session,
    end_sessions_of,
    revoke_role,
)
from apps.access.services.tokens import revoke_token, token_behind
from apps.access.sessions import SessionStore
from apps.agents.models import AccessToken, Action, AgentCredential
from apps.agents.services import change_state, revoke_credential
from apps.agents.services.access_tokens import revoke_access_token
from apps.connectors.models import Effect
from apps.connectors.rules import Money
from apps.connectors.services import narrow_operation, revoke_operation
from tests.factories.access import make_admin, make_user
from tests.factories.agents import make_agent, make_key_for
from tests.factories.oversight import make_payment
from tests.serving import serving, wait_for, working
from tests.workflows.actions import make_desk

HANGS_S = 120  # far beyond any answer; only tells a hang from an answer


@pytest.fixture
def planes(real_db: str, tmp_path: Path) -> Iterator[list[str]]:
    """Two web processes on one database."""
    name = str(connection.settings_dict["NAME"])
    folders = [tmp_path / "one", tmp_path / "two"]
    with ExitStack() as stack:
        for folder in folders:
            folder.mkdir()
        yield [stack.enter_context(serving(name, folder)) for folder in folders]


def signed_in(person: Any) -> dict[str, str]:
    """The cookie of a session of theirs."""
    session = SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    session.create()
    return {"Cookie": f"sessionid={session.session_key}"}


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def statuses(planes: list[str], headers: dict[str, str]) -> set[int]:
    return {httpx.get(f"{plane}/api/v1/me/", headers=headers, timeout=HANGS_S).status_code for plane in planes}


def test_no_process_takes_what_was_ended_at_another(planes: list[str]) -> None:
    admin = make_admin()
    ways: list[tuple[dict[str, str], Callable[[], Any]]] = []
    agent = make_agent()
    ways.append(
        (
            bearer(make_key_for(agent)),
            lambda: revoke_credential(admin, credential=AgentCredential.objects.get(agent=agent)),
        )
    )
    ways += [of_token(planes[0], admin), of_key(planes[0], admin)]
    holder, leaver = make_user(), make_user()
    text = create_token(holder, user=holder)
    ways.append((bearer(text), lambda: revoke_token(holder, token=token_behind(text))))
    ways.append((bearer(create_token(leaver, user=leaver)), lambda: end_person(admin, user=leaver, reason="Left.")))
    for end_of in SESSIONS:
        person = make_user()
        ways.append((signed_in(person), lambda person=person, end_of=end_of: end_of(admin, person)))
    for headers, end in ways:
        assert statuses(planes, headers) == {200}
        end()
        assert statuses(planes, headers) <= {401, 403}


def of_token(plane: str, admin: Any) -> tuple[dict[str, str], Callable[[], Any]]:
    """An agent's token, ended by itself."""
    headers, agent = token_of(plane)
    return headers, lambda: revoke_access_token(admin, token=AccessToken.objects.get(credential__agent=agent))


def of_key(plane: str, admin: Any) -> tuple[dict[str, str], Callable[[], Any]]:
    """One that ends with the key that it was asked for with."""
    headers, agent = token_of(plane)
    return headers, lambda: revoke_credential(admin, credential=AgentCredential.objects.get(agent=agent))


def token_of(plane: str) -> tuple[dict[str, str], Any]:
    agent = make_agent()
    form = {"grant_type": "client_credentials", "client_id": agent.slug, "client_secret": make_key_for(agent)}
    return bearer(httpx.post(f"{plane}/oauth/token", data=form, timeout=HANGS_S).json()["access_token"]), agent


SESSIONS: list[Callable[[Any, Any], Any]] = [
    lambda _admin, person: end_session(person, ref=Session.objects.get(user=person).ref),
    lambda _admin, person: end_other_sessions(person, but=None),
    lambda admin, person: end_sessions_of(admin, user=person),
    lambda admin, person: end_person(admin, user=person, reason="Left."),
]


def test_a_suspended_agent_does_nothing_more_at_any_process(planes: list[str]) -> None:
    agent = make_agent()
    headers = bearer(make_key_for(agent)) | {"Idempotency-Key": "once"}
    change_state(make_admin(), agent=agent, to="suspended", reason="Odd.")
    for plane in planes:
        answer = httpx.post(f"{plane}/api/v1/actions/", json={"operation": "x", "parameters": {}}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "agent_inactive")


def test_a_role_that_was_revoked_at_one_process_decides_nothing_at_another(planes: list[str]) -> None:
    for how in (lambda held: revoke_role(make_admin(), grant=held, reason="Left."), lambda held: lower(held.role)):
        payment = make_payment()
        headers = bearer(create_token(payment.ada, user=payment.ada))
        item = f"/api/v1/escalations/{payment.item.pk}/"
        for plane in planes:
            assert httpx.get(f"{plane}{item}", headers=headers, timeout=HANGS_S).status_code == 200
        how(RoleGrant.objects.get(user=payment.ada))
        said = {"verdict": "approve", "version": payment.item.version}
        for plane in planes:
            answer = httpx.post(f"{plane}{item}decision/", json=said, headers=headers, timeout=HANGS_S)
            assert answer.status_code in {403, 404}, answer.text
        assert payment.now().state == "pending"


def lower(role: Role) -> None:
    """Everybody's, by taking from the role what it may."""
    Role.objects.filter(pk=role.pk).update(permissions=[])


@pytest.mark.parametrize(("how", "refused"), [("revoked", (404, "not_found")), ("narrowed", (403, "not_allowed"))])
def test_a_permission_taken_at_one_process_is_gone_at_another_and_for_workers(
    planes: list[str], tmp_path: Path, how: str, refused: tuple[int, str]
) -> None:
    desk, admin = make_desk(), make_admin()
    held = {"holder": desk.agent.user, "operation": desk.operation, "reason": "Enough."}
    for number, plane in enumerate(planes):
        headers = bearer(desk.key) | {"Idempotency-Key": f"before-{number}"}
        answer = httpx.post(f"{plane}/api/v1/actions/", json=desk.body(50_000), headers=headers, timeout=HANGS_S)
        assert answer.json()["state"] == "approved", answer.text
    if how == "revoked":
        revoke_operation(admin, **held)
    else:
        narrow_operation(admin, **held, fields=None, until=None, limit=Money(10_000, "EUR"))
    for number, plane in enumerate(planes):
        headers = bearer(desk.key) | {"Idempotency-Key": f"after-{number}"}
        answer = httpx.post(f"{plane}/api/v1/actions/", json=desk.body(50_000), headers=headers, timeout=HANGS_S)
        assert (answer.status_code, answer.json()["code"]) == refused
    with working(str(connection.settings_dict["NAME"]), tmp_path):
        wait_for(lambda: not Action.objects.exclude(state="failed").exists())
    assert not Effect.objects.filter(attempt__gt=0).exists()


def test_open_pages_lose_their_stream_at_every_process(planes: list[str]) -> None:
    admin = make_admin()
    for end_of in SESSIONS:
        person = make_user()
        headers = signed_in(person)
        with ExitStack() as stack:

            def page(plane: str, headers: dict[str, str] = headers, stack: ExitStack = stack) -> httpx.Response:
                url = f"{plane}/live/?topics=inbox"
                return stack.enter_context(httpx.stream("GET", url, headers=headers, timeout=HANGS_S))

            theirs = [page(plane) for plane in planes]
            assert {each.status_code for each in theirs} == {200}
            end_of(admin, person)
            for each in theirs:
                assert b"data:" not in b"".join(each.iter_raw())  # until the server has closed it
            assert page(planes[1]).status_code == 204  # do not come again
