"""Waivers with real threads, connections and commits: no use is taken twice, and none is lost."""

from apps.agents.models import Action
from apps.policies.models import WaiverUse
from tests.factories.waivers import make_waiver
from tests.together import at_once
from tests.workflows.actions import make_desk


def test_many_at_once_never_use_it_more_often_than_two_people_said(real_db: str) -> None:
    desk = make_desk()
    waiver = make_waiver(desk.policy, "huge", scope="agent", target=desk.agent.slug, times=3)
    states = at_once(*(lambda: desk.ask(20_000_000).json()["state"] for _ in range(12)))
    assert sorted(states) == ["denied"] * 9 + ["pending_approval"] * 3
    waiver.refresh_from_db()
    assert (waiver.used, waiver.state, WaiverUse.objects.count()) == (3, "used_up", 3)
    told = [bool(action.verdict.get("waivers")) for action in Action.objects.all()]
    assert sorted(told) == [False] * 9 + [True] * 3
