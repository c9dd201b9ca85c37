"""Runs that failed: put together by cause, and begun anew only where nothing can be done twice."""

from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.agents.services import change_state
from apps.audit.models import Entry
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.models import User
from apps.workflows.models import Retry, Run
from apps.workflows.rules.retrying import Did, Unsafe, unsafe_by
from apps.workflows.selectors.failures import failures_for
from apps.workflows.selectors.retrying import unsafe_runs_of
from apps.workflows.services import perform_due_retries, retry_runs
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.workflows import carry_out, make_run, make_worker, make_workflow, waiting_action
from tests.together import at_once

DOCUMENT: dict[str, Any] = {
    "slug": "order",
    "steps": {
        "book": {"operation": "erp.book", "with": {"n": "1"}, "on_error": {"then": "fail"}},
        "tell": {"needs": ["book"], "operation": "mail.send", "with": {"n": "1"}, "on_error": {"then": "fail"}},
    },
}
RIGHTS = ("workflows.view_run", "workflows.operate_run", "workflows.start_run")
EFFECTS = st.sampled_from(["read", "write", "irreversible"])


def failed(flow: Any, given: Any = None, *, at: str = "book", code: str = "refused_by_system", **fields: Any) -> Run:
    """A run that failed in a step, everything before it done."""
    run = make_run(flow, given, **fields)
    if at == "tell":
        carry_out(waiting_action(run, "book"), {})
    carry_out(waiting_action(run, at), code=code)
    run.refresh_from_db()
    assert run.state == "failed", run.state
    return run


@pytest.fixture
def flow(db):
    return make_workflow(DOCUMENT)


@pytest.fixture
def olga(db) -> User:
    return make_holder(*RIGHTS)


