"""Edit and approve: the rules judge again, and what is milder, stricter or denied follows the table."""

import pytest

from apps.agents.rules import ActionState
from apps.audit.models import Entry
from apps.connectors.models import OperationPermission
from apps.core.differences import MASKED
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.models import ClockTimestamp
from apps.oversight.models import Escalation, EscalationGroup, Grant, Vote
from apps.oversight.rules import action_digest
from apps.oversight.services import consume_grant
from tests.factories.access import grant, make_approver, make_queue, make_role
from tests.factories.oversight import make_escalation, make_payment, nothing_happens, say
from tests.factories.policies import make_policy, make_rule
from tests.workflows.actions import make_desk

pytestmark = pytest.mark.django_db

BOARD = {"when": "action.amount_minor > 1000000", "effect": "require_approval", "slug": "board"}


def edited(payment, **changes):
    return {**payment.action.parameters, **changes}


def test_an_edit_is_approved_as_edited_and_the_grant_holds_for_nothing_else():
    payment = make_payment()
    asked = payment.action.digest
    wanted = edited(payment, amount_minor=240_000)
    item = say(payment.ada, payment.item, parameters=wanted)
    action = payment.action_now()
    assert item.state == "approved"
    assert item.edited
    assert item.version == 2
    assert item.patch == [{"op": "replace", "path": "/amount_minor", "value": 240_000}]
    assert item.asked == {"parameters": payment.action.parameters, "digest": asked}
    assert action.parameters == wanted
    assert action.amount_minor == 240_000
    assert action.consequence == "Will pay 2,400.00 EUR to DE0017."
    assert action.digest == item.digest == action_digest(payment.operation.slug, wanted) != asked
    told = Entry.objects.get(name="escalation.approved").payload
    assert (told["edited"], told["patch"]) == (True, item.patch)
    with pytest.raises(ConflictError) as caught:
        consume_grant(payment.agent.user, action=action, digest=asked)
    assert caught.value.code == "binding_mismatch"
    assert consume_grant(payment.agent.user, action=action, digest=action.digest).state == "consumed"


def test_types_survive_an_edit():
    payment = make_payment(parameters={"note": "1"})
    item = say(payment.ada, payment.item, parameters=edited(payment, note="2"))
    assert payment.action_now().parameters["note"] == "2"
    assert item.patch == [{"op": "replace", "path": "/note", "value": "2"}]


def test_an_edit_that_changes_nothing_is_an_approval():
    payment = make_payment()
    item = say(payment.ada, payment.item, parameters={**payment.action.parameters, "amount_minor": 250_000.0})
    assert (item.state, item.edited, item.version) == ("approved", False, 1)


def test_a_milder_edit_voids_earlier_votes_and_does_not_lower_the_quorum():
    payment = make_payment(quorum=2)
    say(payment.ben, payment.item)
    item = say(payment.ada, payment.item, parameters=edited(payment, amount_minor=50_000))
    assert (item.state, item.version, item.quorum_needed) == ("pending", 2, 2)
    votes = Vote.objects.order_by("id")
    assert [(vote.voter, vote.void_why, vote.version) for vote in votes] == [
        (payment.ben, "edited", 1),
        (payment.ada, "", 2),
    ]
    assert not Grant.objects.exists()
    assert payment.action_now().state == ActionState.PENDING_APPROVAL
    assert say(payment.ben, payment.item).state == "approved"
    assert Grant.objects.get().digest == payment.action_now().digest


def test_a_denied_edit_changes_nothing():
    payment = make_payment(quorum=2)
    say(payment.ben, payment.item)
    with nothing_happens(), pytest.raises(InvalidError) as caught:
        say(payment.ada, payment.item, parameters=edited(payment, amount_minor=20_000_000))
    assert caught.value.errors == {"parameters": ["Above 100,000.00 no agent pays."]}


def test_a_stricter_edit_waits_for_others_and_never_for_its_editor():
    payment = make_payment({**BOARD, "obligations": {"quorum": 2}})
    wanted = edited(payment, amount_minor=2_000_000)
    item = say(payment.ada, payment.item, parameters=wanted)
    assert (item.state, item.version, item.quorum_needed) == ("pending", 2, 2)
    assert item.editors == [payment.ada.username]
    assert item.digest == action_digest(payment.operation.slug, wanted)
    assert payment.action_now().parameters == wanted
    assert not Vote.objects.filter(voided_at=None).exists()
    assert not Grant.objects.exists()
    with nothing_happens(), pytest.raises(NotAllowedError) as caught:
        say(payment.ada, payment.item)
    assert (caught.value.code, caught.value.members["why"]) == ("not_eligible", "editor")
    with nothing_happens(), pytest.raises(ConflictError) as stale:
        say(payment.ben, payment.item, version=1)
    assert (stale.value.code, stale.value.members["version"]) == ("stale", 2)
    assert say(payment.ben, payment.item).state == "pending"
    assert say(payment.approver(), payment.item).state == "approved"


def test_a_stricter_edit_brings_in_the_queue_that_it_needs():
    board = make_queue()
    payment = make_payment({**BOARD, "queue": board.slug})
    director = make_approver(board)
    grant(director, make_role("oversight.view_escalation", "oversight.decide_escalation"), payment.unit)
    item = say(payment.ada, payment.item, parameters=edited(payment, amount_minor=2_000_000))
    assert item.state == "pending"
    assert [group.queue for group in item.group_list()] == [payment.queue, board]
    assert say(director, payment.item).state == "pending"
    assert say(payment.ben, payment.item).state == "approved"


