"""Access reviews: what is frozen, who decides, what acts at once, what the clock does."""

from datetime import timedelta
from typing import Any

import pytest

from apps.access.models import RoleGrant
from apps.access.services import grant_role, revoke_role
from apps.agents.models import Agent
from apps.audit.models import Entry
from apps.connectors.models import OperationPermission
from apps.connectors.rules import Money
from apps.connectors.services import narrow_operation
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.models import ClockTimestamp, User
from apps.halts.services import engage_halt
from apps.oversight.models import AccessReview
from apps.oversight.selectors.access_reviews import (
    lines_for,
    mine_for,
    progress_for,
    review_for,
    reviewers_of,
    reviews_waiting_for,
)
from apps.oversight.services import close_access_review, decide_lines, decide_right, sweep_access_reviews
from apps.oversight.services.access_reviews.deciding import Less
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.access_reviews import age_rights, in_days, line_of, make_due, open_review
from tests.factories.agents import make_agent, make_key_for
from tests.factories.connectors import make_operation, permit
from tests.workflows.actions import Desk, make_desk

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> User:
    return make_admin(username="ada")


@pytest.fixture
def desk(admin: User) -> Desk:
    """It paid 100.00 and 800.00 EUR, was denied more, and never used its second operation."""
    found = make_desk()
    permit(found.agent.user, make_operation(slug="spare.pay"))
    for minor in (10_000, 80_000, 20_000_000):
        assert found.ask(minor).status_code in {201, 202}
    age_rights()
    return found


def decide(actor: User, line: Any, say: str, **more: Any) -> Any:
    return decide_right(actor, line=line, say=say, **{"reason": "Looked at.", "seen": line.seen, **more})


def names(trail: Any) -> list[str]:
    return list(Entry.objects.filter(trail_id=trail).order_by("id").values_list("name", flat=True))


class TestFreezing:
    def test_an_operation_says_how_often_when_and_how_much(self, desk: Desk, admin: User) -> None:
        review = open_review(admin, unit=desk.agent.unit, kinds=["operation"])
        used, spare = (line_of(review, desk.agent.user, slug) for slug in (desk.operation.slug, "spare.pay"))
        assert (used.use, used.evidence["uses"]) == ("used", 2)
        assert used.evidence["most"] == [{"amount_minor": 80_000, "currency": "EUR"}]
        assert used.last_used_at is not None
        assert (spare.use, spare.evidence["uses"], spare.evidence["whole"]) == ("unused", 0, True)

    def test_what_is_young_is_not_called_unused(self, desk: Desk, admin: User) -> None:
        OperationPermission.objects.update(granted_at=ClockTimestamp() - timedelta(days=89))
        review = open_review(admin, unit=desk.agent.unit, kinds=["operation"])
        spare = line_of(review, desk.agent.user, "spare.pay")
        assert (spare.use, spare.evidence["whole"]) == ("unknown", False)

    def test_a_role_is_measured_by_what_the_ledger_has_of_its_holder_there(self, admin: User) -> None:
        here, there = make_unit(), make_unit()
        halter, idle = (make_holder("halts.engage_halt", unit=here) for _ in range(2))
        looker = make_holder("kpis.view_kpi", unit=here)
        grant(halter, RoleGrant.objects.get(user=halter).role, there)
        age_rights()
        engage_halt(halter, scope="unit", target=here.slug, unit=here, reason="odd")
        review = open_review(admin, kinds=["role"])
        lines = {(line.holder, line.unit): line for line in review.lines.select_related("holder", "unit")}
        assert (lines[halter, here].use, lines[halter, here].evidence["uses"]) == ("used", 1)
        assert lines[halter, there].use == "unused"
        assert lines[idle, here].use == "unused"
        assert (lines[looker, here].use, lines[looker, here].evidence["uses"]) == ("unknown", None)
        assert lines[looker, here].evidence["unseen"] == ["kpis.view_kpi"]

    def test_a_key_says_when_it_was_used_last(self, admin: User) -> None:
        fresh, dusty = make_agent(), make_agent()
        make_key_for(fresh, last_used_at=ClockTimestamp() - timedelta(days=3))
        make_key_for(dusty)
        age_rights()
        review = open_review(admin, kinds=["key"])
        assert line_of(review, fresh.user).use == "used"
        assert line_of(review, dusty.user).use == "unused"

    def test_only_the_unit_and_below(self, admin: User) -> None:
        above = make_unit()
        below, beside = make_unit(parent=above), make_unit()
        kept = [make_holder("kpis.view_kpi", unit=unit) for unit in (above, below)]
        make_holder("kpis.view_kpi", unit=beside)
        review = open_review(admin, unit=above, kinds=["role"])
        assert {line.holder for line in review.lines.all()} == set(kept)

    def test_what_happens_later_changes_no_line(self, desk: Desk, admin: User) -> None:
        review = open_review(admin, unit=desk.agent.unit, kinds=["operation"])
        before = list(review.lines.values())
        desk.ask(10_000)
        assert list(review.lines.values()) == before

    def test_as_many_queries_for_many_rights_as_for_few(self, admin: User, django_assert_max_num_queries: Any) -> None:
        unit = make_unit()
        for _ in range(30):
            make_holder("halts.engage_halt", unit=unit)
            permit(make_agent(unit=unit).user, make_operation())
        with django_assert_max_num_queries(30):
            review = open_review(admin, unit=unit)
        assert review.lines.count() == 60


BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": " "}, "name"),
    ({"name": "a\x00b"}, "name"),
    ({"name": "x" * 121}, "name"),
    ({"due": -1}, "due_at"),
    ({"due": 400}, "due_at"),
    ({"next": 1}, "next_at"),
    ({"kinds": []}, "kinds"),
    ({"kinds": ["sandwich"]}, "kinds"),
    ({"kinds": ["key"]}, "kinds"),
    ({"at_due": "explode"}, "at_due"),
    ({"reviewers": ["nobody"]}, "reviewers"),
    ({"reviewers": ["a\x00"]}, "reviewers"),
    ({"reviewers": ["idle"]}, "reviewers"),
]


class TestOpening:
    @pytest.mark.parametrize(("wrong", "where"), BAD, ids=lambda value: str(value)[:40])
    def test_what_does_not_fit_is_said_and_nothing_opens(self, admin: User, wrong: dict[str, Any], where: str) -> None:
        make_user(username="idle")
        said = dict(wrong)
        if "due" in said:
            said["due_at"] = in_days(said.pop("due"))
        if "next" in said:
            said["next_at"] = in_days(said.pop("next"))
        with pytest.raises(InvalidError) as refused:
            open_review(admin, **said)
        assert list(refused.value.errors) == [where]
        assert not AccessReview.objects.exists()

    def test_only_who_manages_access_there(self, admin: User) -> None:
        here, there = make_unit(), make_unit()
        manager = make_holder("access.manage_access", unit=here)
        make_holder("kpis.view_kpi", unit=there)
        for unit in (there, None):
            with pytest.raises(NotAllowedError):
                open_review(manager, unit=unit)
        make_holder("kpis.view_kpi", unit=here)
        assert open_review(manager, unit=here).lines.count() == 2

    def test_agents_never(self, admin: User) -> None:
        agent = make_agent()
        grant(agent.user, make_role("access.manage_access", "agents.manage_agent"))
        with pytest.raises(NotAllowedError):
            open_review(agent.user)
        review = open_review(admin)
        assert not mine_for(agent.user, review).exists()
        with pytest.raises(NotAllowedError):
            decide(agent.user, review.lines.first(), "keep")
        with pytest.raises(NotAllowedError):
            close_access_review(agent.user, review=review)


