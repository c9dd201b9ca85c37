"""Taking back with real threads, connections and commits."""

import pytest

from apps.agents.models import Action
from apps.core.errors import ConflictError
from apps.workflows.services.actions import compensate_action
from tests.factories.access import make_holder
from tests.together import at_once
from tests.workflows.actions import make_desk
from tests.workflows.test_compensating import paid, undoable

pytestmark = pytest.mark.usefixtures("real_db")


def test_eight_people_at_once_take_it_back_once(system):
    desk = make_desk(system.url)
    undoable(desk)
    keeper = make_holder("agents.manage_agent", unit=desk.agent.unit, username="keeper")
    action = paid(desk, system)

    def take():
        return compensate_action(keeper, action=Action.objects.get(pk=action.pk), reason="Paid twice.")

    answers = at_once(*(take for _ in range(8)))
    assert sum(isinstance(each, ConflictError) for each in answers) == 7
    assert Action.objects.filter(compensates=action).count() == 1
