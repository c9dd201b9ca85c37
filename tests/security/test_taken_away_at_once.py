"""A right that is taken away while it is being used: whoever commits first wins, with real threads and connections."""

from collections.abc import Callable
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from apps.access.models import RoleGrant
from apps.access.services import revoke_role, save_role
from apps.agents.models import Action, Agent
from apps.agents.services import change_state
from apps.audit.models import Entry
from apps.connectors.models import Effect
from apps.connectors.rules import Money
from apps.connectors.services import narrow_operation, revoke_operation
from apps.core.errors import ConflictError, NotAllowedError, NotFoundError
from apps.core.models import User
from apps.core.services import system_user
from apps.oversight.models import Vote
from apps.oversight.services.votes import lock_for_votes
from apps.workflows.models import Task
from apps.workflows.services import claim_tasks
from apps.workflows.services.actions import consume_action, perform_action
from tests.agents.test_life import LOOK
from tests.factories.access import grant, make_admin, make_role
from tests.factories.oversight import make_payment, say
from tests.factories.workflows import make_workflow, permit_workflow
from tests.together import at_once
from tests.workflows.actions import Desk, make_desk

pytestmark = pytest.mark.usefixtures("real_db")
A_WHILE_S = 1.0
"""So long whoever comes second is given to be done too early."""
HANGS_S = 30


def one_within_the_other(first: Callable[[], Any], second: Callable[[], Any]) -> list[Any]:
    """``second`` begins when ``first`` has done all but commit; what both gave. It has to wait for the commit."""
    done, is_over = Event(), Event()
    early: list[bool] = []

    def holding() -> Any:
        try:
            with transaction.atomic():
                result = first()
                done.set()
                early.append(is_over.wait(A_WHILE_S))
        finally:
            done.set()
        return result

    def coming() -> Any:
        assert done.wait(HANGS_S)
        try:
            return second()
        finally:
            is_over.set()

    results = at_once(holding, coming)
    assert early == [False], "the second did not wait for the first"
    return results


def order_of(*names: str) -> list[str]:
    return list(Entry.objects.filter(name__in=names).order_by("id").values_list("name", flat=True))


class TestARole:
    def test_is_gone_before_a_vote_that_came_second(self) -> None:
        payment = make_payment()
        held = RoleGrant.objects.get(user=payment.ada)
        _gone, vote = one_within_the_other(
            lambda: revoke_role(make_admin(), grant=held, reason="Left."), lambda: say(payment.ada, payment.item)
        )
        assert isinstance(vote, NotAllowedError | NotFoundError)
        assert (payment.now().state, Vote.objects.count()) == ("pending", 0)

    def test_has_lost_its_right_before_a_vote_that_came_second(self) -> None:
        payment = make_payment()
        role, admin = RoleGrant.objects.get(user=payment.ada).role, make_admin()
        _less, vote = one_within_the_other(
            lambda: save_role(admin, slug=role.slug, name=role.name, permissions=["oversight.view_escalation"]),
            lambda: say(payment.ada, payment.item),
        )
        assert isinstance(vote, NotAllowedError | NotFoundError)
        assert (payment.now().state, Vote.objects.count()) == ("pending", 0)

    def test_loses_its_right_after_a_vote_that_came_first(self) -> None:
        payment = make_payment()
        role, admin = RoleGrant.objects.get(user=payment.ada).role, make_admin()
        one_within_the_other(
            lambda: say(payment.ada, payment.item),
            lambda: save_role(admin, slug=role.slug, name=role.name, permissions=["oversight.view_escalation"]),
        )
        assert payment.now().state == "approved"
        assert order_of("vote.cast", "role.changed") == ["vote.cast", "role.changed"]

    def test_goes_after_a_vote_that_came_first(self) -> None:
        payment = make_payment()
        admin, held = make_admin(), RoleGrant.objects.get(user=payment.ada)
        one_within_the_other(lambda: say(payment.ada, payment.item), lambda: revoke_role(admin, grant=held, reason="x"))
        assert payment.now().state == "approved"
        assert order_of("vote.cast", "rolegrant.revoked") == ["vote.cast", "rolegrant.revoked"]

    def test_of_somebody_who_voted_before_is_gone_before_the_vote_that_would_complete_theirs(self) -> None:
        payment = make_payment(quorum=2)
        say(payment.ada, payment.item)
        admin, held = make_admin(), RoleGrant.objects.get(user=payment.ada)
        one_within_the_other(
            lambda: revoke_role(admin, grant=held, reason="Left."), lambda: say(payment.ben, payment.item)
        )
        assert payment.now().state == "pending"
        assert Vote.objects.filter(voided_at=None).count() == 1