class TestDeciding:
    def test_keeping_changes_nothing_but_the_line(self, desk: Desk, admin: User) -> None:
        review = open_review(admin, unit=desk.agent.unit, kinds=["operation"])
        before = list(OperationPermission.objects.values())
        line = decide(admin, line_of(review, desk.agent.user, "spare.pay"), "keep")
        assert (line.state, line.decided_by, line.reason) == ("kept", admin, "Looked at.")
        assert list(OperationPermission.objects.values()) == before
        assert names(review.pk) == ["access.review.opened", "access.review.decided"]

    def test_revoking_an_operation_acts_on_the_next_request(self, desk: Desk, admin: User) -> None:
        epoch = Agent.objects.get(pk=desk.agent.pk).epoch
        review = open_review(admin, unit=desk.agent.unit, kinds=["operation"])
        decide(admin, line_of(review, desk.agent.user, desk.operation.slug), "revoke", reason="Not its work.")
        assert desk.ask(10_000).status_code == 404
        assert Agent.objects.get(pk=desk.agent.pk).epoch == epoch + 1
        told = Entry.objects.get(name="permission.revoked").payload
        assert (told["operation"], told["reason"]) == (desk.operation.slug, "Not its work.")

    def test_revoking_a_role_and_a_key(self, admin: User) -> None:
        holder, agent = make_holder("kpis.view_kpi"), make_agent()
        make_key_for(agent)
        review = open_review(admin)
        decide(admin, line_of(review, holder), "revoke")
        decide(admin, line_of(review, agent.user), "revoke")
        assert not RoleGrant.objects.filter(user=holder, revoked_at=None).exists()
        assert agent.credentials.get().revoked_at is not None

    def test_keeping_until_a_time_ends_it_then_and_never_later_than_the_next_review(self, admin: User) -> None:
        holder = make_holder("kpis.view_kpi")
        review = open_review(admin, next_at=in_days(100))
        line = line_of(review, holder)
        with pytest.raises(InvalidError) as refused:
            decide(admin, line, "keep", less=Less(until=in_days(120)))
        assert list(refused.value.errors) == ["until"]
        until = in_days(90)
        decide(admin, line, "keep", less=Less(until=until))
        assert RoleGrant.objects.get(user=holder).until == until

    def test_nothing_is_made_longer(self, admin: User) -> None:
        holder = make_user()
        grant(holder, make_role("kpis.view_kpi"), until=in_days(30))
        line = line_of(open_review(admin), holder)
        for until in (in_days(40), in_days(-1)):
            with pytest.raises(InvalidError):
                decide(admin, line, "keep", less=Less(until=until))
        line.refresh_from_db()
        assert line.state == "waiting"

    def test_narrowing_an_operation(self, desk: Desk, admin: User) -> None:
        review = open_review(admin, unit=desk.agent.unit, kinds=["operation"])
        line = line_of(review, desk.agent.user, desk.operation.slug)
        done = decide(admin, line, "narrow", less=Less(limit=Money(80_000, "EUR")))
        assert (done.state, done.after["limit"]) == ("narrowed", {"amount_minor": 80_000, "currency": "EUR"})
        assert OperationPermission.objects.get(content_object=desk.operation).limit == Money(80_000, "EUR")

    @pytest.mark.parametrize(
        ("say", "less", "where"),
        [
            ("keep", Less(limit=Money(1, "EUR")), "say"),
            ("narrow", Less(), "say"),
            ("narrow", Less(fields=["no_such"]), "fields.no_such"),
            ("narrow", Less(limit=Money(1, "XXQ")), "limit.currency"),
            ("revoke", Less(until=None, fields=["iban"]), "say"),
            ("forget", Less(), "say"),
        ],
    )
    def test_what_does_not_fit_changes_nothing(self, desk: Desk, admin: User, say: str, less: Less, where: str) -> None:
        review = open_review(admin, unit=desk.agent.unit, kinds=["operation"])
        before = list(OperationPermission.objects.values())
        with pytest.raises(InvalidError) as refused:
            decide(admin, line_of(review, desk.agent.user, desk.operation.slug), say, less=less)
        assert where in refused.value.errors
        assert list(OperationPermission.objects.values()) == before
        assert not review.lines.exclude(state="waiting").exists()

    @pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\x00"])
    def test_a_reason_is_wanted(self, admin: User, reason: str) -> None:
        holder = make_holder("kpis.view_kpi")
        with pytest.raises(InvalidError):
            decide(admin, line_of(open_review(admin), holder), "revoke", reason=reason)
        assert RoleGrant.objects.filter(user=holder, revoked_at=None).exists()