def test_a_shorter_expiry_is_stricter_and_is_taken_over():
    payment = make_payment({**BOARD, "obligations": {"expires_in": "1m"}})
    before = payment.item.expires_at
    item = say(payment.ada, payment.item, parameters=edited(payment, amount_minor=2_000_000))
    assert item.state == "pending"
    assert item.expires_at < before


def test_a_stricter_edit_after_expiry_is_refused():
    payment = make_payment(BOARD)
    Escalation.objects.filter(pk=payment.item.pk).update(expires_at=ClockTimestamp())
    with nothing_happens(), pytest.raises(ConflictError) as caught:
        say(payment.ada, payment.item, parameters=edited(payment, amount_minor=2_000_000))
    assert caught.value.code == "expired"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount_minor": "250000"}, "parameters.amount_minor"),
        ({"amount_minor": -1}, "parameters.amount_minor"),
        ({"amount_minor": 2.5}, "parameters.amount_minor"),
        ({"colour": "red"}, "parameters.colour"),
        ({"currency": "XXX"}, "parameters.currency"),
    ],
)
def test_an_edit_that_misses_the_operation_s_schema_changes_nothing(changes, field):
    payment = make_payment()
    with nothing_happens(), pytest.raises(InvalidError) as caught:
        say(payment.ada, payment.item, parameters=edited(payment, **changes))
    assert set(caught.value.errors) == {field}


def test_an_edit_stays_within_the_agent_s_fields():
    payment = make_payment()
    OperationPermission.objects.update(fields=["amount_minor", "currency", "iban"])
    with nothing_happens(), pytest.raises(InvalidError) as caught:
        say(payment.ada, payment.item, parameters=edited(payment, note="hello"))
    assert set(caught.value.errors) == {"parameters.note"}


def test_an_edit_needs_the_agent_s_permission_still():
    payment = make_payment()
    OperationPermission.objects.all().delete()
    with nothing_happens(), pytest.raises(InvalidError) as caught:
        say(payment.ada, payment.item, parameters=edited(payment, amount_minor=240_000))
    assert set(caught.value.errors) == {"parameters"}


def test_only_an_action_can_be_edited():
    queue = make_queue()
    item = make_escalation(queue=queue)
    with nothing_happens(), pytest.raises(InvalidError) as caught:
        say(make_approver(queue), item, parameters={"amount_minor": 1})
    assert set(caught.value.errors) == {"parameters"}


def test_a_high_tier_wants_the_edited_value_again():
    payment = make_payment(risk="high")
    wanted = edited(payment, amount_minor=240_000)
    with nothing_happens(), pytest.raises(InvalidError):
        say(payment.ada, payment.item, parameters=wanted, restated=250_000)
    assert say(payment.ada, payment.item, parameters=wanted, restated="2,400").state == "approved"


def test_a_masked_secret_comes_back_as_it_was():
    schema = {"type": "object", "properties": {"amount_minor": {"type": "integer"}, "currency": {}, "api_key": {}}}
    payment = make_payment()
    payment.operation.parameters = schema
    payment.operation.save(update_fields=["parameters"])
    payment.action.parameters = {"amount_minor": 250_000, "currency": "EUR", "api_key": "s3cret"}
    payment.action.definition_digest = payment.operation.definition_digest
    payment.action.save(update_fields=["parameters", "definition_digest"])
    say(payment.ada, payment.item, parameters={"amount_minor": 240_000, "currency": "EUR", "api_key": MASKED})
    assert payment.action_now().parameters == {"amount_minor": 240_000, "currency": "EUR", "api_key": "s3cret"}


def test_groups_of_a_milder_edit_stay():
    payment = make_payment(quorum=2)
    before = list(EscalationGroup.objects.values_list("queue", "needed"))
    say(payment.ada, payment.item, parameters=edited(payment, amount_minor=1))
    assert list(EscalationGroup.objects.values_list("queue", "needed")) == before


def test_an_action_is_no_part_of_the_history_by_which_its_edit_is_judged():
    payment = make_payment()
    past = f"history.sum_minor('{payment.operation.slug}', '1d', 'agent')"
    scope = {"operations": [payment.operation.slug]}
    make_policy(make_rule(when=f"action.amount_minor + {past} > 400000", effect="deny", scope=scope), unit=payment.unit)
    with nothing_happens(), pytest.raises(InvalidError):
        say(payment.ada, payment.item, parameters=edited(payment, amount_minor=400_001))
    assert say(payment.ada, payment.item, parameters=edited(payment, amount_minor=240_000)).state == "approved"


def test_asking_again_for_what_a_person_edited_is_a_retry_and_pays_nothing_twice():
    desk = make_desk()
    first = desk.ask(250_000, reference="invoice-7").json()
    item = Escalation.objects.get()
    say(desk.approver, item, parameters={**item.action.parameters, "amount_minor": 240_000})
    again = desk.ask(250_000, reference="invoice-7").json()
    assert (again["id"], again["state"], again["attempts"]) == (first["id"], "approved", 2)
    assert Escalation.objects.count() == Grant.objects.count() == 1