class TestVotes:
    """Keeping somebody's role where it is keeps nobody else from voting, nor them from voting elsewhere."""

    def test_of_one_person_on_two_items_do_not_wait_for_each_other(self) -> None:
        payment, other = make_payment(), make_payment()
        grant(payment.ada, make_role("oversight.decide_escalation", "oversight.view_escalation"), other.queue.unit)
        done, is_over = Event(), Event()

        def holding() -> bool:
            with transaction.atomic():
                say(payment.ada, payment.item)
                done.set()
                return is_over.wait(HANGS_S)

        def coming() -> None:
            assert done.wait(HANGS_S)
            lock_and_end(payment.ada, other.item.pk)
            is_over.set()

        assert at_once(holding, coming) == [True, None]

    def test_of_a_job_and_of_a_person_cross_without_a_deadlock(self) -> None:
        payment, other = make_payment(), make_payment()
        grant(payment.ada, make_role("oversight.decide_escalation", "oversight.view_escalation"), other.queue.unit)
        done, is_over = Event(), Event()

        def holding() -> None:
            with transaction.atomic():
                lock_for_votes(payment.ada, [payment.item.pk])
                done.set()
                is_over.wait(A_WHILE_S)
                lock_for_votes(other.ben, [other.item.pk])

        def coming() -> None:
            assert done.wait(HANGS_S)
            lock_and_end(payment.ada, other.item.pk)
            is_over.set()

        assert at_once(holding, coming) == [None, None]


def lock_and_end(person: User, item: UUID) -> None:
    with transaction.atomic():
        assert lock_for_votes(person, [item])


def asked(desk: Desk, **more: Any) -> Action:
    return Action.objects.get(pk=desk.ask(50_000, **more).json()["id"])


def taken_away(desk: Desk, how: str) -> Callable[[], Any]:
    admin, about = make_admin(), {"holder": desk.agent.user, "operation": desk.operation, "reason": "Enough."}
    if how == "revoked":
        return lambda: revoke_operation(admin, **about)
    return lambda: narrow_operation(admin, **about, fields=None, until=None, limit=Money(10_000, "EUR"))


@pytest.mark.parametrize("how", ["revoked", "narrowed"])
class TestAPermission:
    def test_is_gone_before_a_claim_of_the_worker_that_came_second(self, how: str) -> None:
        desk = make_desk()
        action, plane = asked(desk), system_user("plane")
        one_within_the_other(taken_away(desk, how), lambda: perform_action(plane, action_id=action.pk))
        action.refresh_from_db()
        assert action.state == "failed"
        assert not Effect.objects.filter(attempt__gt=0).exists()

    def test_is_gone_before_an_agent_s_own_claim_that_came_second(self, how: str) -> None:
        desk = make_desk(execution="both")
        action = asked(desk, execution="agent")
        _gone, claim = one_within_the_other(
            taken_away(desk, how), lambda: consume_action(desk.agent.user, action=action, digest=action.digest)
        )
        assert isinstance(claim, NotAllowedError | ConflictError)
        action.refresh_from_db()
        assert action.state == "approved"

    def test_goes_after_an_agent_s_own_claim_that_came_first(self, how: str) -> None:
        desk = make_desk(execution="both")
        action = asked(desk, execution="agent")
        one_within_the_other(
            lambda: consume_action(desk.agent.user, action=action, digest=action.digest), taken_away(desk, how)
        )
        action.refresh_from_db()
        assert action.state == "executing"
        assert order_of("action.executing", f"permission.{how}") == ["action.executing", f"permission.{how}"]


def stopped(desk: Desk, state: str) -> Callable[[], Any]:
    admin, agent = make_admin(), Agent.objects.get(pk=desk.agent.pk)
    return lambda: change_state(admin, agent=agent, to=state, reason="Enough.")


def caller(desk: Desk) -> User:
    """The agent as its key would bring it, before somebody stopped it."""
    return User.objects.select_related("agent__version", "agent__unit").get(pk=desk.agent.user_id)


@pytest.mark.parametrize("state", ["suspended", "retired"])
class TestAnAgent:
    def test_is_stopped_before_the_plane_does_what_it_had_asked_for(self, state: str) -> None:
        desk = make_desk()
        action = asked(desk)
        one_within_the_other(stopped(desk, state), lambda: perform_action(system_user("plane"), action_id=action.pk))
        action.refresh_from_db()
        assert action.state not in {"executing", "succeeded"}
        assert not Effect.objects.filter(attempt__gt=0).exists()

    def test_is_stopped_before_it_does_what_was_approved(self, state: str) -> None:
        desk = make_desk(execution="both")
        action, agent = asked(desk, execution="agent"), caller(desk)
        _gone, late = one_within_the_other(
            stopped(desk, state), lambda: consume_action(agent, action=action, digest=action.digest)
        )
        action.refresh_from_db()
        assert isinstance(late, NotAllowedError | ConflictError)
        assert action.state != "executing"

    def test_is_stopped_before_it_takes_a_task(self, state: str) -> None:
        desk = make_desk()
        Agent.objects.filter(pk=desk.agent.pk).update(capabilities=["look"])
        permit_workflow(desk.agent, make_workflow(LOOK))
        desk.post("runs/", {"workflow": "look", "input": {}}, key="run")
        agent = caller(desk)
        _gone, late = one_within_the_other(stopped(desk, state), lambda: claim_tasks(agent))
        assert isinstance(late, NotAllowedError)
        assert Task.objects.get().state == "ready"
