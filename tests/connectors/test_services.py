"""Systems, secrets, operations and permissions: who may, what is refused, what is recorded."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.agents.models import Agent
from apps.audit.models import Entry, Payload
from apps.connectors import services
from apps.connectors.models import Connector, ConnectorSecret, Operation, OperationPermission
from apps.connectors.rules import OperationSpec
from apps.connectors.selectors import operations_for, permitted_operation_for, what_agent_may_for, who_may_use_for
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.services import system_user
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.agents import make_action, make_agent
from tests.factories.connectors import PAYMENT, make_connector, make_operation, permit

pytestmark = pytest.mark.django_db
CANARY = "canary-5f1c/77+z"


def spec(**fields):
    return OperationSpec(
        **{"name": "Pay", "method": "POST", "path": "/payments", "effect": "write", "parameters": PAYMENT, **fields}
    )


def save(actor, **fields):
    described = {"slug": "bank", "name": "Bank", "base_url": "https://bank.example.com", **fields}
    return services.save_connector(actor, **described)


class TestConnectors:
    def test_is_made_changed_and_left_alone(self):
        admin = make_admin()
        assert save(admin)[1] == "created"
        assert save(admin)[1] == "unchanged"
        assert save(admin, name="The bank")[1] == "changed"
        assert list(Entry.objects.order_by("id").values_list("name", flat=True)) == [
            "connector.created",
            "connector.changed",
        ]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("slug", "Bank!"),
            ("name", ""),
            ("base_url", "ftp://bank"),
            ("base_url", "http://a@b"),
            ("base_url", "http://169.254.169.254/latest"),
            ("base_url", "http://[fd00:ec2::254]/"),
            ("base_url", "http://0.0.0.0/"),
            ("adapter", "fax"),
            ("auth", {"type": "digest"}),
            ("auth", {"type": "header"}),
            ("auth", {"type": "header", "name": "Host"}),
            ("auth", {"type": "bearer", "token": "x"}),
        ],
    )
    def test_what_does_not_fit_is_refused_by_field_and_nothing_is_made(self, field, value):
        with pytest.raises(InvalidError) as refused:
            save(make_admin(), **{field: value})
        assert any(path.split(".")[0] == field for path in refused.value.errors)
        assert not Connector.objects.exists()
        assert not Entry.objects.exists()

    def test_strangers_other_units_and_agents_may_not(self):
        unit, other = make_unit(), make_unit()
        agent = make_agent().user
        grant(agent, make_role("connectors.manage_connector"))
        for actor in (make_user(), make_holder("connectors.manage_connector", unit=other), agent):
            with pytest.raises(NotAllowedError):
                save(actor, unit=unit)
        assert save(make_holder("connectors.manage_connector", unit=unit), unit=unit)[1] == "created"
        assert Connector.objects.count() == 1

    def test_a_retired_system_comes_back_when_it_is_saved(self):
        admin = make_admin()
        connector, _ = save(admin)
        services.change_connector_state(admin, connector=connector, to="retired", reason="Gone")
        assert save(admin)[1] == "changed"
        assert Connector.objects.get().state == "active"


class TestSecrets:
    def setup_method(self):
        self.admin = make_admin()
        self.connector = make_connector(auth={"type": "bearer"})

    def test_is_sealed_shown_as_fingerprint_and_never_written_in_clear(self):
        made, outcome = services.set_secret(self.admin, connector=self.connector, secret=CANARY)
        assert outcome == "created"
        row = ConnectorSecret.objects.get()
        assert CANARY.encode() not in bytes(row.sealed)
        assert len(made.fingerprint) == 12
        assert CANARY not in repr([*Entry.objects.values(), *Payload.objects.values()])

    def test_rotation_destroys_the_old_one(self):
        services.set_secret(self.admin, connector=self.connector, secret=CANARY)
        assert services.set_secret(self.admin, connector=self.connector, secret=CANARY)[1] == "unchanged"
        assert services.set_secret(self.admin, connector=self.connector, secret="another-one")[1] == "changed"
        old, new = ConnectorSecret.objects.order_by("version")
        assert (bytes(old.sealed), old.replaced_at is not None, new.version) == (b"", True, 2)
        assert Entry.objects.filter(name="connectorsecret.rotated").count() == 1

    @pytest.mark.parametrize("secret", ["", "  ", "a\r\nX-Evil: 1", "ключ", "x" * 5000])
    def test_what_cannot_travel_in_a_header_is_refused(self, secret):
        with pytest.raises(InvalidError) as refused:
            services.set_secret(self.admin, connector=self.connector, secret=secret)
        assert not secret.strip() or secret not in str(refused.value.errors)
        assert not ConnectorSecret.objects.exists()

    def test_a_system_that_moves_loses_its_secret_unless_told_otherwise(self):
        services.set_secret(self.admin, connector=self.connector, secret=CANARY)
        same = {"slug": self.connector.slug, "name": "x", "auth": {"type": "bearer"}, "allow_internal": True}
        services.save_connector(self.admin, base_url="http://127.0.0.1:1029/api", keep_secret=False, **same)
        assert ConnectorSecret.objects.filter(replaced_at=None).exists()
        services.save_connector(self.admin, base_url="http://evil.example.com", keep_secret=False, **same)
        assert not ConnectorSecret.objects.filter(replaced_at=None).exists()
        assert bytes(ConnectorSecret.objects.get().sealed) == b""

    def test_only_managers_set_it(self):
        for actor in (make_user(), make_agent().user):
            with pytest.raises(NotAllowedError):
                services.set_secret(actor, connector=self.connector, secret=CANARY)
        assert not ConnectorSecret.objects.exists()


class TestOperations:
    def setup_method(self):
        self.admin, self.connector = make_admin(), make_connector()

    def save(self, actor=None, slug="bank.pay", **fields):
        return services.save_operation(actor or self.admin, slug=slug, connector=self.connector, spec=spec(**fields))

    def test_is_made_changed_and_left_alone(self):
        assert self.save()[1] == "created"
        assert self.save()[1] == "unchanged"
        operation, outcome = self.save(timeout_s=20)
        assert (outcome, operation.version) == ("changed", 2)

    @pytest.mark.parametrize(
        ("field", "value", "at"),
        [
            ("method", "TRACE", "method"),
            ("path", "payments", "path"),
            ("path", "/payments/{iban}/{unknown}", "path"),
            ("path", "/payments/{note}", "path"),
            ("effect", "harmless", "effect"),
            ("execution", "nobody", "execution"),
            ("idempotency", "maybe", "idempotency"),
            ("parameters", {"type": "array"}, "parameters"),
            ("timeout_s", 0, "timeout_s"),
            ("timeout_s", 1000, "timeout_s"),
            ("fee_minor", -1, "fee_minor"),
            ("amount", {"path": "sum", "currency": "EUR"}, "amount.path"),
            ("amount", {"path": "amount_minor"}, "amount"),
            ("target", "account", "target"),
            ("consequence", "Will pay {sum}.", "consequence"),
            ("compensation", {"operation": "x y"}, "compensation.operation"),
            ("compensation", {"operation": "a.b", "parameters": {"id": "response."}}, "compensation.parameters.id"),
            ("dry_run", {"path": "/x"}, "dry_run"),
        ],
    )
    def test_what_does_not_fit_is_refused_by_field_and_nothing_is_made(self, field, value, at):
        with pytest.raises(InvalidError) as refused:
            self.save(**{field: value})
        assert at in refused.value.errors
        assert not Operation.objects.exists()

    def test_does_not_change_its_connector(self):
        self.save()
        with pytest.raises(ConflictError):
            services.save_operation(self.admin, slug="bank.pay", connector=make_connector(), spec=spec())

    def test_only_managers_save_it(self):
        for actor in (make_user(), make_agent().user):
            with pytest.raises(NotAllowedError):
                self.save(actor)
        assert not Operation.objects.exists()

    def test_disabled_or_retired_it_is_no_longer_permitted(self):
        operation, _ = self.save()
        agent = make_agent()
        permit(agent.user, operation)
        assert permitted_operation_for(agent.user, "bank.pay").operation == operation
        for what, to in ((services.change_operation_state, "disabled"), (services.change_operation_state, "retired")):
            what(self.admin, operation=operation, to=to, reason="Stop")
            with pytest.raises(NotFoundError):
                permitted_operation_for(agent.user, "bank.pay")
        services.change_operation_state(self.admin, operation=operation, to="active")
        services.change_connector_state(self.admin, connector=self.connector, to="disabled", reason="Stop")
        with pytest.raises(NotFoundError):
            permitted_operation_for(agent.user, "bank.pay")


class TestPermissions:
    def setup_method(self):
        self.agent = make_agent()
        self.operation = make_operation()
        self.admin = make_holder("agents.manage_agent", "connectors.use_operation", unit=self.agent.unit)

    def grant(self, actor=None, **fields):
        return services.grant_operation(
            actor or self.admin,
            **{"holder": self.agent.user, "operation": self.operation, "reason": "Needed", **fields},
        )

    def epoch(self):
        return Agent.objects.get(pk=self.agent.pk).epoch

    def test_a_grant_acts_on_the_next_request(self):
        assert operations_for(self.agent.user) == []
        assert self.grant()[1] == "created"
        assert [found.operation for found in operations_for(self.agent.user)] == [self.operation]
        assert self.grant()[1] == "unchanged"
        entry = Entry.objects.get(name="permission.granted")
        assert (entry.subject_id, entry.payload["reason"]) == (self.agent.pk, "Needed")
        assert self.epoch() == 2

    def test_narrowed_it_acts_on_the_next_request(self):
        self.grant()
        services.narrow_operation(
            self.admin, holder=self.agent.user, operation=self.operation, fields=["iban"], until=None, reason="Less"
        )
        permitted = permitted_operation_for(self.agent.user, self.operation.slug)
        assert permitted.errors({"iban": "DE1", "amount_minor": 1, "currency": "EUR"}).keys() == {
            "amount_minor",
            "currency",
        }
        assert set(permitted.schema["properties"]) == {"iban"}
        assert Entry.objects.get(name="permission.narrowed").payload["fields"] == ["iban"]
        assert self.epoch() == 3

    @pytest.mark.parametrize("fields", [None, ["iban", "note"]])
    def test_narrowing_never_widens(self, fields):
        self.grant(fields=["iban"])
        with pytest.raises(InvalidError):
            services.narrow_operation(
                self.admin, holder=self.agent.user, operation=self.operation, fields=fields, until=None, reason="More"
            )
        assert OperationPermission.objects.get().fields == ["iban"]

    def test_revoked_it_acts_on_the_next_request(self):
        self.grant()
        services.revoke_operation(self.admin, holder=self.agent.user, operation=self.operation, reason="No more")
        with pytest.raises(NotFoundError):
            permitted_operation_for(self.agent.user, self.operation.slug)
        assert Entry.objects.filter(name="permission.revoked").count() == 1
        assert self.epoch() == 3
        with pytest.raises(NotFoundError):
            services.revoke_operation(self.admin, holder=self.agent.user, operation=self.operation, reason="Again")

    def test_it_ends_by_the_clock_of_the_database(self):
        permit(self.agent.user, self.operation, until=timezone.now() - timedelta(seconds=1))
        assert operations_for(self.agent.user) == []

    def test_an_end_lies_ahead(self):
        with pytest.raises(InvalidError):
            self.grant(until=timezone.now() - timedelta(days=1))
        assert not OperationPermission.objects.exists()

    def test_fields_must_exist(self):
        with pytest.raises(InvalidError) as refused:
            self.grant(fields=["iban", "fax"])
        assert set(refused.value.errors) == {"fields.fax"}
        assert not OperationPermission.objects.exists()

    def test_people_say_why(self):
        with pytest.raises(InvalidError):
            self.grant(reason=" ")
        assert not OperationPermission.objects.exists()

    def test_agents_strangers_and_admins_of_other_units_may_not(self):
        rich = make_agent()
        for permission in ("agents.manage_agent", "connectors.manage_connector", "connectors.use_operation"):
            grant(rich.user, make_role(permission))
        for actor in (
            rich.user,
            self.agent.user,
            make_user(),
            make_holder("agents.manage_agent", unit=make_unit()),
            make_holder("connectors.use_operation", unit=self.agent.unit),
        ):
            with pytest.raises(NotAllowedError):
                self.grant(actor)
        permit(self.agent.user, self.operation)
        with pytest.raises(NotAllowedError):
            services.revoke_operation(rich.user, holder=self.agent.user, operation=self.operation, reason="x")
        assert OperationPermission.objects.count() == 1
        assert self.epoch() == 1

    def test_a_system_of_another_unit_is_not_to_be_seen(self):
        foreign = make_operation(connector=make_connector(unit=make_unit()))
        with pytest.raises(NotFoundError):
            self.grant(operation=foreign)
        assert not OperationPermission.objects.exists()

    def test_a_workflows_system_user_may_be_granted_in_its_unit(self):
        holder = system_user("workflow:purchase-order")
        services.grant_operation(
            self.admin, holder=holder, operation=self.operation, unit=self.agent.unit, reason="Publish"
        )
        assert operations_for(holder)[0].operation == self.operation
        with pytest.raises(NotAllowedError):
            services.grant_operation(self.admin, holder=holder, operation=self.operation, unit=make_unit(), reason="x")

    def test_people_hold_none(self):
        with pytest.raises(InvalidError):
            self.grant(holder=make_user())

    def test_an_inactive_principal_may_nothing(self):
        permit(self.agent.user, self.operation)
        type(self.agent.user).objects.filter(pk=self.agent.user_id).update(is_active=False)
        with pytest.raises(NotFoundError):
            permitted_operation_for(self.agent.user, self.operation.slug)

    def test_the_hot_path_is_one_query(self, django_assert_num_queries):
        permit(self.agent.user, self.operation)
        with django_assert_num_queries(1):
            found = permitted_operation_for(self.agent.user, self.operation.slug)
            assert found.operation.connector.unit is None

    def test_what_it_may_and_has_used(self):
        permit(self.agent.user, self.operation, ["iban"], reason="Because")
        make_action(agent=self.agent, operation=self.operation.slug, amount_minor=700)
        make_action(agent=self.agent, operation=self.operation.slug, amount_minor=900)
        viewer = make_holder("agents.view_agent", unit=self.agent.unit)
        (line,) = what_agent_may_for(viewer, self.agent)
        assert (line.used, line.most_minor, line.is_live) == (2, 900, True)
        assert line.missing == ["amount_minor", "currency"]
        assert line.permission.reason == "Because"
        assert what_agent_may_for(make_user(), self.agent) == []

    def test_who_may_use_a_system(self):
        permit(self.agent.user, self.operation)
        viewer = make_holder("agents.view_agent", "connectors.use_operation", unit=self.agent.unit)
        assert [row.user for row in who_may_use_for(viewer, self.operation.connector)] == [self.agent.user]
        assert who_may_use_for(make_user(), self.operation.connector) == []


def test_a_verdict_ready_description_of_an_action():
    agent, operation = make_agent(), make_operation()
    permit(agent.user, operation)
    permitted = permitted_operation_for(agent.user, operation.slug)
    parameters = {"amount_minor": 1240000, "currency": "EUR", "iban": "DE89"}
    assert permitted.errors(parameters) == {}
    assert str(permitted.money(parameters)) == "12,400.00 EUR"
    assert permitted.target(parameters) == "DE89"
    assert permitted.consequence(parameters) == "Will pay 12,400.00 EUR to DE89."
    assert permitted.errors({**parameters, "amount_minor": "5"}).keys() == {"amount_minor"}
    assert permitted.errors({**parameters, "currency": "XXX"}).keys() == {"currency"}
    assert permitted.errors({"iban": "DE89", "fax": "1"}).keys() == {"amount_minor", "currency", "fax"}
