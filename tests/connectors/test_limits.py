"""A permission up to an amount: what is beyond it is refused before any rule, and when it would run."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.connectors.models import OperationPermission
from apps.connectors.rules import Money, is_wider_limit, is_within_limit
from apps.connectors.services import grant_operation, narrow_operation
from apps.core.errors import InvalidError
from apps.core.models import database_now
from tests.factories.access import make_admin
from tests.factories.connectors import make_operation
from tests.oversight.test_api import caller, decide
from tests.workflows.actions import Desk, make_desk, work

EUR = Money(80_000, "EUR")


@pytest.mark.parametrize(
    ("amount", "limit", "within"),
    [
        (Money(80_000, "EUR"), EUR, True),
        (Money(80_001, "EUR"), EUR, False),
        (Money(1, "USD"), EUR, False),
        (None, EUR, False),
        (None, None, True),
        (Money(10**12, "USD"), None, True),
    ],
)
def test_what_a_limit_covers(amount: Money | None, limit: Money | None, within: bool) -> None:
    assert is_within_limit(amount, limit) is within


@pytest.mark.parametrize(
    ("limit", "held", "wider"),
    [(None, EUR, True), (EUR, None, False), (Money(1, "USD"), EUR, True), (Money(79_999, "EUR"), EUR, False)],
)
def test_which_limit_is_wider(limit: Money | None, held: Money | None, wider: bool) -> None:
    assert is_wider_limit(limit, held) is wider


@pytest.fixture
def desk(system: Any) -> Desk:
    return make_desk(system.url)


def limit(desk: Desk, money: Money | None = EUR, **more: Any) -> OperationPermission:
    more = {"reason": "Enough.", **more}
    return grant_operation(make_admin(), holder=desk.agent.user, operation=desk.operation, limit=money, **more)[0]


@pytest.mark.django_db
class TestOnTheNextRequest:
    def test_beyond_it_nothing_is_asked_of_anybody(self, desk: Desk, system: Any) -> None:
        assert desk.ask(90_000).status_code == 202
        limit(desk)
        refused = desk.ask(80_001)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
        assert list(refused.json()["errors"]) == ["parameters.amount_minor"]
        assert "800.00 EUR" in refused.json()["detail"]
        assert desk.ask(1, parameters={"currency": "USD"}).status_code == 403
        assert desk.post("actions/check/", desk.body(80_001)).status_code == 403
        assert Action.objects.count() == 1
        assert desk.ask(80_000).status_code == 202

    def test_what_waits_does_not_run_beyond_it(self, desk: Desk, system: Any) -> None:
        desk.ask(250_000)
        item = Action.objects.get().escalations.get()
        limit(desk)
        assert decide(caller(desk.approver), item, version=item.version).status_code == 200
        work()
        action = Action.objects.get()
        assert (action.state, action.error["code"]) == ("failed", "limit")
        assert system.asked == []

    def test_an_end_counts_on_the_next_request(self, desk: Desk) -> None:
        soon = database_now() + timedelta(hours=1)
        limit(desk, None, until=soon)
        assert desk.ask(100).status_code == 202
        OperationPermission.objects.update(until=database_now() - timedelta(seconds=1))
        assert desk.ask(100).status_code == 404
        assert desk.get("me/operations/").json()["results"] == []

    def test_the_agent_is_told_its_limit(self, desk: Desk) -> None:
        limit(desk)
        (mine,) = desk.get("me/operations/").json()["results"]
        assert mine["limit"] == {"amount_minor": 80_000, "currency": "EUR"}


@pytest.mark.django_db
class TestGranting:
    def test_less_is_narrowing_and_more_is_not(self, desk: Desk) -> None:
        admin, held = make_admin(), {"holder": desk.agent.user, "operation": desk.operation}
        limit(desk)
        for more in (None, Money(80_001, "EUR"), Money(5, "USD")):
            with pytest.raises(InvalidError) as refused:
                narrow_operation(admin, **held, fields=None, until=None, limit=more, reason="x")
            assert list(refused.value.errors) == ["limit"]
        narrow_operation(admin, **held, fields=None, until=None, limit=Money(50_000, "EUR"), reason="Less.")
        names = list(Entry.objects.filter(name__startswith="permission.").order_by("id").values_list("name", flat=True))
        assert names == ["permission.narrowed", "permission.narrowed"]
        told = Entry.objects.filter(name="permission.narrowed").order_by("-id")[0].payload
        assert (told["limit"], told["before"]["limit"]) == ("500.00 EUR", "800.00 EUR")

    @pytest.mark.parametrize("odd", [Money(5, "XXX"), Money(-1, "EUR"), Money(2**60, "EUR")])
    def test_what_is_no_amount_is_refused(self, desk: Desk, odd: Money) -> None:
        with pytest.raises(InvalidError):
            limit(desk, odd)
        assert OperationPermission.objects.get().limit is None

    def test_what_moves_no_money_has_no_limit(self, desk: Desk) -> None:
        look = make_operation(amount=None)
        with pytest.raises(InvalidError) as refused:
            grant_operation(make_admin(), holder=desk.agent.user, operation=look, limit=EUR, reason="x")
        assert list(refused.value.errors) == ["limit"]

    def test_by_the_api_and_what_is_left_out_stays(self, desk: Desk) -> None:
        client = caller(make_admin())
        path = f"/api/v1/agents/{desk.agent.slug}/operations/"
        body = {"operation": desk.operation.slug, "limit": {"amount_minor": 80_000, "currency": "EUR"}, "reason": "x"}
        made = client.post(path, json.dumps(body), "application/json")
        assert made.json()["limit"] == body["limit"]
        narrowed = client.patch(
            f"{path}{desk.operation.slug}/",
            json.dumps({"fields": ["amount_minor", "currency", "iban"], "reason": "y"}),
            "application/json",
        )
        assert (narrowed.status_code, narrowed.json()["limit"]) == (200, body["limit"])
        odd = client.post(path, json.dumps({**body, "limit": {"amount_minor": "80000"}}), "application/json")
        assert (odd.status_code, sorted(odd.json()["errors"])) == (422, ["limit.amount_minor", "limit.currency"])

    def test_by_documents_and_back(self, desk: Desk, tmp_path: Any) -> None:
        limit(desk)
        out = StringIO()
        call_command("export", stdout=out)
        text = out.getvalue()
        assert "amount_minor: 80000" in text
        (tmp_path / "all.yaml").write_text(text)
        OperationPermission.objects.update(limit_minor=None, limit_currency="")
        call_command("apply", str(tmp_path / "all.yaml"), stdout=StringIO())
        assert OperationPermission.objects.get().limit == EUR

    def test_on_the_page(self, desk: Desk, client: Client) -> None:
        client.force_login(make_admin())
        path = f"/agents/{desk.agent.slug}/permissions/"
        sent = {"operation": desk.operation.slug, "amount": "800.00", "reason": "Enough."}
        assert client.post(path, sent).status_code == 422
        assert client.post(path, {**sent, "currency": "eur"}).status_code == 302
        assert OperationPermission.objects.get().limit == EUR
        assert "800.00 EUR" in client.get(f"/agents/{desk.agent.slug}/").content.decode()
        form = client.get(f"/agents/{desk.agent.slug}/", {"narrow": desk.operation.slug}).content.decode()
        assert 'value="800.00"' in form
        odd = client.post(path, {**sent, "amount": "800.005", "currency": "EUR"})
        assert (odd.status_code, "such as 800.00" in odd.content.decode()) == (422, True)
