"""The page of one action: what it asked for, what stood against it, and what a test is."""

import pytest
from django.utils import timezone

from apps.agents.models import Action, Agent
from apps.policies.models import RuleDay
from apps.policies.services import save_policy
from tests.factories.access import make_admin
from tests.factories.budgets import make_budget
from tests.factories.policies import make_rule
from tests.workflows.actions import make_desk, work

pytestmark = pytest.mark.django_db


def looked_at(client, address):
    client.force_login(make_admin())
    return client.get(address).content.decode()


def of_action(client, answer):
    return looked_at(client, f"/actions/{answer.json()['id']}/")


def test_what_a_budget_denied_says_so_first_and_what_would_have_fitted(client):
    desk = make_desk()
    make_budget(desk.agent, cap=100_000)
    desk.ask(60_000)
    page = of_action(client, desk.ask(50_000))
    assert "What it asked for, and does not do" in page
    policy = page.partition("What policy said")[2]
    words = ("Denied", "so this did not fit it.", "At most 400.00 EUR would have fitted.",
             "It begins anew with the next day.", "Without the budget:", "Allowed")  # fmt: skip
    places = [policy.find(each) for each in words]
    assert -1 not in places
    assert places == sorted(places)


def test_what_is_done_does_it(client):
    page = of_action(client, make_desk().ask(50_000))
    assert "What it does" in page
    assert "Without the budget:" not in page


def test_an_effect_of_a_test_is_called_one_on_its_page_and_in_its_trail(client, system):
    answer = make_desk(system.url).ask(50_000)
    work()
    marks = ("Effect of a test", "Nothing real was called.", '<span class="badge info">Test</span>')
    page = of_action(client, answer)
    assert not [each for each in marks if each in page]
    Action.objects.update(environment="test")
    page = of_action(client, answer)
    assert not [each for each in marks if each not in page]
    trail = page.partition("The whole trail")[2]
    assert trail.count(marks[2]) == trail.count("<li") > 2


def test_parameters_begin_with_the_amount_as_people_read_it(client):
    page = of_action(client, make_desk().ask(50_000))
    assert "= 500.00 EUR" in page
    rows = page.partition('id="policy"')[0]
    assert rows.index("500.00 EUR") < rows.index("DE0017")


def test_a_draft_can_be_stopped_too(client):
    desk = make_desk()
    offered = f'name="target" value="{desk.agent.slug}"'
    for state, seen in (("draft", True), ("suspended", False)):
        Agent.objects.update(state=state)
        page = looked_at(client, "/halts/")
        assert (offered in page) == seen
        assert ("1 agent<" in page) == seen


def test_a_draft_of_rules_has_done_nothing_yet(client):
    policy = make_desk().policy
    rule = policy.in_force.rules[0]["slug"]
    RuleDay.objects.create(policy=policy.slug, rule=rule, day=timezone.now().date(), asked=4)
    save_policy(make_admin(), slug=policy.slug, name=policy.name, unit=policy.unit, rules=[make_rule(slug=rule)])
    address = f"/policies/{policy.slug}/"
    assert "matched 4 times" in looked_at(client, address)
    page = looked_at(client, f"{address}?version=2")
    assert "Last 30 days:" not in page
    assert "matched" not in page.partition('id="rules"')[2].partition('id="tests"')[0]
