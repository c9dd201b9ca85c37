"""Interrupts under contention, with real commits."""

from collections import Counter
from itertools import count

import pytest

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.oversight.models import Escalation, Grant
from apps.oversight.services import make_standing_approval
from apps.workflows.models import Interrupt
from tests.factories.connectors import make_operation, permit
from tests.together import at_once
from tests.workflows.actions import rules_of
from tests.workflows.test_interrupts import LARGE, SMALL, Framework, hitl, payment

pytestmark = pytest.mark.usefixtures("real_db")


def test_eight_resume_at_once_and_one_is_handed_the_approvals() -> None:
    framework = Framework()
    found = framework.ask(hitl(payment(SMALL), payment(SMALL + 1))).json()
    answers = at_once(*(lambda key=f"r{n}": framework.resume(found["id"], key) for n in range(8)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 7}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"already_consumed"}
    assert list(Grant.objects.values_list("state", flat=True)) == ["consumed"] * 2
    assert Entry.objects.filter(name="interrupt.resumed").count() == 1


def test_eight_that_ask_for_the_same_at_once_ask_once() -> None:
    framework = Framework()
    answers = at_once(
        *(lambda key=f"k{n}": framework.ask(hitl(payment(), payment()), key=key, reference="t") for n in range(8))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (Interrupt.objects.count(), Action.objects.count(), Escalation.objects.count()) == (1, 2, 2)


def test_calls_in_any_order_take_the_locks_of_rules_in_one() -> None:
    """A rule of history locks its operation until the end: the other way round, they would wait for each other."""
    framework, keys = Framework(), count()
    desk = framework.desk
    other = make_operation(execution="agent")
    permit(desk.agent.user, other)
    slugs = [desk.operation.slug, other.slug]
    rules_of(
        desk,
        *(
            {
                "slug": f"rule{at}",
                "when": f"history.count('{slug}', '1h', 'agent') < 1000",
                "scope": {"operations": [slug]},
            }
            for at, slug in enumerate(slugs)
        ),
    )

    def asking(*names: str) -> int:
        interrupt = hitl(*[payment(SMALL)] * len(names))
        for request, config, name in zip(interrupt["action_requests"], interrupt["review_configs"], names, strict=True):
            request["name"] = config["action_name"] = name
        return framework.ask(interrupt, key=f"k{next(keys)}").status_code

    for _ in range(5):
        answers = at_once(*(lambda names=names: asking(*names) for names in [slugs, slugs[::-1]] * 3))
        assert set(answers) == {201}


def test_calls_in_any_order_use_approvals_in_advance_without_waiting_for_each_other() -> None:
    """A use keeps its approval until the end: the other way round, they would wait for each other."""
    framework, keys = Framework(obligations={"standing": {"times": 99, "days": 7, "up_to_minor": LARGE}}), count()
    ibans = ["DE0017", "DE0018"]
    found = framework.ask(hitl(*(payment(LARGE, iban=iban) for iban in ibans))).json()
    for call in found["calls"]:
        fields = {"days": 7, "times": 99, "up_to_minor": LARGE}
        make_standing_approval(framework.desk.approver, escalation_id=call["escalation"]["id"], version=1, **fields)

    def asking(names: list[str]) -> int:
        interrupt = hitl(*(payment(LARGE, iban=iban) for iban in names))
        return framework.ask(interrupt, key=f"k{next(keys)}").status_code

    for _ in range(3):
        answers = at_once(*(lambda names=names: asking(names) for names in [ibans, ibans[::-1]] * 3))
        assert set(answers) == {201}
