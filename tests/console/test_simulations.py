"""The pages on which rules are tried on the past, and the lever from which an amount is proposed."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.agents.models import Action
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.policies import tasks
from apps.policies.models import Proposal, Simulation
from apps.policies.services import publish_policy, save_policy
from apps.policies.services.proposals import propose_amount
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.policies import make_rule
from tests.policies.test_simulations import World

pytestmark = pytest.mark.django_db
VIEW = "policies.view_policy"


def signed_in(user):
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def world(settings):
    settings.POLICY_OPERATIONS = ""
    world = World()
    world.asked(5_000)
    world.asked(12_000)
    world.client = signed_in(world.admin)
    world.page = f"/policies/{world.policy.slug}/simulate/"
    return world


def done_lever(world):
    return world.finish(world.start(lever="large"))


def test_a_version_is_tried_from_the_policys_page_without_javascript(world):
    save_policy(world.admin, slug=world.policy.slug, name="", rules=[make_rule(effect="deny")])
    assert f"{world.page}?version=2" in world.client.get(f"/policies/{world.policy.slug}/?version=2").content.decode()
    answer = world.client.post(world.page, {"what": "version:2", "days": "30"})
    made = Simulation.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/policies/simulations/{made.pk}/")
    running = world.client.get(answer["Location"]).content.decode()
    assert "0 of 2 actions" in running
    assert 'hx-trigger="every 2s"' in running
    while tasks.judge_past():
        pass
    page = world.client.get(answer["Location"]).content.decode()
    assert "2 of 2 actions" in page
    assert "every 2s" not in page
    assert "120.00 EUR" in page
    assert "All of it was asked within" in page
    assert "Approvals a day" not in page
    assert "Hours of people a day" not in page
    fragment = world.client.get(answer["Location"], headers={"HX-Request": "true"}).content.decode()
    assert fragment.startswith('<span id="simulation-state" hx-swap-oob="true"><span class="badge ok">')
    assert '<div id="simulation"' in fragment
    assert f"/policies/simulations/{made.pk}/" in world.client.get(world.page).content.decode()


@pytest.mark.parametrize("said", [{}, {"what": "version:9", "days": "30"}, {"what": "lever:large", "days": "1"}])
def test_what_cannot_be_tried_is_said_and_starts_nothing(world, said):
    assert world.client.post(world.page, said).status_code == 422
    assert not Simulation.objects.exists()


@pytest.mark.parametrize("what", ["version:2", "lever:large"])
def test_of_a_day_or_more_it_speaks_by_the_day(world, what):
    save_policy(world.admin, slug=world.policy.slug, name="", rules=[make_rule(effect="deny")])
    first = Action.objects.earliest("pk")
    Action.objects.filter(pk=first.pk).update(created_at=timezone.now() - timedelta(hours=25))
    answer = world.client.post(world.page, {"what": what, "days": "30"})
    while tasks.judge_past():
        pass
    page = world.client.get(answer["Location"]).content.decode()
    assert "It begins with the first action in the days asked for" in page
    assert "Approvals a day" in page
    assert "All of it was asked within" not in page


def test_the_page_says_what_holds_nothing_to_try_on(world):
    assert "history that was imported or invented has no actions" in world.client.get(world.page).content.decode()


def test_where_nothing_was_asked_the_page_says_so(world):
    Action.objects.update(created_at=timezone.now() - timedelta(days=100))
    page = world.client.post(world.page, {"what": "lever:large", "days": "30"}, follow=True).content.decode()
    assert "Nothing was asked of this plane in these days." in page
    assert "It begins with the first action" not in page
    assert "All of it was asked within" not in page


def test_a_second_one_waits_for_the_first(world):
    world.start()
    assert "still runs" in world.client.get(world.page).content.decode()
    assert world.client.post(world.page, {"what": "lever:large", "days": "30"}).status_code == 422
    assert Simulation.objects.count() == 1


def test_it_is_cancelled_from_its_page(world):
    made = world.start()
    page = f"/policies/simulations/{made.pk}/"
    assert world.client.post(f"{page}cancel/")["Location"] == page
    made.refresh_from_db()
    assert made.state == "cancelled"


def test_a_stranger_sees_neither_page(world):
    made, stranger = world.start(), signed_in(make_holder(VIEW, unit=make_unit()))
    for path in (world.page, f"/policies/simulations/{made.pk}/"):
        assert stranger.get(path).status_code == 404


def test_what_cannot_be_judged_again_stands_first_with_its_reason(world):
    made = world.finish(world.start())
    Simulation.objects.filter(pk=made.pk).update(gaps={"erased": 3})
    page = world.client.get(f"/policies/simulations/{made.pk}/").content.decode()
    assert "3: what was written was erased" in page


class TestLever:
    def test_a_plain_form_control_turns_it(self, world):
        made = done_lever(world)
        place = made.lever["steps"].index(15_000)
        page = world.client.get(f"/policies/simulations/{made.pk}/?step={place}").content.decode()
        assert f'<option value="{place}" selected>150.00 EUR</option>' in page
        assert f"Shown is 150.00 EUR, step {place + 1} of {len(made.lever['steps'])}. Another amount shows" in page
        assert "With 150.00 EUR" in page
        assert '<p class="v">120.00 EUR</p>' in page

    @pytest.mark.parametrize(("within_s", "unit"), [(3_600, "in this time"), (9 * 86_400, "a day")])
    def test_each_figure_says_of_which_time_it_is(self, world, within_s, unit):
        made = done_lever(world)
        Action.objects.update(created_at=made.until - timedelta(seconds=within_s))
        page = world.client.get(f"/policies/simulations/{made.pk}/?step=1").content.decode()
        assert page.count(f">Approvals {unit}<") == page.count(f">Hours of people {unit}<") == 2
        assert page.count(">Nobody looks at it any more, in all of this time<") == 2
        assert (">Working days in 30 days<" in page) == (unit == "a day")

    @pytest.mark.parametrize("step", ["-1", "99", "x", ""])
    def test_whatever_step_is_asked_for_one_is_shown(self, world, step):
        made = done_lever(world)
        assert world.client.get(f"/policies/simulations/{made.pk}/?step={step}").status_code == 200

    def test_from_a_step_an_amount_is_proposed_that_somebody_else_releases(self, world):
        made = done_lever(world)
        path = f"/policies/simulations/{made.pk}/propose/"
        answer = world.client.post(path, {"amount_minor": "15000", "reason": "Nobody ever said no."})
        proposal = Proposal.objects.get()
        assert answer["Location"] == f"/policies/{world.policy.slug}/?version={proposal.version.number}"
        assert [rule["when"] for rule in proposal.version.rules] == [
            "action.amount_minor <= 15000",
            "action.amount_minor > 15000",
        ]
        world.policy.refresh_from_db()
        assert world.policy.in_force.number == 1
        with pytest.raises(NotAllowedError):
            publish_policy(world.admin, policy=world.policy, version=2)
        publish_policy(make_admin(), policy=world.policy, version=2)
        assert world.asked(15_000).verdict["effect"] == "allow"

    def test_without_a_reason_it_is_not_proposed(self, world):
        made = done_lever(world)
        path = f"/policies/simulations/{made.pk}/propose/?step=5"
        assert world.client.post(path, {"amount_minor": "15000", "reason": ""}).status_code == 422
        assert not Proposal.objects.exists()

    def test_an_amount_that_was_not_tried_is_refused(self, world):
        made = done_lever(world)
        for amount in (10_000, 14_999):
            with pytest.raises(InvalidError):
                propose_amount(world.admin, simulation=made, amount_minor=amount, reason="Why not.")

    def test_what_came_into_force_since_is_not_overwritten(self, world):
        made = done_lever(world)
        save_policy(world.admin, slug=world.policy.slug, name="", rules=[make_rule(effect="deny")])
        publish_policy(make_admin(), policy=world.policy, version=2)
        with pytest.raises(ConflictError) as caught:
            propose_amount(world.admin, simulation=made, amount_minor=15_000, reason="Why not.")
        assert caught.value.code == "stale"
        assert "try it anew" in world.client.get(f"/policies/simulations/{made.pk}/?step=9").content.decode()

    def test_whoever_may_only_look_turns_it_and_reads_who_may_propose(self, world):
        made, looks = done_lever(world), make_holder(VIEW)
        page = signed_in(looks).get(f"/policies/simulations/{made.pk}/?step=0").content.decode()
        assert "These people may propose it" in page
        with pytest.raises(NotAllowedError):
            propose_amount(looks, simulation=made, amount_minor=15_000, reason="Why not.")

    def test_over_the_api(self, world):
        made = done_lever(world)
        path = f"/api/v1/policies/simulations/{made.pk}/propose/"
        said = {"amount_minor": 20_000, "reason": "Fewer questions."}
        answer = world.client.post(path, data=said, content_type="application/json")
        assert (answer.status_code, answer.json()["rule"], answer.json()["state"]) == (201, "large", "open")
        assert world.client.post(path, data=said, content_type="application/json").status_code == 409
