"""Access reviews of agents' workflows and of people's tokens."""

import pytest

from apps.access.models import PersonalToken
from apps.access.services import create_token
from apps.agents.models import Agent
from apps.core.errors import InvalidError
from apps.core.models import ClockTimestamp, User
from apps.oversight.selectors.access_reviews import mine_for
from apps.oversight.services.access_reviews.deciding import Less
from apps.workflows.models import Workflow, WorkflowPermission
from apps.workflows.services import grant_workflow
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.access_reviews import age_rights, in_days, line_of, open_review
from tests.factories.agents import make_agent
from tests.factories.workflows import make_run, make_workflow
from tests.oversight.test_access_reviews import decide, names

pytestmark = pytest.mark.django_db
DOCUMENT = {"steps": {"check": {"agent": "invoice.check", "output": {"type": "object"}}}}


@pytest.fixture
def admin() -> User:
    return make_admin(username="ada")


class TestWorkflows:
    """An agent's place in a workflow is a right like its operations."""

    @pytest.fixture
    def place(self, admin: User) -> tuple[Agent, Workflow]:
        agent, workflow = make_agent(), make_workflow(DOCUMENT)
        grant_workflow(admin, agent=agent, workflow=workflow, reason="It works there.")
        age_rights()
        return agent, workflow

    def test_it_says_what_the_agent_did_there(self, place: tuple[Agent, Workflow], admin: User) -> None:
        agent, workflow = place
        line = line_of(open_review(admin, kinds=["workflow"], unit=agent.unit), agent.user)
        assert (line.what, line.use, line.evidence["uses"], line.unit) == (workflow.slug, "unused", 0, agent.unit)
        make_run(workflow, {}, actor=agent.user)
        line = line_of(open_review(admin, kinds=["workflow"]), agent.user)
        assert (line.use, line.evidence["uses"]) == ("used", 1)
        assert line.last_used_at is not None

    def test_kept_until_a_time_it_ends_then_and_revoked_it_is_gone(
        self, place: tuple[Agent, Workflow], admin: User
    ) -> None:
        agent, _workflow = place
        first = line_of(open_review(admin, kinds=["workflow"]), agent.user)
        until = in_days(30)
        assert decide(admin, first, "keep", less=Less(until=until)).state == "kept"
        held = WorkflowPermission.objects.filter(user=agent.user)
        assert set(held.values_list("until", flat=True)) == {until}
        second = line_of(open_review(admin, kinds=["workflow"]), agent.user)
        with pytest.raises(InvalidError):
            decide(admin, second, "narrow", less=Less(fields=["a"]))
        assert decide(admin, second, "revoke").state == "revoked"
        assert not held.all().exists()
        assert "permission.revoked" in names(agent.trail)

    def test_only_who_manages_the_agent_decides(self, place: tuple[Agent, Workflow], admin: User) -> None:
        agent, _workflow = place
        review = open_review(admin, kinds=["workflow"])
        manager, other = (make_holder("agents.manage_agent", unit=unit) for unit in (agent.unit, make_unit()))
        assert mine_for(manager, review).count() == 1
        assert mine_for(other, review).count() == 0


class TestTokens:
    """People's tokens are reviewed like agents' keys."""

    @pytest.fixture
    def holder(self) -> User:
        found = make_holder("oversight.view_escalation")
        create_token(found, user=found, days=30, name="nightly")
        age_rights()
        return found

    def test_it_says_when_it_was_used_last_and_what_it_carries(self, holder: User, admin: User) -> None:
        line = line_of(open_review(admin, kinds=["token"]), holder)
        assert (line.what, line.use, line.unit) == ("nightly", "unused", None)
        assert set(line.frozen) == {"until", "permissions", "read_only"}
        PersonalToken.objects.update(last_used_at=ClockTimestamp())
        assert line_of(open_review(admin, kinds=["token"]), holder).use == "used"

    def test_revoked_it_is_dead_and_it_gets_no_other_end(self, holder: User, admin: User) -> None:
        line = line_of(open_review(admin, kinds=["token"]), holder)
        with pytest.raises(InvalidError):
            decide(admin, line, "keep", less=Less(until=in_days(1)))
        assert decide(admin, line, "revoke").state == "revoked"
        assert PersonalToken.objects.get().revoked_at is not None
        with pytest.raises(InvalidError):
            open_review(admin, kinds=["token"])

    def test_nobody_reviews_their_own_and_a_unit_has_none(self, holder: User, admin: User) -> None:
        create_token(admin, user=admin, days=30, name="mine")
        review = open_review(admin, kinds=["token"])
        assert [line.holder for line in mine_for(admin, review)] == [holder]
        with pytest.raises(InvalidError) as refused:
            open_review(admin, kinds=["token"], unit=make_unit())
        assert "kinds" in refused.value.errors