class TestWhoDecides:
    def test_nobody_their_own(self, admin: User) -> None:
        make_admin(username="ben")
        review = open_review(admin)
        own = line_of(review, admin)
        assert own not in mine_for(admin, review)
        with pytest.raises(NotAllowedError, match="their own"):
            decide(admin, own, "keep")
        assert decide(User.objects.get(username="ben"), own, "keep").state == "kept"

    def test_only_in_their_units_and_they_see_no_others(self, admin: User) -> None:
        here, there = make_unit(), make_unit()
        manager = make_holder("access.manage_access", unit=here)
        mine, other = (make_holder("kpis.view_kpi", unit=unit) for unit in (here, there))
        review = open_review(admin)
        assert {line.holder for line in lines_for(manager, review)} == {mine, manager}
        assert [line.holder for line in mine_for(manager, review)] == [mine]
        with pytest.raises(NotAllowedError):
            decide(manager, line_of(review, other), "revoke")

    def test_agents_rights_are_for_those_who_manage_agents(self, desk: Desk, admin: User) -> None:
        people = make_holder("access.manage_access", unit=desk.agent.unit)
        agents = make_holder("agents.manage_agent", unit=desk.agent.unit)
        review = open_review(admin, unit=desk.agent.unit, kinds=["operation", "role"])
        assert {line.kind for line in mine_for(people, review)} == {"role"}
        assert {line.kind for line in mine_for(agents, review)} == {"operation"}
        assert set(reviewers_of(review)) == {admin, people, agents}

    def test_only_the_named_ones_where_some_are_named(self, admin: User) -> None:
        other = make_admin(username="ben")
        holder = make_holder("kpis.view_kpi")
        review = open_review(admin, reviewers=["ben"])
        assert not mine_for(admin, review).exists()
        with pytest.raises(NotAllowedError):
            decide(admin, line_of(review, holder), "keep")
        assert reviewers_of(review) == [other]
        assert decide(other, line_of(review, holder), "keep").state == "kept"

    def test_a_stranger_does_not_see_it(self, admin: User) -> None:
        stranger, auditor = make_holder("kpis.view_kpi"), make_holder("audit.view_entry")
        review = open_review(admin)
        assert not lines_for(stranger, review).exists()
        assert list(reviews_waiting_for(stranger)) == []
        assert review_for(auditor, review.pk) == review
        assert list(reviews_waiting_for(auditor)) == []


class TestMeanwhile:
    def test_what_was_revoked_elsewhere_is_gone_whatever_is_said(self, admin: User) -> None:
        holder = make_holder("kpis.view_kpi")
        review = open_review(admin)
        revoke_role(admin, grant=RoleGrant.objects.get(user=holder), reason="Moved on.")
        line = decide(admin, line_of(review, holder), "keep")
        assert (line.state, line.decided_by) == ("gone", None)
        assert names(review.pk)[-1] == "access.review.gone"

    def test_what_was_changed_is_said_and_decided_as_it_is_now(self, desk: Desk, admin: User) -> None:
        review = open_review(admin, unit=desk.agent.unit, kinds=["operation"])
        line = line_of(review, desk.agent.user, desk.operation.slug)
        about = {"holder": desk.agent.user, "operation": desk.operation, "fields": None, "until": None}
        narrow_operation(admin, **about, limit=Money(5, "EUR"), reason="Less.")
        with pytest.raises(ConflictError) as refused:
            decide(admin, line, "keep")
        assert refused.value.code == "stale"
        assert OperationPermission.objects.get(content_object=desk.operation).limit == Money(5, "EUR")

    def test_the_second_of_two_reviewers_is_told_who_was_first(self, admin: User) -> None:
        other, holder = make_admin(), make_holder("kpis.view_kpi")
        review = open_review(admin)
        first, second = (line_of(review, holder) for _ in range(2))
        decide(other, first, "keep")
        with pytest.raises(ConflictError) as refused:
            decide(admin, second, "revoke")
        assert refused.value.members["winner"] == {"by": other.username, "state": "kept"}
        assert RoleGrant.objects.filter(user=holder, revoked_at=None).exists()

    def test_nothing_is_decided_after_the_due_date(self, admin: User) -> None:
        holder = make_holder("kpis.view_kpi")
        review = open_review(admin)
        make_due(review)
        with pytest.raises(ConflictError):
            decide(admin, line_of(review, holder), "revoke")
        assert RoleGrant.objects.filter(user=holder, revoked_at=None).exists()
        assert list(reviews_waiting_for(admin)) == []

    def test_together_each_by_itself(self, admin: User) -> None:
        people = [make_holder("kpis.view_kpi") for _ in range(3)]
        review = open_review(admin)
        gone, longer, plain = people
        revoke_role(admin, grant=RoleGrant.objects.get(user=gone))
        held = RoleGrant.objects.get(user=longer)
        grant_role(admin, user=longer, role=held.role, until=in_days(9))
        told = decide_lines(
            admin, review=review, lines=[line_of(review, one) for one in people], say="revoke", reason="Unused."
        )
        assert [(one.line.state, bool(one.problem)) for one in told] == [
            ("gone", False), ("waiting", True), ("revoked", False),
        ]  # fmt: skip
        assert RoleGrant.objects.filter(user=longer, revoked_at=None).exists()
        assert not RoleGrant.objects.filter(user=plain, revoked_at=None).exists()


