"""The gate between pilot and active: what is counted, what it stops, and who overrides it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.agents.models import Action, Agent, AgentCase, ChangeRequest, Repetition
from apps.agents.rules import GATE_CASES, Earlier, Proof, TrackRecord, gate_of
from apps.agents.selectors import gate_for, trial_for
from apps.agents.services import agree_to_change, ask_change, change_state, save_version, set_cases
from apps.audit.models import Entry
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.models import ClockTimestamp
from apps.core.statistics import difference_interval
from apps.halts.services import engage_halt
from tests.agents.test_changes import managers, state_of
from tests.factories.access import make_admin, make_holder
from tests.factories.agents import make_action, make_agent
from tests.oversight.test_api import caller, decide, post
from tests.workflows.actions import make_desk, rules_of

counts = st.integers(min_value=0, max_value=1000)


@given(st.builds(TrackRecord, carried_out=counts, failed=counts, refused=counts, decided=counts, unmodified=counts))
def test_what_went_wrong_never_helps(done: TrackRecord) -> None:
    lines = {line.proof: line for line in gate_of(done)}
    assert set(lines) == set(Proof)
    assert lines[Proof.CASES].passed == (done.carried_out + done.refused >= GATE_CASES)
    if done.carried_out:
        assert lines[Proof.ERRORS].passed == (done.failed <= 0.05 * done.carried_out)
    if done.decided:
        assert lines[Proof.UNMODIFIED].passed == (done.unmodified >= 0.9 * done.decided)


@pytest.mark.parametrize("proof", ["harmful", "unknown", "flags", "halts"])
def test_one_of_these_is_too_many(proof: str) -> None:
    good = {"carried_out": GATE_CASES, "tests": 1}
    assert all(line.passed for line in gate_of(TrackRecord(**good)))
    failed = [line.proof for line in gate_of(TrackRecord(**good, **{proof: 1})) if not line.passed]
    assert failed == [proof]


def test_nothing_done_and_nothing_tested_yet_is_too_little_and_no_more() -> None:
    assert [line.proof for line in gate_of(TrackRecord()) if not line.passed] == [Proof.CASES, Proof.TESTS]


@pytest.mark.parametrize(("tests", "broken", "passed"), [(0, 0, False), (1, 0, True), (3, 1, False), (3, 0, True)])
def test_tests_pass_where_there_are_some_and_none_is_broken(tests: int, broken: int, passed: bool) -> None:
    line = {line.proof: line for line in gate_of(TrackRecord(tests=tests, broken=broken))}[Proof.TESTS]
    assert (line.passed, line.value, line.n, line.threshold) == (passed, tests - broken, tests, max(tests, 1))


def proven(agent: Agent, cases: int = GATE_CASES) -> Agent:
    """An agent that did so much and erred in nothing, as its one test says."""
    AgentCase.objects.get_or_create(
        agent=agent,
        name="ungranted",
        defaults={"operation": "none.such", "parameters": {}, "expected": "refused", "made_by": agent.owner},
    )
    for _ in range(cases):
        make_action(agent=agent, state="succeeded")
    return agent


def failed_of(agent: Agent) -> list[str]:
    return [str(line.proof) for line in gate_for(agent.owner, agent) if not line.passed]


@pytest.mark.django_db
class TestWhatCounts:
    def test_only_what_its_present_version_did_lately(self) -> None:
        agent = proven(make_agent(state="pilot"))
        assert failed_of(agent) == []
        Action.objects.filter(pk=Action.objects.first().pk).update(created_at="2020-01-01T00:00:00Z")
        assert failed_of(agent) == ["cases"]
        proven(agent, 1)
        proven(make_agent(), 5)
        assert failed_of(agent) == []
        Action.objects.update(version=None)
        assert failed_of(agent) == ["cases"]

    @pytest.mark.parametrize(("state", "proof"), [("failed", "errors"), ("unknown", "unknown")])
    def test_what_failed_or_nobody_knows(self, state: str, proof: str) -> None:
        agent = proven(make_agent(state="pilot"))
        for _ in range(2):
            make_action(agent=agent, state=state)
        assert failed_of(agent) == [proof]

    def test_what_people_decided_otherwise_than_asked(self) -> None:
        desk = make_desk()
        proven(desk.agent)
        desk.ask(250_000)
        item = Action.objects.latest("id").escalations.get()
        body = {"verdict": "reject", "reason": "No.", "version": item.version}
        assert decide(caller(desk.approver), item, **body).status_code == 200
        assert failed_of(desk.agent) == ["unmodified"]

    def test_what_it_is_stopped_or_flagged_for(self) -> None:
        agent = proven(make_agent(state="pilot"))
        action = Action.objects.first()
        now = ClockTimestamp()
        Repetition.objects.create(rejected=action, agent=agent, last_at=now, flagged_at=now)
        engage_halt(make_admin(), scope="version", target=agent.acts_as, unit=agent.unit, reason="odd")
        engage_halt(make_admin(), scope="agent", target="another", unit=agent.unit, reason="odd")
        assert failed_of(agent) == ["flags", "halts"]


@pytest.mark.django_db
class TestThePassage:
    def test_passing_moves_nothing_by_itself_and_one_person_then_may(self) -> None:
        agent = proven(make_agent(state="pilot"))
        assert state_of(agent) == "pilot"
        assert ask_change(managers(agent)[0], agent=agent, kind="state", to="active") is None
        assert state_of(agent) == "active"

    @pytest.mark.parametrize("state", ["draft", "pilot", "suspended"])
    def test_who_does_not_pass_stays_and_is_told_what_is_missing(self, state: str) -> None:
        agent = make_agent(state=state)
        first, _ = managers(agent)
        with pytest.raises(ConflictError) as refusal:
            ask_change(first, agent=agent, kind="state", to="active", reason="Now.")
        assert (refusal.value.code, refusal.value.members) == ("gate_not_passed", {"criteria": ["cases", "tests"]})
        assert state_of(agent) == state
        assert not Entry.objects.exists()

    def test_overriding_it_takes_a_reason_and_two_people_whatever_the_risk(self) -> None:
        agent = make_agent(state="pilot", risk="low")
        first, second = managers(agent)
        change = ask_change(first, agent=agent, kind="state", to="active", reason="It only reads.", override=True)
        assert change is not None
        assert (change.overridden, state_of(agent)) == (["cases", "tests"], "pilot")
        agree_to_change(second, change=change)
        assert state_of(agent) == "active"
        assert Entry.objects.get(name="agent.active").payload["overridden"] == ["cases", "tests"]

    def test_what_got_worse_since_it_was_asked_for_is_asked_for_anew(self) -> None:
        agent = proven(make_agent(state="pilot", risk="high"))
        first, second = managers(agent)
        change = ask_change(first, agent=agent, kind="state", to="active", reason="Ready.")
        assert change is not None
        make_action(agent=agent, state="unknown")
        with pytest.raises(ConflictError) as refusal:
            agree_to_change(second, change=change)
        assert refusal.value.members == {"criteria": ["unknown"]}
        assert state_of(agent) == "pilot"
        assert ChangeRequest.objects.get().ended_at is None

    def test_who_worked_until_it_was_suspended_goes_on_without_it(self) -> None:
        admin, working, watched = make_admin(), make_agent(), make_agent(state="pilot")
        for agent in (working, watched):
            change_state(admin, agent=agent, to="suspended", reason="odd")
        assert ask_change(admin, agent=working, kind="state", to="active", reason="Mended.") is None
        assert state_of(working) == "active"
        with pytest.raises(ConflictError):
            ask_change(admin, agent=watched, kind="state", to="active", reason="Mended.")

    def test_a_grave_agent_that_got_an_untried_version_meanwhile_passes_the_gate(self) -> None:
        agent = make_agent(risk="high")
        first, second = managers(agent)
        change_state(first, agent=agent, to="suspended", reason="odd")
        save_version(first, agent=agent, model="m2", activate=False)
        asked = {"kind": "version", "to": "2", "handover": "return", "reason": "Mended."}
        agree_to_change(second, change=ask_change(first, agent=agent, **asked))
        with pytest.raises(ConflictError) as caught:
            ask_change(first, agent=agent, kind="state", to="active", reason="Mended.")
        assert caught.value.code == "gate_not_passed"
        ask_change(first, agent=agent, kind="version", to="1", handover="return", reason="Back.")
        agree_to_change(second, change=ask_change(first, agent=agent, kind="state", to="pilot", reason="As it was."))
        assert state_of(agent) == "pilot"


@pytest.mark.django_db
class TestWhereItIsShown:
    def test_over_http(self) -> None:
        agent = proven(make_agent(state="pilot"), 3)
        client = caller(managers(agent)[0])
        told = client.get(f"/api/v1/agents/{agent.slug}/gate/").json()
        assert (told["passed"], told["days"]) == (False, 90)
        cases = next(line for line in told["criteria"] if line["proof"] == "cases")
        assert cases == {"proof": "cases", "value": 3, "threshold": 20, "n": 3, "passed": False, "compared": None}
        answer = post(client, f"/api/v1/agents/{agent.slug}/state/", {"state": "active"})
        assert (answer.status_code, answer.json()["code"]) == (409, "gate_not_passed")
        assert answer.json()["criteria"] == ["cases"]

    def test_on_its_page_with_where_the_cases_are(self, client: Any) -> None:
        agent, working = make_agent(state="pilot"), make_agent()
        client.force_login(make_admin())
        page = client.get(f"/agents/{agent.slug}/").content.decode()
        assert "Gate to active" in page
        assert f'href="/actions/?agent={agent.slug}&amp;state=failed"' in page
        assert "Active although the gate says no" in page
        beyond = client.get(f"/agents/{working.slug}/").content.decode()
        assert "It is active: no gate stands before it." in beyond
        assert "Passing changes nothing by itself" in page
        assert "Passing changes nothing by itself" not in beyond
        answer = client.post(f"/agents/{agent.slug}/state/", {"state": "active", "reason": "Now."})
        assert answer.status_code == 409
        assert "does not pass the gate" in answer.content.decode()
        assert state_of(agent) == "pilot"


class TestComparedWithTheVersionBefore:
    def line(self, proof: str, **counts: Any) -> Any:
        earlier = Earlier(3, **{name[7:]: n for name, n in counts.items() if name.startswith("before_")})
        now = {name: n for name, n in counts.items() if not name.startswith("before_")}
        return {line.proof: line for line in gate_of(TrackRecord(**now, earlier=earlier))}[Proof(proof)]

    def test_it_fails_only_where_so_many_cases_leave_no_doubt(self) -> None:
        more = self.line("not_more_errors", carried_out=100, failed=5, before_carried_out=100, before_failed=4)
        assert (more.passed, more.value, more.n) == (True, 0.05, 100)
        assert (more.compared.version, more.compared.share, more.compared.n) == (3, 0.04, 100)
        assert more.compared.low < 0 < more.compared.high
        far = self.line("not_more_errors", carried_out=1000, failed=50, before_carried_out=1000, before_failed=5)
        assert not far.passed
        assert far.compared.low > 0
        assert self.line(
            "not_more_errors", carried_out=1000, failed=5, before_carried_out=1000, before_failed=50
        ).passed
        less = self.line("not_less_right", decided=200, unmodified=181, before_decided=200, before_unmodified=199)
        assert not less.passed
        assert less.compared.high < 0
        assert self.line("not_less_right", decided=20, unmodified=18, before_decided=20, before_unmodified=19).passed

    def test_with_nothing_before_there_is_nothing_to_compare(self) -> None:
        for done in (TrackRecord(carried_out=30, failed=1), TrackRecord(carried_out=30, earlier=Earlier(1))):
            lines = {line.proof: line for line in gate_of(done)}
            for proof in (Proof.NOT_MORE_ERRORS, Proof.NOT_LESS_RIGHT):
                assert lines[proof].passed
                assert lines[proof].compared is None

    @pytest.mark.parametrize(
        ("counts", "low", "high"),
        [
            ((56, 70, 48, 80), 0.0524, 0.3339),
            ((9, 10, 3, 10), 0.1705, 0.8090),
            ((10, 10, 0, 20), 0.6791, 1.0),
            ((0, 10, 0, 10), -0.2775, 0.2775),
        ],
    )
    def test_the_interval_is_that_of_the_paper(
        self, counts: tuple[int, int, int, int], low: float, high: float
    ) -> None:
        assert difference_interval(*counts) == pytest.approx((low, high), abs=5e-5)

    @pytest.mark.django_db
    def test_the_version_before_is_the_one_that_was_in_force_last(self) -> None:
        agent = make_agent(state="pilot")
        admin = make_admin()
        second, _ = save_version(admin, agent=agent, instructions="2", is_reviewed=True)
        for state, times in (("succeeded", 3), ("failed", 1)):
            for _n in range(times):
                make_action(agent=agent, state=state)
        save_version(admin, agent=agent, instructions="draft", activate=False)
        save_version(admin, agent=agent, instructions="3", is_reviewed=True)
        make_action(agent=agent, state="succeeded")
        line = {line.proof: line for line in gate_for(admin, agent)}[Proof.NOT_MORE_ERRORS]
        assert (line.value, line.n) == (0.0, 1)
        assert (line.compared.version, line.compared.share, line.compared.n) == (second.number, 0.25, 4)


@pytest.mark.django_db
class TestStoredTests:
    def stored(self, desk: Any, *cases: tuple[str, int, str]) -> Any:
        said = [
            {
                "name": name,
                "operation": desk.operation.slug,
                "parameters": desk.body(amount)["parameters"],
                "expect": expect,
            }
            for name, amount, expect in cases
        ]
        assert set_cases(make_admin(), agent=desk.agent, cases=said) == "changed"
        return trial_for(desk.agent.owner, desk.agent)

    def test_each_is_judged_by_permissions_and_the_rules_in_force_and_nothing_is_written(self) -> None:
        desk = make_desk()
        Agent.objects.filter(pk=desk.agent.pk).update(state="draft")
        desk.agent.refresh_from_db()
        cases = (
            ("a", 5_000, "allow"),
            ("b", 250_000, "require_approval"),
            ("c", 20_000_000, "deny"),
            ("d", -1, "refused"),
        )
        before = Entry.objects.count() + 1
        trial = self.stored(desk, *cases)
        assert [(one.name, one.got, one.passed) for one in trial.results] == [
            ("a", "allow", True), ("b", "require_approval", True), ("c", "deny", True), ("d", "refused", True),
        ]  # fmt: skip
        assert f"{desk.policy.slug} · small" in trial.results[0].why
        assert "amount_minor" in trial.results[3].why
        assert (Entry.objects.count(), Action.objects.count()) == (before, 0)
        assert desk.agent.state == "draft"

    def test_one_that_is_not_as_expected_closes_the_gate_and_two_may_override(self) -> None:
        desk = make_desk()
        Agent.objects.filter(pk=desk.agent.pk).update(state="pilot")
        desk.agent.refresh_from_db()
        proven(desk.agent)
        assert failed_of(desk.agent) == []
        self.stored(desk, ("large", 250_000, "deny"))
        assert failed_of(desk.agent) == ["tests"]
        first, second = managers(desk.agent)
        with pytest.raises(ConflictError):
            ask_change(first, agent=desk.agent, kind="state", to="active", reason="Now.")
        change = ask_change(
            first, agent=desk.agent, kind="state", to="active", reason="The test is old.", override=True
        )
        assert change is not None
        assert change.overridden == ["tests"]
        agree_to_change(second, change=change)
        assert state_of(desk.agent) == "active"

    def test_what_people_rejected_may_not_pass_without_them(self) -> None:
        desk = make_desk()
        desk.ask(250_000)
        item = Action.objects.get().escalations.get()
        body = {"verdict": "reject", "reason": "No.", "version": item.version}
        assert decide(caller(desk.approver), item, **body).status_code == 200
        line = {line.proof: line for line in gate_for(desk.agent.owner, desk.agent)}[Proof.REJECTED_BEFORE]
        assert (line.value, line.n, line.passed) == (0, 1, True)
        rules_of(desk, {"slug": "all", "when": "true", "effect": "allow"})
        line = {line.proof: line for line in gate_for(desk.agent.owner, desk.agent)}[Proof.REJECTED_BEFORE]
        assert (line.value, line.n, line.passed) == (1, 1, False)

    @pytest.mark.parametrize(
        ("case", "path"),
        [
            ({"name": " "}, "0.name"),
            ({"expect": "maybe"}, "0.expect"),
            ({"parameters": {"a": "\x00"}}, "0.parameters"),
            ({"parameters": {"a": 2**60}}, "0.parameters"),
        ],
    )
    def test_what_does_not_fit_is_said_where_and_nothing_is_stored(self, case: dict[str, Any], path: str) -> None:
        agent = make_agent()
        good = {"name": "a", "operation": "b", "parameters": {}, "expect": "allow"}
        with pytest.raises(InvalidError) as refused:
            set_cases(make_admin(), agent=agent, cases=[{**good, **case}])
        assert list(refused.value.errors) == [path]
        with pytest.raises(InvalidError):
            set_cases(make_admin(), agent=agent, cases=[good, good])
        assert not agent.cases.exists()
        assert not Entry.objects.exists()

    def test_agents_and_strangers_store_none(self) -> None:
        agent = make_agent()
        for actor in (agent.user, make_holder("agents.view_agent", unit=agent.unit)):
            with pytest.raises(NotAllowedError):
                set_cases(actor, agent=agent, cases=[])

    def test_the_page_stores_shows_and_removes_them(self, client: Any) -> None:
        desk = make_desk()
        client.force_login(make_admin())
        address = f"/agents/{desk.agent.slug}/tests/"
        assert "No test yet" in client.get(address).content.decode()
        body = {"name": "small", "operation": desk.operation.slug, "expect": "deny", "parameters": "{"}
        refused = client.post(address, body)
        assert refused.status_code == 422
        assert 'class="summary" role="alert"' in refused.content.decode()
        body["parameters"] = json.dumps(desk.body(5_000)["parameters"])
        assert client.post(address, body).status_code == 302
        page = client.get(address).content.decode()
        assert f"{desk.policy.slug} · small" in page
        assert client.post(address, body).status_code == 422
        assert client.post(f"{address}remove/", {"name": "none"}).status_code == 404
        assert client.post(f"{address}remove/", {"name": "small"}).status_code == 302
        assert not desk.agent.cases.exists()
        client.force_login(make_holder("agents.view_agent", unit=desk.agent.unit))
        assert client.get(address).status_code == 200
        assert client.post(address, body).status_code == 404
