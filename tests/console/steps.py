"""Scenes of forms that come after a step: what somebody did before leads there."""

from django.test import Client

from apps.workflows.services import pause_run
from tests.console.offers import Scene, signed_in
from tests.factories.access import make_admin, make_user
from tests.factories.workflows import make_run, make_workflow
from tests.policies.test_giving_back import spent
from tests.policies.test_simulations import World
from tests.workflows.actions import make_desk, the_item
from tests.workflows.test_approved_in_advance import LETS

type Found = tuple[Client, str]


def level() -> Found:
    desk = make_desk()
    return signed_in(), f"/agents/{desk.agent.slug}/levels/{desk.operation.slug}/"


def narrowed() -> Found:
    """It paid 800.00 at most, and somebody has held it to that."""
    desk, client = make_desk(), signed_in()
    desk.ask(80_000)
    page = f"/agents/{desk.agent.slug}/right-size/"
    limit = {"amount_minor": 80_000, "currency": "EUR"}
    line = {"operation": desk.operation.slug, "fields": ["amount_minor", "currency", "iban"], "limit": limit}
    said = {"lines": [line], "reason": "Not used."}
    made = client.post(f"/api/v1/agents/{desk.agent.slug}/right-sizing/", said, content_type="application/json")
    assert made.status_code == 201, made.content
    return client, page


def given_back() -> Found:
    _desk, budget, _action = spent()
    return signed_in(), f"/budgets/{budget.slug}/"


def in_advance() -> Found:
    desk = make_desk(obligations={"standing": LETS})
    desk.ask(250_000)
    return signed_in(desk.approver), f"/inbox/{the_item().pk}/standing/"


def filtered() -> Found:
    return signed_in(), "/inbox/?view=team&risk=high"


def waived() -> Found:
    desk = make_desk()
    return signed_in(), f"/new-waiver/?policy={desk.policy.slug}&rule=huge"


def left() -> Found:
    return signed_in(), f"/access/people/{make_user(is_active=False).username}/"


def tried() -> Found:
    world = World()
    world.asked(5_000)
    return signed_in(world.admin), f"/policies/{world.policy.slug}/simulate/"


def levered() -> Found:
    world = World()
    world.asked(12_000)
    made = world.finish(world.start(lever="large"))
    place = made.lever["steps"].index(15_000)
    return signed_in(world.admin), f"/policies/simulations/{made.pk}/?step={place}"


def paused() -> Found:
    run, admin = make_run(make_workflow({"steps": {"a": {"agent": "lab.do"}}})), make_admin()
    pause_run(admin, run_id=run.pk, reason="Look first.")
    return signed_in(admin), f"/runs/{run.pk}/"


AFTER: list[Scene] = [left, level, narrowed, given_back, in_advance, filtered, waived, tried, levered, paused]