def client_of(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


@given(st.lists(st.builds(Did, st.sampled_from(list(ActionState)), EFFECTS, st.booleans()), max_size=5))
def test_a_run_is_safe_only_where_nothing_that_it_did_can_still_count(actions):
    why = unsafe_by(actions)
    counts = [one for one in actions if one.effect != "read"]
    if any(one.state == "unknown" for one in counts):
        assert why == Unsafe.UNKNOWN
    if why is None:
        assert all(one.takes_back for one in counts if one.state == "succeeded")
        assert not {one.state for one in counts} & {"unknown", "executing", "approved", "pending_approval", "proposed"}


class TestCauses:
    def test_runs_are_put_together_by_workflow_step_and_error(self, flow, olga):
        for _ in range(2):
            failed(flow)
        failed(flow, code="unreachable")
        done = failed(flow, at="tell")
        groups = failures_for(olga, days=7).groups
        assert [(group.cause, len(group.runs), len(group.safe)) for group in groups] == [
            (("order", "book", "refused_by_system"), 2, 2),
            (("order", "tell", "refused_by_system"), 1, 0),
            (("order", "book", "unreachable"), 1, 1),
        ]
        assert groups[1].not_safe == {Unsafe.IRREVERSIBLE: 1}
        assert groups[1].runs == [done]

    def test_whoever_may_only_look_is_told_that_they_may_not_intervene(self, flow):
        failed(flow)
        looker = make_holder("workflows.view_run")
        group = failures_for(looker, days=7).groups[0]
        assert (group.safe, group.not_theirs) == ([], 1)
        page = client_of(looker).get("/runs/failures/").content.decode()
        assert "you may not intervene in them" in page
        assert "that are safe" not in page

    def test_other_units_see_nothing(self, flow):
        failed(flow)
        stranger = make_holder(*RIGHTS, unit=make_unit())
        assert failures_for(stranger, days=7).groups == []
        client = client_of(stranger)
        assert "order" not in client.get("/runs/failures/").content.decode().split("<main")[1]
        assert client.get("/runs/failures/retry/?workflow=order&step=book&code=refused_by_system").status_code == 404

    def test_what_changed_stands_beside_it(self, flow, olga):
        failed(flow)
        page = client_of(olga).get("/runs/failures/").content.decode()
        assert "What changed" in page
        assert "<strong>Workflow version published</strong> Flow v1" in page.rsplit("What changed", 1)[1]


class TestSafety:
    def test_what_was_done_for_good_is_not_done_again(self, flow, olga):
        run = failed(flow, at="tell")
        assert unsafe_runs_of(olga, [run]) == {run.pk: Unsafe.IRREVERSIBLE}
        assert retry_runs(olga, run_ids=[run.pk], reason="Again.") == 0
        assert not Retry.objects.exists()
        assert not Entry.objects.filter(name="run.retry_asked").exists()

    def test_what_was_taken_back_may_be_done_again(self, flow, olga):
        run = failed(flow, at="tell")
        Action.objects.filter(run_id=run.pk, step="book").update(state="compensated")
        assert unsafe_runs_of(olga, [run]) == {}

    def test_a_later_run_with_the_key_stands_in_for_it(self, flow, olga):
        run = failed(flow, key="PO-1")
        other = failed(flow, key="PO-1")
        assert unsafe_runs_of(olga, [run, other]) == {}
        make_run(flow, key="PO-1")
        assert unsafe_runs_of(olga, [run, other]) == dict.fromkeys((run.pk, other.pk), Unsafe.UNDER_WAY)

    @pytest.mark.parametrize("first", ["book", "tell"])
    def test_what_any_run_with_the_key_did_for_good_counts(self, flow, olga, first):
        runs = [failed(flow, key="PO-1", at=at) for at in (first, "book" if first == "tell" else "tell")]
        elsewhere = failed(flow, key="PO-2")
        assert unsafe_runs_of(olga, [*runs, elsewhere]) == dict.fromkeys((run.pk for run in runs), Unsafe.IRREVERSIBLE)
        assert unsafe_runs_of(olga, runs[:1]) == {runs[0].pk: Unsafe.IRREVERSIBLE}

    def test_an_agents_word_that_nothing_was_done_is_not_enough(self, flow, olga):
        run = failed(flow)
        said = {"by": "agent", "code": "reported", "message": "No."}
        Action.objects.filter(run_id=run.pk, step="book").update(error=said)
        assert unsafe_runs_of(olga, [run]) == {run.pk: Unsafe.UNPROVEN}

    def test_an_input_that_was_erased_begins_nothing(self, flow, olga):
        run = failed(flow)
        run.erased_at = run.finished_at
        assert unsafe_runs_of(olga, [run]) == {run.pk: Unsafe.ERASED}


class TestRetrying:
    def test_a_run_begins_anew_once_for_whoever_started_it(self, flow, olga):
        run = failed(flow, {"n": 7}, key="PO-1")
        assert retry_runs(olga, run_ids=[run.pk], reason="The system is back.") == 1
        assert retry_runs(olga, run_ids=[run.pk], reason="Twice.") == 0
        assert [perform_due_retries(), perform_due_retries()] == [1, 0]
        new = Run.objects.exclude(pk=run.pk).get()
        assert (new.started_by, new.input, new.key, new.state) == (run.started_by, {"n": 7}, "PO-1", "running")
        retry = Retry.objects.get()
        assert (retry.state, retry.started, retry.asked_by) == ("started", new, olga)
        run.refresh_from_db()
        assert run.state == "failed"
        said = Entry.objects.get(name="run.retry_asked")
        assert (said.actor, said.payload["reason"], said.trail_id) == (olga, "The system is back.", run.pk)
        assert Entry.objects.get(name="run.started", subject_id=new.pk).actor == olga

    def test_it_is_looked_at_again_before_it_begins(self, flow, olga):
        run = failed(flow)
        retry_runs(olga, run_ids=[run.pk], reason="Again.")
        Action.objects.filter(run_id=run.pk).update(state="unknown")
        assert perform_due_retries() == 1
        assert Retry.objects.values_list("state", "code").get() == ("refused", "not_safe")
        assert Run.objects.count() == 1
        Action.objects.filter(run_id=run.pk).update(state="failed")
        assert retry_runs(olga, run_ids=[run.pk], reason="It was found out.") == 1
        assert perform_due_retries() == 1
        assert Run.objects.count() == 2

    def test_an_agent_that_was_suspended_begins_nothing(self, flow, olga):
        worker = make_worker(flow, "order.check")
        run = failed(flow, actor=worker.user)
        change_state(make_admin(), agent=worker, to="suspended", reason="Odd.")
        retry_runs(olga, run_ids=[run.pk], reason="Again.")
        perform_due_retries()
        assert Retry.objects.values_list("state", "code").get() == ("refused", "agent_inactive")
        assert Run.objects.count() == 1

    def test_whoever_asked_and_left_begins_nothing(self, flow, olga):
        run = failed(flow)
        retry_runs(olga, run_ids=[run.pk], reason="Again.")
        User.objects.filter(pk=olga.pk).update(is_active=False)
        perform_due_retries()
        assert Retry.objects.get().state == "refused"
        assert Run.objects.count() == 1

    @pytest.mark.parametrize("rights", [("workflows.view_run",), ("workflows.view_run", "workflows.start_run"), ()])
    def test_whoever_may_not_intervene_asks_nothing(self, flow, rights):
        run = failed(flow)
        with pytest.raises(NotAllowedError):
            retry_runs(make_holder(*rights), run_ids=[run.pk], reason="Again.")
        assert not Retry.objects.exists()

    def test_without_a_reason_nothing_begins(self, flow, olga):
        with pytest.raises(InvalidError):
            retry_runs(olga, run_ids=[failed(flow).pk], reason=" ")
        assert not Retry.objects.exists()


class TestPage:
    ADDRESS = "/runs/failures/retry/?workflow=order&step=book&code=refused_by_system"

    def test_consequences_come_first_then_the_reason_then_it_begins(self, flow, olga):
        run = failed(flow)
        client = client_of(olga)
        assert "Retry the 1 that is safe" in client.get("/runs/failures/").content.decode()
        page = client.get(self.ADDRESS).content.decode()
        assert page.index("None begins twice") < page.index('name="runs"')
        answer = client.post(self.ADDRESS, {"runs": str(run.pk), "reason": ""})
        assert answer.status_code == 422
        assert str(run.pk) in answer.content.decode()
        assert not Retry.objects.exists()
        assert client.post(self.ADDRESS, {"runs": str(run.pk), "reason": "Back again."}).status_code == 302
        assert "1 is about to begin anew" in client.get("/runs/failures/").content.decode()
        perform_due_retries()
        assert "1 began anew" in client.get("/runs/failures/").content.decode()
        new = Retry.objects.get().started
        assert str(new.pk) in client.get(f"/runs/{run.pk}/").content.decode()
        assert str(run.pk) in client.get(f"/runs/{new.pk}/").content.decode()

    @pytest.mark.parametrize("runs", ["", "x", "01890000-0000-7000-8000-000000000000"])
    def test_what_is_no_run_begins_nothing(self, flow, olga, runs):
        failed(flow)
        answer = client_of(olga).post(self.ADDRESS, {"runs": runs, "reason": "x"})
        assert answer.status_code in {403, 422}
        assert not Retry.objects.exists()


class TestApi:
    def test_the_same_over_the_api_each_begins_once(self, flow, olga):
        safe, done = failed(flow), failed(flow, at="tell")
        client = client_of(olga)
        found = client.get("/api/v1/runs/failures/?days=7&workflow=order").json()
        assert found["cut"] is False
        told = [(one["step"], one["code"], one["failed"], one["safe"], one["not_safe"]) for one in found["results"]]
        assert sorted(told) == [
            ("book", "refused_by_system", 1, [str(safe.pk)], {}),
            ("tell", "refused_by_system", 1, [], {"irreversible": 1}),
        ]
        asked = {"runs": [str(safe.pk), str(safe.pk), str(done.pk)], "reason": "Back again."}
        answer = client.post("/api/v1/runs/retry/", asked, content_type="application/json")
        assert (answer.status_code, answer.json()) == (202, {"begin": 1, "left": 1})
        again = client.post("/api/v1/runs/retry/", asked, content_type="application/json")
        assert again.json() == {"begin": 0, "left": 2}, "it waits to begin already"
        perform_due_retries()
        results = client.get("/api/v1/runs/failures/").json()["results"]
        assert [one["retries"] for one in results if one["step"] == "book"] == [{"started": 1}]
        assert Run.objects.count() == 3

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"runs": [], "reason": "x"}, 422),
            ({"runs": ["x"], "reason": "x"}, 422),
            ({"runs": ["01890000-0000-7000-8000-000000000000"], "reason": " "}, 422),
            ({"runs": ["01890000-0000-7000-8000-000000000000"]}, 422),
            ({"runs": ["01890000-0000-7000-8000-000000000000"], "reason": "x", "force": True}, 422),
            ({"runs": ["01890000-0000-7000-8000-000000000000"] * 201, "reason": "x"}, 422),
            ({"runs": ["01890000-0000-7000-8000-000000000000"], "reason": "x"}, 403),
        ],
    )
    def test_what_does_not_fit_begins_nothing(self, flow, olga, body, status):
        failed(flow)
        answer = client_of(olga).post("/api/v1/runs/retry/", body, content_type="application/json")
        assert answer.status_code == status
        assert not Retry.objects.exists()
        assert client_of(olga).get("/api/v1/runs/failures/?days=3").status_code == 422

    def test_others_begin_none_of_it_and_agents_do_not_come_in(self, flow, olga):
        run = failed(flow)
        asked = {"runs": [str(run.pk)], "reason": "x"}
        for stranger in (make_holder(*RIGHTS, unit=make_unit()), make_holder("workflows.view_run")):
            answer = client_of(stranger).post("/api/v1/runs/retry/", asked, content_type="application/json")
            assert answer.status_code == 403
        assert client_of(make_holder(*RIGHTS, unit=make_unit())).get("/api/v1/runs/failures/").json()["results"] == []
        assert not Retry.objects.exists()


@pytest.mark.usefixtures("real_db")
def test_whoever_asks_and_works_at_once_one_run_begins():
    with transaction.atomic():
        run = failed(make_workflow(DOCUMENT), key="PO-1")
    people = [make_holder(*RIGHTS) for _ in range(2)]
    asked = at_once(*(lambda who=who: retry_runs(who, run_ids=[run.pk], reason="Again.") for who in people))
    assert sorted(asked) == [0, 1]
    at_once(*(perform_due_retries for _ in range(3)))
    assert Run.objects.exclude(pk=run.pk).count() == 1
