"""A rule proposed because of an item: prefilled from it, linked both ways, and without effect until released."""

import pytest
from django.test import Client

from apps.agents.models import Action
from apps.audit.tasks import deliver_reactions
from apps.core.errors import InvalidError, NotAllowedError, NotFoundError
from apps.oversight.services import cast_vote, propose_rule
from apps.policies.models import Proposal
from apps.policies.services import publish_policy
from tests.factories.access import grant, make_admin, make_role, make_user
from tests.factories.oversight import make_escalation, make_payment, nothing_happens
from tests.factories.workflows import erase

pytestmark = pytest.mark.django_db
WRITE = ("policies.publish_policy", "policies.view_policy")


@pytest.fixture
def payment():
    found = make_payment()
    for person in (found.ada, found.ben):
        grant(person, make_role(*WRITE), found.unit)
    return found


def propose(payment, actor=None, **fields):
    usual = {"effect": "allow", "amount_minor": 300_000, "reason": "We always say yes."}
    return propose_rule(actor or payment.ada, escalation_id=payment.item.pk, **{**usual, **fields})


def signed_in(user):
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_the_draft_says_what_the_item_says(payment):
    made = propose(payment)
    rule = made.version.rules[-1]
    assert rule["scope"] == {"operations": [payment.operation.slug], "agents": [payment.agent.slug]}
    target = payment.action.target
    assert rule["when"] == f'action.currency == "EUR" && action.amount_minor <= 300000 && action.target == "{target}"'
    assert made.item == payment.item.pk
    assert payment.now().state == "pending"


def test_it_is_without_effect_until_somebody_else_releases_it(payment):
    made = propose(payment)
    made.policy.refresh_from_db()
    assert made.policy.in_force == made.base
    with pytest.raises(NotAllowedError):
        publish_policy(payment.ada, policy=made.policy, version=made.version.number)
    publish_policy(payment.ben, policy=made.policy, version=made.version.number)
    made.policy.refresh_from_db()
    assert made.policy.in_force == made.version


def test_wider_and_stricter_wishes(payment):
    wide = propose(payment, same_agent=False, same_target=False).version.rules[-1]
    assert wide["scope"] == {"operations": [payment.operation.slug]}
    assert "target" not in wide["when"]
    asks = propose(payment, effect="require_approval", people=3, amount_minor=None).version.rules[-1]
    assert (asks["queue"], asks["obligations"]) == (payment.queue.slug, {"quorum": 3})
    assert propose(payment, effect="deny", amount_minor=None).version.rules[-1]["effect"] == "deny"


def test_to_allow_keeps_the_same_what_the_rule_wants_the_same():
    found = make_payment(obligations={"standing": {"times": 1, "days": 1, "up_to_minor": 1, "same": ["iban"]}})
    grant(found.ada, make_role(*WRITE), found.unit)
    assert (
        'has(action.parameters.iban) && action.parameters.iban == "DE0017"' in propose(found).version.rules[-1]["when"]
    )


@pytest.mark.parametrize(
    "parameters",
    [{}, {"note": None}, {"note": ["DE1", "DE2"]}, {"note": {"iban": "DE1"}}, {"note": 1.5}],
)
def test_what_a_rule_cannot_want_the_same_is_said_and_never_left_out(parameters):
    standing = {"times": 1, "days": 1, "up_to_minor": 1, "same": ["iban", "note"]}
    found = make_payment(parameters=parameters, obligations={"standing": standing})
    grant(found.ada, make_role(*WRITE), found.unit)
    with nothing_happens(), pytest.raises(InvalidError) as caught:
        propose(found)
    assert "the same note" in caught.value.errors["effect"][0]
    assert not Proposal.objects.exists()
    assert propose(found, effect="deny").version.rules[-1]["effect"] == "deny"


