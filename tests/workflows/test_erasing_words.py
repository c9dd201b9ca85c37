"""Words that were written beside an item: about a rule that it should have, about the agent, about what it lets run."""

from typing import Any

import pytest

from apps.agents.models import Repetition
from apps.agents.rules import REPEATS_FLAGGED
from apps.audit.models import Entry
from apps.audit.selectors import proof_for
from apps.core.services import system_user
from apps.policies.models import Proposal
from apps.policies.services import decline_proposal
from tests.factories.access import grant, make_admin, make_holder, make_role
from tests.factories.workflows import erase
from tests.oversight.edge_cases.doors import Person
from tests.oversight.edge_cases.test_rows_21_to_26 import places_of
from tests.workflows.actions import make_desk, the_action, the_item, work

CANARY = "Bond, 7 Cliff Road"
WRITE = ("policies.publish_policy", "policies.view_policy")


def key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": name}


@pytest.mark.django_db
def test_what_was_written_beside_an_item_goes_with_its_trail() -> None:
    desk = make_desk(obligations={"standing": {"times": 9, "days": 9, "up_to_minor": 900_000, "same": ["note"]}})
    ada, owner = Person(desk.approver), Person(desk.agent.owner)
    grant(desk.approver, make_role(*WRITE), desk.agent.unit)
    desk.ask(250_000, reference="inv-1", parameters={"note": CANARY})
    item, path = the_item(), f"/escalations/{the_item().pk}"

    made = ada.post(f"{path}/standing/", {"version": 1, "days": 1, "times": 1, "up_to_minor": 1}, **key("ahead")).json()
    ended: Any = ada.post(f"/standing-approvals/{made['id']}/end/", {}, **key("end"))
    assert ended.json()["same"] == {"note": CANARY}
    wish = {"effect": "deny", "amount_minor": 5, "reason": CANARY}
    assert ada.post(f"{path}/propose-rule/", wish, **key("wish")).status_code == 201
    proposal = Proposal.objects.get()
    decline_proposal(make_holder(*WRITE, unit=desk.agent.unit), proposal=proposal, reason=CANARY)
    assert ada.decide(item, "reject", reason=CANARY).status_code == 200
    work()
    for _ in range(REPEATS_FLAGGED):
        desk.ask(250_000, reference="inv-1", parameters={"note": CANARY})
    flag = Repetition.objects.get()
    assert owner.post(f"/flags/{flag.pk}/dismiss/", {"reason": CANARY}, **key("flag")).status_code == 200
    work()
    assert {"policies_proposal", "agents_repetition", "core_idempotencykey", "audit_payload"} <= places_of(CANARY)

    erase(make_admin(), the_action().pk, "The data subject asked us to.")
    assert places_of(CANARY) == set()
    proposal.refresh_from_db()
    assert (proposal.state, proposal.reason, proposal.answer) == ("declined", "", "")
    names = Entry.objects.filter(trail_id=proposal.pk).order_by("id").values_list("name", flat=True)
    assert list(names) == ["proposal.open", "proposal.declined", "payloads.erased"]
    assert proof_for(system_user("console")).mismatches == ()
