"""Effects against a real server: what each ending means, and what becomes of those whose worker died."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.connectors import services
from apps.connectors.models import Effect, OperationPermission
from apps.connectors.rules import CallEnd, CallResult
from apps.connectors.selectors import health_for
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.workflows.services.actions import carrying_out
from tests.factories.access import make_admin
from tests.factories.agents import make_action, make_agent
from tests.factories.connectors import make_connector, make_operation, permit

pytestmark = pytest.mark.django_db
PARAMETERS = {"amount_minor": 1240000, "currency": "EUR", "iban": "DE89"}
CANARY = "canary-9b2e/13+q"


@pytest.fixture
def plane():
    return system_user("plane")


@pytest.fixture
def bank(system):
    """A connector to the misbehaving system, with a secret."""
    connector = make_connector(base_url=system.url, auth={"type": "bearer"})
    services.set_secret(make_admin(), connector=connector, secret=CANARY)
    return connector


def unknown(action):
    """What ``workflows`` makes of an action whose effect is unknown."""
    type(action).objects.filter(pk=action.pk).update(state="unknown")


def approved(bank, agent=None, parameters=None, **fields):
    """An approved action on an operation of the bank that its agent may use."""
    agent = agent or make_agent()
    operation = make_operation(connector=bank, **fields)
    permit(agent.user, operation)
    return make_action(
        agent=agent,
        operation=operation.slug,
        connector=bank.slug,
        state="approved",
        effect=operation.effect,
        parameters=PARAMETERS if parameters is None else parameters,
    )


def perform(plane, action):
    services.prepare_effect(plane, action=action)
    effect = services.claim_effect(plane, action=action)
    return services.settle_effect(plane, effect=effect, call=services.dispatch_effect(plane, effect=effect))


def due():
    return [(found.effect_id, str(found.due)) for found in services.due_effects()]


def past(effect, **fields):
    Effect.objects.filter(pk=effect.pk).update(
        **{name: ClockTimestamp() - timedelta(seconds=1) for name in fields or {"retry_at": 1}}
    )


def test_an_effect_is_done_once_with_what_was_approved(plane, bank, system):
    system.will(201, b'{"id": "p-1"}')
    action = approved(bank)
    effect = perform(plane, action)
    assert (effect.state, effect.response) == ("succeeded", {"status": 201, "body": {"id": "p-1"}})
    (method, path, headers, body), *more = system.asked
    assert more == []
    assert (method, path) == ("POST", "/payments")
    assert body == b'{"amount_minor":1240000,"currency":"EUR","iban":"DE89"}'
    assert headers["Idempotency-Key"] == str(action.pk)
    assert headers["Authorization"] == f"Bearer {CANARY}"
    names = list(Entry.objects.filter(subject_id=effect.pk).order_by("id").values_list("name", flat=True))
    assert names == ["effect.prepared", "effect.claimed", "effect.dispatched", "effect.succeeded"]
    assert set(Entry.objects.filter(subject_id=effect.pk).values_list("trail_id", flat=True)) == {action.pk}
    with pytest.raises(ConflictError):
        services.claim_effect(plane, action=action)


def test_reads_go_into_the_query_and_the_path(plane, bank, system):
    action = approved(
        bank, parameters={"id": "a/b", "fields": ["x", "y z"]}, method="GET", path="/vendors/{id}", effect="read"
    )
    perform(plane, action)
    assert system.asked[0][:2] == ("GET", "/vendors/a%2Fb?fields=x&fields=y+z")


@pytest.mark.parametrize(
    ("answer", "state", "code"),
    [
        ({"status": 422, "body": b'{"error": "no such iban"}'}, "failed", "refused_by_system"),
        ({"status": 500, "body": b"{}"}, "unknown", "system_error"),
        ({"status": 200, "body": b"<html>"}, "unknown", "broken_answer"),
        ({"status": 302, "body": b""}, "unknown", "broken_answer"),
        ({"raw": b""}, "unknown", None),
        ({"status": 503, "body": b"", "headers": [("Retry-After", "5")]}, "prepared", "busy"),
    ],
)
def test_each_ending_of_a_write(plane, bank, system, answer, state, code):
    system.will(**answer)
    effect = perform(plane, approved(bank))
    assert effect.state == state
    assert code is None or effect.error["code"] == code
    assert (effect.retry_at is not None) is (state in {"unknown", "prepared"})


def test_the_words_of_the_system_reach_the_agent(plane, bank, system):
    system.will(422, b'{"error": "no such iban"}')
    effect = perform(plane, approved(bank))
    assert "no such iban" in effect.error["message"]
    assert effect.error["status"] == 422


def test_a_read_that_nobody_answers_failed(plane, bank, system):
    system.will(500, b"")
    assert perform(plane, approved(bank, effect="read")).state == "failed"


def test_a_system_that_is_down_was_never_reached(plane, closed_port):
    effect = perform(plane, approved(make_connector(base_url=f"http://127.0.0.1:{closed_port}")))
    assert (effect.state, effect.error["code"]) == ("failed", "unreachable")


def test_an_internal_address_that_nobody_allowed_is_not_reached(plane, system):
    effect = perform(plane, approved(make_connector(base_url=system.url, allow_internal=False)))
    assert (effect.state, effect.error["code"]) == ("failed", "egress_refused")
    assert system.asked == []


def test_without_a_secret_nothing_is_sent(plane, system):
    effect = perform(plane, approved(make_connector(base_url=system.url, auth={"type": "bearer"})))
    assert (effect.state, effect.error["code"]) == ("failed", "not_configured")
    assert system.asked == []


class TestRepeats:
    def test_three_times_under_the_same_key_then_a_person(self, plane, bank, system):
        action = approved(bank)
        for wait_s in (30, 300, 1800, None):
            system.will(500, b"")
            effect = perform(plane, action)
            assert effect.state == "unknown"
            unknown(action)
            entry = Entry.objects.filter(name="effect.unknown").latest("id")
            assert entry.payload["retry_in_s"] == wait_s
            assert due() == []
            with pytest.raises(ConflictError):
                services.claim_effect(plane, action=action)
            if wait_s:
                past(effect, retry_at=1)
                assert due() == [(effect.pk, "repeat")]
        assert effect.retry_at is None
        assert {headers["Idempotency-Key"] for _, _, headers, _ in system.asked} == {str(action.pk)}
        assert len(system.asked) == 4

    def test_a_repeat_may_succeed(self, plane, bank, system):
        system.will(500, b"")
        action = approved(bank)
        past(perform(plane, action), retry_at=1)
        system.will(200, b'{"id": 1}')
        effect = perform(plane, action)
        assert (effect.state, effect.retry_at, effect.error) == ("succeeded", None, None)

    def test_what_is_not_safe_to_repeat_is_not_repeated(self, plane, bank, system):
        system.will(500, b"")
        effect = perform(plane, approved(bank, idempotency="none"))
        assert (effect.state, effect.retry_at) == ("unknown", None)
        assert "Idempotency-Key" not in system.asked[0][2]

    def test_later_means_not_begun(self, plane, bank, system):
        system.will(429, b"", headers=[("Retry-After", "2")])
        action = approved(bank, idempotency="none")
        effect = perform(plane, action)
        assert due() == []
        past(effect, retry_at=1)
        assert due() == [(effect.pk, "begin")]
        system.will(200, b"{}")
        assert perform(plane, action).state == "succeeded"

    def test_a_repeat_that_is_no_longer_wanted_is_left_to_a_person(self, plane, bank, system):
        system.will(500, b"")
        action = approved(bank)
        effect = perform(plane, action)
        past(effect, retry_at=1)
        assert due() == []  # its action was ended by somebody
        unknown(action)
        assert due() == [(effect.pk, "repeat")]
        found = services.give_up_repeating(plane, action=action, code="permission", message="It is gone.")
        assert (found.state, found.retry_at) == ("unknown", None)
        assert due() == []
        assert services.give_up_repeating(plane, action=action, code="permission", message="Again") is None


class TestPermissionAtTheClaim:
    def test_a_revoked_permission_stops_what_was_approved(self, plane, bank, system):
        action = approved(bank)
        services.prepare_effect(plane, action=action)
        OperationPermission.objects.all().delete()
        with pytest.raises(NotAllowedError):
            services.claim_effect(plane, action=action)
        assert Effect.objects.get().state == "prepared"
        assert system.asked == []

    def test_a_narrowed_permission_too(self, plane, bank, system):
        action = approved(bank)
        services.prepare_effect(plane, action=action)
        OperationPermission.objects.update(fields=["iban"])
        with pytest.raises(NotAllowedError):
            services.claim_effect(plane, action=action)
        assert Effect.objects.get().attempt == 0


class TestAbandoned:
    def test_a_claim_that_sent_nothing_is_prepared_again(self, plane, bank):
        action = approved(bank)
        services.prepare_effect(plane, action=action)
        effect = services.claim_effect(plane, action=action)
        assert due() == []
        past(effect, lease_until=1)
        assert due() == [(effect.pk, "abandoned")]
        assert services.recover_effect(plane, effect_id=effect.pk).state == "prepared"
        assert due() == [(effect.pk, "begin")]
        with pytest.raises(ConflictError):
            services.dispatch_effect(plane, effect=effect)

    def test_a_call_under_way_is_unknown(self, plane, bank, system):
        action = approved(bank)
        services.prepare_effect(plane, action=action)
        effect = services.claim_effect(plane, action=action)
        call = services.dispatch_effect(plane, effect=effect)
        with pytest.raises(ConflictError):
            services.recover_effect(plane, effect_id=effect.pk)
        past(effect, lease_until=1)
        found = services.recover_effect(plane, effect_id=effect.pk)
        assert (found.state, found.error["code"]) == ("unknown", "worker_lost")
        # The worker was only slow: what it brings is the truth.
        assert services.settle_effect(plane, effect=effect, call=call).state == "succeeded"
        with pytest.raises(ConflictError):
            services.settle_effect(plane, effect=effect, call=CallResult(CallEnd.SILENT))

    def test_a_late_answer_of_an_earlier_attempt_changes_nothing(self, plane, bank, system):
        system.will(500, b"")
        action = approved(bank)
        services.prepare_effect(plane, action=action)
        first = services.claim_effect(plane, action=action)
        call = services.dispatch_effect(plane, effect=first)
        past(services.settle_effect(plane, effect=first, call=call), retry_at=1)
        services.claim_effect(plane, action=action)
        with pytest.raises(ConflictError):
            services.settle_effect(plane, effect=first, call=call)
        assert Effect.objects.get().state == "claimed"

    def test_only_what_may_run_is_due(self, plane, bank):
        action = approved(bank)
        services.prepare_effect(plane, action=action)
        assert len(due()) == 1
        type(action).objects.update(state="cancelled")
        assert due() == []


class TestReconciling:
    def test_a_person_says_what_happened(self, plane, bank, system):
        system.will(500, b"")
        action = approved(bank, idempotency="none")
        effect = perform(plane, action)
        with pytest.raises(NotAllowedError):
            services.reconcile_effect(plane, effect=effect, succeeded=True, reason="I saw it")
        with pytest.raises(InvalidError):
            services.reconcile_effect(make_admin(), effect=effect, succeeded=True, reason="")
        assert Effect.objects.get().state == "unknown"
        found = services.reconcile_effect(
            make_admin(), effect=effect, succeeded=True, reason="I saw it", result={"id": 1}
        )
        assert (found.state, found.response["body"]) == ("succeeded", {"id": 1})


def test_preparing_twice_is_preparing_once(plane, bank):
    action = approved(bank)
    assert services.prepare_effect(plane, action=action) == services.prepare_effect(plane, action=action)
    assert Entry.objects.filter(name="effect.prepared").count() == 1


def test_an_operation_that_is_gone_or_parameters_that_make_no_request_are_refused(plane, bank):
    with pytest.raises(NotFoundError):
        services.prepare_effect(plane, action=make_action(operation="no.such"))
    action = approved(bank, parameters={"id": ".."}, path="/things/{id}")
    with pytest.raises(InvalidError):
        services.prepare_effect(plane, action=action)
    assert not Effect.objects.exists()


def test_health_is_the_share_of_the_last_calls_that_went_wrong(plane, bank, system):
    agent = make_agent()
    for status in (200, 200, 422, 500):
        system.will(status, b"{}")
        perform(plane, approved(bank, agent))
    health = health_for(make_admin(), bank)
    assert (health.calls, health.error_share, health.codes, health.waiting) == (4, 0.25, {"system_error": 1}, 1)
    assert health.last_call_at is not None


@pytest.mark.parametrize("auth", ["bearer", "basic", "header"])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_the_secret_appears_nowhere(plane, system, caplog, auth, status):
    more = {"bearer": {}, "basic": {"username": "u"}, "header": {"name": "X-Key"}}
    bank = make_connector(base_url=system.url, auth={"type": auth, **more[auth]})
    services.set_secret(make_admin(), connector=bank, secret=CANARY)
    system.will(status, b"", echo=True)
    effect = perform(plane, approved(bank))
    assert any(CANARY in str(value) or auth == "basic" for value in system.asked[0][2].values())
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        tables = [row[0] for row in cursor.fetchall()]
        for table in tables:
            cursor.execute(f'SELECT count(*) FROM "{table}" t WHERE t::text LIKE %s', [f"%{CANARY}%"])
            assert cursor.fetchone()[0] == 0, table
    assert CANARY not in caplog.text
    assert CANARY not in repr(effect.__dict__)


def test_what_agents_wait_for_need_not_stand_behind_everything_that_runs_come_to(plane, bank, monkeypatch):
    steps = [approved(bank) for _ in range(3)]
    asked = [approved(bank) for _ in range(2)]
    for action in (*steps, *asked):
        services.prepare_effect(plane, action=action)
    Action.objects.filter(pk__in=[one.pk for one in steps]).update(run_id=uuid4())
    Action.objects.filter(pk=asked[0].pk).update(run_id=uuid4(), task_id=uuid4())

    def order(**how):
        return [found.action_id for found in services.due_effects(**how)]

    assert order() == [one.pk for one in (*steps, *asked)]
    assert order(agents_first=True) == [one.pk for one in (*asked, *steps)]
    seen = []
    monkeypatch.setattr(carrying_out, "_see_to", lambda _plane, due, _stopped: seen.append(due.action_id) or True)
    for _ in range(4):
        carrying_out.perform_due()
    assert sorted(seen) == sorted([steps[0].pk, asked[0].pk] * 2), "every second time, so that runs go on too"
