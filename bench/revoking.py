"""How soon what was ended is refused: it ends at one web process, and both are asked until neither takes it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any, NamedTuple
from uuid import UUID

import httpx

from apps.access.models import Role, RoleGrant, Session
from apps.access.services import create_token, end_person, revoke_role
from apps.access.services.tokens import token_behind
from apps.access.sessions import stored_key
from apps.agents.models import Agent, AgentCredential
from apps.agents.services import change_state
from apps.connectors.models import Operation
from apps.connectors.rules import Money
from apps.connectors.services import narrow_operation, revoke_operation
from apps.core.models import User
from bench.deciding import Asker, make_asker
from bench.streams import session_of
from tests.factories.access import make_admin, make_holder, make_user
from tests.factories.agents import make_agent, make_key_for
from tests.factories.connectors import permit

PATIENCE_S = 30
REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
"""What may not be seen any more is not there."""


type Ends = Callable[[User, UUID, httpx.Client], object]


class Held(NamedTuple):
    """Something that opens the plane: how whoever has it asks, and how it ends at a web process."""

    ask: Callable[[httpx.Client], httpx.Response]
    end: Callable[[httpx.Client], object]


class Ways:
    """Every way in which people and agents come in, and each way in which that ends."""

    def __init__(self) -> None:
        self.admin, self.asker = make_admin(), make_asker()
        self.bearer = _bearer(create_token(self.admin, user=self.admin))

    def all(self) -> Iterator[tuple[str, Callable[[], Held]]]:
        """What is measured of each, by name."""
        yield "an agent's key, revoked", self._key
        yield "an agent's token, handed back", self._token_handed_back
        yield "an agent's token, its key revoked", self._token_of_key
        yield "an agent's key, the agent suspended", self._suspended
        yield "an agent's key, its owner has left", self._ownerless
        yield "a personal token, revoked", self._personal_token
        yield "a personal token, its person has left", self._token_of_leaver
        yield "a session, ended by its person", self._own_session
        yield "a session, ended by an administrator", self._ended_session
        yield "a session, its person has left", self._session_of_leaver
        yield "a role, revoked", lambda: self._role(self._revoke_role)
        yield "a role, stripped of its permission", lambda: self._role(self._strip_role)
        yield "a permission, revoked", lambda: self._permission(revoke_operation)
        yield "a permission, narrowed below what is asked", lambda: self._permission(self._narrow)

    def _role(self, end: Callable[[RoleGrant], object]) -> Held:
        """What somebody sees of an agent because of a role, and of nothing else."""
        agent = self.asker.agent
        person = make_holder("agents.view_agent", unit=agent.unit)
        bearer, path = _bearer(create_token(person, user=person)), f"/api/v1/agents/{agent.slug}/"
        return Held(lambda web: web.get(path, headers=bearer), lambda _web: end(RoleGrant.objects.get(user=person)))

    def _revoke_role(self, grant: RoleGrant) -> None:
        revoke_role(self.admin, grant=grant, reason="Left the team.")

    def _strip_role(self, grant: RoleGrant) -> None:
        Role.objects.filter(pk=grant.role_id).update(permissions=[])

    def _permission(self, end: Callable[..., object]) -> Held:
        agent, key = self._agent_with_key()
        operation = Operation.objects.get(slug=self.asker.body["operation"])
        taken = {"holder": agent.user, "operation": operation, "reason": "Enough."}
        return Held(self._asks(agent, key), lambda _web: end(self.admin, **taken))

    def _narrow(self, actor: User, **taken: Any) -> None:
        narrow_operation(actor, **taken, fields=None, until=None, limit=Money(100, "EUR"))

    def of_streams(self) -> Iterator[tuple[str, Ends]]:
        """The ways in which open pages of a session lose it."""
        yield "the session ended by its person", lambda person, ref, web: self._end_own(person, ref)(web)
        yield "the session ended by an administrator", lambda person, _ref, web: self._end_sessions(person)(web)
        yield "the person has left", lambda person, _ref, _web: self._leave(person)

    def _agent_with_key(self) -> tuple[Agent, str]:
        agent = make_agent(unit=self.asker.agent.unit)
        permit(agent.user, Operation.objects.get(slug=self.asker.body["operation"]))
        return agent, make_key_for(agent)

    def _asks(self, agent: Agent, text: str) -> Callable[[httpx.Client], httpx.Response]:
        return Asker(agent, text, self.asker.body).ask

    def _revoke(self, agent: Agent) -> Callable[[httpx.Client], object]:
        path = f"/api/v1/agents/{agent.slug}/credentials/{AgentCredential.objects.get(agent=agent).pk}/"
        return lambda web: web.delete(path, headers=self.bearer).raise_for_status()

    def _key(self) -> Held:
        agent, key = self._agent_with_key()
        return Held(self._asks(agent, key), self._revoke(agent))

    def _token(self, agent: Agent, key: str) -> Callable[[httpx.Client], str]:
        form = {"grant_type": "client_credentials", "client_id": agent.slug, "client_secret": key}

        def token(web: httpx.Client) -> str:
            return str(web.post("/oauth/token", data=form).raise_for_status().json()["access_token"])

        return token

    def _with_token(self, end: Callable[[Agent, str], Callable[[httpx.Client, str], object]]) -> Held:
        agent, key = self._agent_with_key()
        make, ended, had = self._token(agent, key), end(agent, key), []

        def ask(web: httpx.Client) -> httpx.Response:
            if not had:
                had.append(make(web))
            return self._asks(agent, had[0])(web)

        return Held(ask, lambda web: ended(web, had[0]))

    def _token_handed_back(self) -> Held:
        def ended(agent: Agent, key: str) -> Callable[[httpx.Client, str], object]:
            own = {"client_id": agent.slug, "client_secret": key}
            return lambda web, token: web.post("/oauth/revoke", data={"token": token, **own}).raise_for_status()

        return self._with_token(ended)

    def _token_of_key(self) -> Held:
        def ended(agent: Agent, _key: str) -> Callable[[httpx.Client, str], object]:
            revoke = self._revoke(agent)
            return lambda web, _token: revoke(web)

        return self._with_token(ended)

    def _suspended(self) -> Held:
        agent, key = self._agent_with_key()
        return Held(
            self._asks(agent, key), lambda _web: change_state(self.admin, agent=agent, to="suspended", reason="Odd.")
        )

    def _ownerless(self) -> Held:
        agent, key = self._agent_with_key()
        return Held(self._asks(agent, key), lambda _web: self._leave(agent.owner))

    def _leave(self, person: User) -> None:
        end_person(self.admin, user=person, reason="Left.")

    def _personal_token(self) -> Held:
        person = make_user()
        bearer = _bearer(text := create_token(person, user=person))
        path = f"/api/v1/me/tokens/{token_behind(text).pk}/"
        return Held(_me(bearer), lambda web: web.delete(path, headers=bearer).raise_for_status())

    def _token_of_leaver(self) -> Held:
        person = make_user()
        return Held(_me(_bearer(create_token(person, user=person))), lambda _web: self._leave(person))

    def _own_session(self) -> Held:
        cookie, ref, person = signed_in()
        return Held(_me(cookie), self._end_own(person, ref))

    def _end_own(self, person: User, ref: UUID) -> Callable[[httpx.Client], object]:
        bearer = _bearer(create_token(person, user=person))
        return lambda web: web.delete(f"/api/v1/me/sessions/{ref}/", headers=bearer).raise_for_status()

    def _ended_session(self) -> Held:
        cookie, _ref, person = signed_in()
        return Held(_me(cookie), self._end_sessions(person))

    def _end_sessions(self, person: User) -> Callable[[httpx.Client], object]:
        path = f"/api/v1/users/{person.username}/sessions/"
        return lambda web: web.delete(path, headers=self.bearer).raise_for_status()

    def _session_of_leaver(self) -> Held:
        cookie, _ref, person = signed_in()
        return Held(_me(cookie), lambda _web: self._leave(person))


def signed_in() -> tuple[dict[str, str], UUID, User]:
    """The cookie of somebody's session, its name, and who it is."""
    person = make_user()
    key = session_of(person)
    return {"Cookie": f"sessionid={key}"}, Session.objects.get(session_key=stored_key(key)).ref, person