def test_what_has_no_target_keeps_the_same_too():
    """A form without a target to keep says nothing of it."""
    found = make_payment(obligations={"standing": {"times": 1, "days": 1, "up_to_minor": 1, "same": ["iban"]}})
    grant(found.ada, make_role(*WRITE), found.unit)
    Action.objects.filter(pk=found.action.pk).update(target="")
    assert '== "DE0017"' in propose(found, same_target=False).version.rules[-1]["when"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"effect": "flag"}, "effect"),
        ({"effect": "delete"}, "effect"),
        ({"amount_minor": None}, "amount_minor"),
        ({"amount_minor": -1}, "amount_minor"),
        ({"amount_minor": 2**53}, "amount_minor"),
        ({"people": 0}, "people"),
        ({"people": 21}, "people"),
        ({"policy": "another"}, "policy"),
        ({"reason": " "}, "reason"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(payment, fields, field):
    with nothing_happens(), pytest.raises(InvalidError) as caught:
        propose(payment, **fields)
    assert field in caught.value.errors
    assert not Proposal.objects.exists()


def test_only_what_a_rule_sent_here_can_be_ruled_otherwise(payment):
    step = make_escalation(queue=payment.queue)
    with pytest.raises(InvalidError):
        propose_rule(payment.ada, escalation_id=step.pk, effect="deny", reason="x")


def test_whoever_releases_it_sees_every_character_of_what_the_agent_wrote(payment):
    Action.objects.filter(pk=payment.action.pk).update(target="DE\u202e7100\u200b")
    made = propose(payment)
    page = signed_in(payment.ben).get(f"/policies/{made.policy.slug}/?version={made.version.number}").content.decode()
    assert "7100" in page
    assert not {"\u202e", "\u200b"} & set(page)


def test_nothing_is_proposed_because_of_what_was_erased(payment):
    """The target is gone: a rule only for this target would be one for any."""
    cast_vote(payment.ada, escalation_id=payment.item.pk, verdict="reject", version=1, reason="No.")
    while deliver_reactions():
        pass
    erase(make_admin(), payment.item.trail, "The data subject asked us to.")
    with pytest.raises(InvalidError):
        propose(payment)
    assert not Proposal.objects.exists()
    page = signed_in(payment.ada).get(f"/inbox/{payment.item.pk}/").content.decode()
    assert f"/inbox/{payment.item.pk}/propose/" not in page


def test_an_item_that_one_may_not_see_is_not_found(payment):
    stranger = make_user()
    grant(stranger, make_role(*WRITE), payment.unit)
    with pytest.raises(NotFoundError):
        propose(payment, stranger)


def test_the_page_is_filled_in_and_sends_to_the_draft(payment):
    client, item = signed_in(payment.ada), f"/inbox/{payment.item.pk}/"
    assert f"{item}propose/" in client.get(item).content.decode()
    page = client.get(f"{item}propose/").content.decode()
    assert 'value="2500.00"' in page
    sent = {
        "effect": "allow",
        "amount": "3000",
        "people": "2",
        "same_agent": "on",
        "same_target": "on",
        "reason": "Yes.",
    }
    answer = client.post(f"{item}propose/", sent)
    made = Proposal.objects.get()
    assert answer.url == f"/policies/{made.policy.slug}/?version={made.version.number}"
    draft = signed_in(payment.ben).get(answer.url).content.decode()
    for words in (item, "What it changes", "Release version 2", "Yes.", "&lt;= 300000", "changed", "added"):
        assert words in draft, words
    own = client.get(answer.url).content.decode()
    assert "Release version 2" not in own
    assert "Take it back" in own
    assert answer.url in client.get(item).content.decode()


def test_the_page_keeps_what_was_typed_and_says_what_is_wrong(payment):
    client, url = signed_in(payment.ada), f"/inbox/{payment.item.pk}/propose/"
    answer = client.post(url, {"effect": "allow", "amount": "1.234", "people": "2", "reason": "Kept words"})
    assert answer.status_code == 422
    assert "At most 2 decimals" in answer.content.decode()
    assert "Kept words" in answer.content.decode()
    assert not Proposal.objects.exists()


def test_whoever_may_not_write_policies_reads_on_the_page_who_can(payment):
    eve = payment.approver()
    sent = {"effect": "deny", "amount": "5", "people": "2", "reason": "Never."}
    answer = signed_in(eve).post(f"/inbox/{payment.item.pk}/propose/", sent)
    assert answer.status_code == 403
    assert str(payment.ada) in answer.content.decode()
    assert not Proposal.objects.exists()


def test_the_api_tells_of_it_from_both_ends(payment):
    client = signed_in(payment.ada)
    body = {"effect": "allow", "amount_minor": 300_000, "reason": "Yes."}
    url = f"/api/v1/escalations/{payment.item.pk}/"
    headers = {"content_type": "application/json", "HTTP_IDEMPOTENCY_KEY": "once"}
    made = client.post(f"{url}propose-rule/", body, **headers)
    assert (made.status_code, made.json()["still_asking"]) == (201, [])
    assert client.post(f"{url}propose-rule/", body, **headers).json() == made.json()
    assert [one["id"] for one in client.get(url).json()["proposals"]] == [made.json()["id"]]
    whole = client.get(f"/api/v1/proposals/{made.json()['id']}/").json()
    assert (whole["item"], whole["current"], whole["by"]) == (str(payment.item.pk), True, payment.ada.username)
    assert {change["kind"] for change in whole["changes"]} == {"added", "changed"}
    listed = client.get("/api/v1/proposals/", {"item": str(payment.item.pk), "state": "open"}).json()
    assert [one["id"] for one in listed["results"]] == [made.json()["id"]]
    assert client.get("/api/v1/proposals/", {"item": "x"}).status_code == 422
    declined = client.post(f"/api/v1/proposals/{made.json()['id']}/decline/", {}, content_type="application/json")
    assert declined.json()["state"] == "declined"
    body["severity"] = 1
    assert client.post(f"{url}propose-rule/", body, content_type="application/json").status_code == 422