class TestEnding:
    def test_closing_reports_what_was_left_and_seals_the_evidence(self, admin: User) -> None:
        kept = make_holder("kpis.view_kpi")
        review = open_review(admin)
        decide(admin, line_of(review, kept), "keep")
        close_access_review(admin, review=review)
        review.refresh_from_db()
        told = Entry.objects.get(name="access.review.closed").payload
        assert (told["counts"]["kept"], told["counts"]["left"], told["digest"]) == (1, 1, review.digest)
        with pytest.raises(ConflictError):
            close_access_review(admin, review=review)
        with pytest.raises(ConflictError):
            decide(make_admin(), line_of(review, admin), "keep")

    def test_at_the_due_date_it_reports_and_revokes_nothing(self, admin: User) -> None:
        holder = make_holder("kpis.view_kpi")
        review = open_review(admin)
        assert sweep_access_reviews() == 0
        make_due(review)
        assert sweep_access_reviews() == 1
        assert line_of(review, holder).state == "left"
        assert RoleGrant.objects.filter(user=holder, revoked_at=None).exists()
        assert sweep_access_reviews() == 0

    def test_or_revokes_where_that_was_chosen_but_never_the_openers_own(self, admin: User) -> None:
        holder = make_holder("kpis.view_kpi")
        review = open_review(admin, at_due="revoke")
        make_due(review)
        while sweep_access_reviews():
            pass
        line = line_of(review, holder)
        assert (line.state, line.decided_by) == ("revoked", admin)
        assert not RoleGrant.objects.filter(user=holder, revoked_at=None).exists()
        assert line_of(review, admin).state == "left"
        assert RoleGrant.objects.filter(user=admin, revoked_at=None).exists()
        review.refresh_from_db()
        assert review.state == "closed"

    def test_it_leaves_what_the_opener_may_no_longer_revoke(self, admin: User) -> None:
        holder = make_holder("kpis.view_kpi")
        opener = make_admin()
        review = open_review(opener, at_due="revoke")
        revoke_role(admin, grant=RoleGrant.objects.get(user=opener))
        make_due(review)
        while sweep_access_reviews():
            pass
        assert line_of(review, holder).state == "left"
        assert RoleGrant.objects.filter(user=holder, revoked_at=None).exists()

    def test_it_reminds_once_before_the_due_date(self, admin: User) -> None:
        review = open_review(admin, due_at=in_days(2))
        assert sweep_access_reviews() == 1
        assert sweep_access_reviews() == 0
        assert names(review.pk)[-1] == "access.review.due_soon"

    def test_what_ends_meanwhile_is_noted(self, admin: User) -> None:
        holder = make_user()
        held = grant(holder, make_role("kpis.view_kpi"), until=in_days(1))
        review = open_review(admin)
        RoleGrant.objects.filter(pk=held.pk).update(until=ClockTimestamp())
        assert sweep_access_reviews() == 1
        assert line_of(review, holder).state == "gone"
        assert progress_for(admin, review).by_state["gone"] == 1