def _bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def _me(headers: dict[str, str]) -> Callable[[httpx.Client], httpx.Response]:
    return lambda web: web.get("/api/v1/me/", headers=headers)


def refusal_times(make: Callable[[], Held], urls: tuple[str, str], *, rounds: int) -> list[float]:
    """From the answer to what ends it, at the first process, until both refuse, in milliseconds."""
    with ExitStack() as stack:
        here, there = (stack.enter_context(httpx.Client(base_url=url, timeout=PATIENCE_S)) for url in urls)
        return [_until_refused(make(), here, there) for _ in range(rounds)]


def _until_refused(held: Held, here: httpx.Client, there: httpx.Client) -> float:
    for web in (here, there):
        assert held.ask(web).is_success, held.ask(web).text
    held.end(here)
    began = time.perf_counter()
    for web in (there, here):
        while (status := held.ask(web).status_code) not in REFUSED:
            assert time.perf_counter() - began < PATIENCE_S, status
    return (time.perf_counter() - began) * 1000


def stream_times(end: Ends, urls: tuple[str, str], *, rounds: int) -> list[float]:
    """The same of open streams of one session, one at each process: until both were closed."""
    with httpx.Client(base_url=urls[0], timeout=PATIENCE_S) as here:
        return [_until_closed(end, urls, here) for _ in range(rounds)]


def _until_closed(end: Ends, urls: tuple[str, str], here: httpx.Client) -> float:
    cookie, ref, person = signed_in()
    with ExitStack() as stack, ThreadPoolExecutor(len(urls)) as pool:
        streams = [
            stack.enter_context(httpx.stream("GET", f"{url}/live/?topics=inbox", headers=cookie, timeout=PATIENCE_S))
            for url in urls
        ]
        assert all(stream.status_code == HTTPStatus.OK for stream in streams)
        closed = [pool.submit(_closed_at, stream) for stream in streams]
        end(person, ref, here)
        began = time.perf_counter()
        return max(0.0, *((at.result() - began) * 1000 for at in closed))


def _closed_at(stream: httpx.Response) -> float:
    for _ in stream.iter_raw():
        pass
    return time.perf_counter()
