"""Importing OpenAPI documents, again and again: what comes in, what waits for a person, what runs meanwhile."""

import json
from copy import deepcopy

import pytest
import yaml

from apps.agents.models import Action
from apps.audit.models import Entry, Payload
from apps.configuration.selectors import export_for
from apps.configuration.services import ConfigurationError, apply_texts
from apps.connectors import services
from apps.connectors.models import Connector, Operation, OperationPin
from apps.connectors.selectors import operations_for
from apps.connectors.selectors.pins import waiting_for
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.services import system_user
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.agents import make_action, make_agent
from tests.factories.classification import make_data_class
from tests.factories.connectors import make_connector, make_operation, permit
from tests.factories.openapi import BANK, classed_bank, document_with

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin():
    return make_admin()


@pytest.fixture
def bank():
    return make_connector(slug="bank", base_url="https://bank.example")


def take(actor, connector, document=BANK, **more):
    text = document if isinstance(document, str) else json.dumps(document)
    return services.import_openapi(actor, connector=connector, text=text, **more)[1]


def world():
    models = (Operation, OperationPin, Connector)
    return [sorted(model.objects.values_list(), key=repr) for model in models], Entry.objects.count()


def confirm(actor, slug, **more):
    operation = Operation.objects.select_related("connector__unit", "pin").get(slug=slug)
    given = {"seen": operation.pin.seen, **more}
    return services.review_operation(actor, operation=operation, **given)


def changed_bank():
    document = deepcopy(BANK)
    document["components"]["schemas"]["Payment"]["properties"]["note"] = {"type": "string"}
    return document


def told(name):
    return Payload.objects.get(entry__name=name).content["payload"]


@pytest.fixture
def in_use(admin, bank):
    """The payment, confirmed."""
    take(admin, bank)
    return confirm(admin, "bank.create_payment")


class TestTheFirstTime:
    def test_what_names_a_class_that_nobody_made_is_left_out_with_the_reason(self, admin, bank):
        plan = take(admin, bank, classed_bank())
        assert [found.slug for found in plan.new] == ["bank.get_customer"]
        assert any("There is no data class 'bank-details'" in left.reason for left in plan.unfit), plan.unfit
        make_data_class(slug="bank-details")
        make_data_class(slug="personal")
        assert [found.slug for found in take(admin, bank, classed_bank()).new] == [
            "bank.create_payment", "bank.update_customer",
        ]  # fmt: skip

    def test_operations_come_in_disabled_with_a_guess_and_its_reason(self, admin, bank):
        plan = take(admin, bank)
        assert [found.slug for found in plan.new] == [
            "bank.create_payment", "bank.get_customer", "bank.update_customer",
        ]  # fmt: skip
        assert set(Operation.objects.values_list("state", flat=True)) == {"disabled"}
        pin = OperationPin.objects.get(operation__slug="bank.create_payment")
        assert (pin.waiting, pin.document, pin.confirmed_at) == ("new", "Bank API", None)
        assert pin.guess == {"effect": "irreversible", "reason": "POST, and “pay” in its summary sounds final."}
        assert told("connector.imported")["new"] == 3

    def test_a_dry_run_says_the_same_and_changes_nothing(self, admin, bank):
        before = world()
        plan = take(admin, bank, dry_run=True)
        assert len(plan.new) == 3
        assert world() == before

    def test_nobody_uses_one_before_a_person_confirmed_it(self, admin, bank):
        take(admin, bank)
        agent, operation = make_agent(), Operation.objects.get(slug="bank.get_customer")
        permit(agent.user, operation)
        assert operations_for(agent.user) == []
        with pytest.raises(ConflictError):
            services.change_operation_state(admin, operation=operation, to="active")
        services.change_operation_state(admin, operation=operation, to="retired", reason="No.")
        with pytest.raises(ConflictError):
            services.change_operation_state(admin, operation=operation, to="active")
        operation.refresh_from_db()
        assert operation.state == "retired"

    def test_confirmed_it_is_in_use(self, admin, bank):
        take(admin, bank)
        operation = confirm(admin, "bank.get_customer")
        assert (operation.state, operation.effect, operation.pin.waiting) == ("active", "read", "")
        assert operation.pin.confirmed_by == admin
        assert told("operation.reviewed")["guess"] == {"effect": "read", "reason": "GET only reads."}

    def test_its_class_and_sentence_can_be_corrected(self, admin, bank):
        take(admin, bank)
        operation = confirm(admin, "bank.update_customer", effect="irreversible", consequence="Will call {phone}.")
        assert (operation.effect, operation.consequence) == ("irreversible", "Will call {phone}.")

    def test_less_care_than_guessed_needs_a_reason(self, admin, bank):
        take(admin, bank)
        before = world()
        with pytest.raises(InvalidError) as refused:
            confirm(admin, "bank.create_payment", effect="write")
        assert set(refused.value.errors) == {"reason"}
        assert world() == before
        assert confirm(admin, "bank.create_payment", effect="write", reason="It is a draft.").effect == "write"

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"effect": "harmless"}, "effect"),
            ({"consequence": "Will {nothing}."}, "consequence"),
            ({"target": "nobody"}, "target"),
            ({"verdict": "keep"}, "verdict"),
            ({"verdict": "perhaps"}, "verdict"),
            ({"path": "/elsewhere"}, "path"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, admin, bank, given, field):
        take(admin, bank)
        before = world()
        with pytest.raises(InvalidError) as refused:
            confirm(admin, "bank.create_payment", **given)
        assert field in refused.value.errors
        assert world() == before

    def test_what_is_described_by_hand_is_never_taken_over(self, admin, bank):
        make_operation(connector=bank, slug="bank.pay", path="/v2/payments")
        make_operation(slug="bank.get_customer")
        retired = make_operation(connector=bank, slug="bank.update_customer", state="retired")
        plan = take(admin, bank)
        assert plan.new == []
        assert [found.reason for found in plan.unfit] == [
            "It is described by hand already, as bank.pay.",
            "There is an operation bank.get_customer already. Give this one another operationId.",
            "There is an operation bank.update_customer already. Give this one another operationId.",
        ]
        retired.refresh_from_db()
        assert retired.state == "retired"


class TestAgain:
    def test_the_same_document_changes_nothing(self, admin, bank, in_use):
        before = world()[0]
        plan = take(admin, bank)
        assert (len(plan.same), plan.new, plan.changed, plan.removed) == (3, [], [], [])
        assert world()[0] == before

    def test_what_changed_is_quarantined_until_a_person_approves(self, admin, bank, in_use):
        digest = in_use.definition_digest
        plan = take(admin, bank, changed_bank())
        assert [(each.known.slug, each.fields) for each in plan.changed] == [("bank.create_payment", ["parameters"])]
        operation = Operation.objects.get(pk=in_use.pk)
        assert (operation.state, operation.definition_digest) == ("quarantined", digest)
        assert told("operation.quarantined")["differs"] == ["parameters"]
        assert next(iter(waiting_for(admin, bank))).operation.slug == "bank.create_payment"
        with pytest.raises(ConflictError):
            services.change_operation_state(admin, operation=operation, to="active")
        operation = confirm(admin, operation.slug)
        assert operation.state == "active"
        assert "note" in operation.parameters["properties"]
        assert operation.definition_digest != digest
        assert take(admin, bank, changed_bank()).changed == []

    def test_kept_it_stays_as_it_was_and_is_not_asked_again(self, admin, bank, in_use):
        digest = in_use.definition_digest
        take(admin, bank, changed_bank())
        with pytest.raises(InvalidError):
            confirm(admin, in_use.slug, verdict="keep")
        operation = confirm(admin, in_use.slug, verdict="keep", reason="Nobody needs notes.")
        assert (operation.state, operation.definition_digest) == ("active", digest)
        assert take(admin, bank, changed_bank()).changed == []

    def test_a_change_that_sounds_graver_than_the_class_needs_a_reason(self, admin, bank):
        take(admin, bank)
        confirm(admin, "bank.get_customer")
        document = deepcopy(BANK)
        document["paths"]["/customers/{customer-id}"]["post"] = document["paths"]["/customers/{customer-id}"].pop("get")
        take(admin, bank, document)
        with pytest.raises(InvalidError) as refused:
            confirm(admin, "bank.get_customer")
        assert set(refused.value.errors) == {"reason"}
        assert confirm(admin, "bank.get_customer", reason="It looks somebody up.").method == "POST"

    def test_what_a_person_saw_is_what_is_taken(self, admin, bank, in_use):
        take(admin, bank, changed_bank())
        seen = OperationPin.objects.get(operation=in_use).seen
        other = changed_bank()
        other["components"]["schemas"]["Payment"]["properties"]["evil"] = {"type": "string"}
        take(admin, bank, other)
        with pytest.raises(ConflictError) as refused:
            confirm(admin, in_use.slug, seen=seen)
        assert refused.value.code == "stale"
        assert "evil" not in Operation.objects.get(pk=in_use.pk).parameters["properties"]

    def test_taking_a_change_keeps_what_a_person_changed_elsewhere(self, admin, bank, in_use):
        spec = {name: getattr(in_use, name) for name in services.operations.OperationSpec.__dataclass_fields__}
        spec |= {"name": "Pay", "timeout_s": 3}
        services.save_operation(admin, slug=in_use.slug, connector=bank, spec=services.operations.OperationSpec(**spec))
        take(admin, bank, changed_bank())
        operation = confirm(admin, in_use.slug)
        assert (operation.name, operation.timeout_s) == ("Pay", 3)
        assert "note" in operation.parameters["properties"]

    def test_turned_back_it_still_waits(self, admin, bank, in_use):
        take(admin, bank, changed_bank())
        take(admin, bank)
        assert Operation.objects.get(pk=in_use.pk).state == "quarantined"
        assert confirm(admin, in_use.slug).state == "active"

    def test_what_is_gone_is_quarantined_and_kept_or_retired(self, admin, bank, in_use):
        document = deepcopy(BANK)
        del document["paths"]["/payments"]
        plan = take(admin, bank, document)
        assert [known.slug for known in plan.removed] == [in_use.slug]
        assert Operation.objects.get(pk=in_use.pk).state == "quarantined"
        with pytest.raises(InvalidError):
            confirm(admin, in_use.slug)
        assert confirm(admin, in_use.slug, verdict="keep").state == "active"
        assert take(admin, bank, document).removed == []

    def test_what_cannot_be_used_any_more_is_gone_too(self, admin, bank, in_use):
        document = deepcopy(BANK)
        document["components"]["schemas"]["Payment"] = {"$ref": "https://elsewhere.example"}
        plan = take(admin, bank, document)
        assert [known.slug for known in plan.removed] == [in_use.slug]
        assert len(plan.unfit) == 1

    def test_another_document_of_the_system_takes_nothing_away(self, admin, bank, in_use):
        plan = take(admin, bank, document_with({}))
        assert (len(plan.new), plan.removed, plan.changed) == (1, [], [])
        assert Operation.objects.get(pk=in_use.pk).state == "active"

    def test_swapped_names_are_a_change_of_both(self, admin, bank, in_use):
        confirm(admin, "bank.get_customer")
        document = deepcopy(BANK)
        customer = document["paths"]["/customers/{customer-id}"]["get"]
        customer["operationId"], document["paths"]["/payments"]["post"]["operationId"] = "createPayment", "getCustomer"
        plan = take(admin, bank, document)
        assert {each.known.slug for each in plan.changed} == {"bank.create_payment", "bank.get_customer"}
        assert set(Operation.objects.exclude(slug="bank.update_customer").values_list("state", flat=True)) == {
            "quarantined"
        }

    def test_what_nobody_confirmed_is_replaced(self, admin, bank):
        take(admin, bank)
        take(admin, bank, changed_bank())
        operation = Operation.objects.get(slug="bank.create_payment")
        assert (operation.state, operation.pin.waiting) == ("disabled", "new")
        assert "note" in operation.parameters["properties"]

    def test_disabled_it_stays_disabled_and_waits_too(self, admin, bank, in_use):
        services.change_operation_state(admin, operation=in_use, to="disabled", reason="Christmas.")
        take(admin, bank, changed_bank())
        with pytest.raises(ConflictError):
            services.change_operation_state(admin, operation=in_use, to="active")
        operation = confirm(admin, in_use.slug)
        assert operation.state == "disabled"
        assert services.change_operation_state(admin, operation=operation, to="active").state == "active"

    def test_a_retired_one_is_not_brought_back(self, admin, bank, in_use):
        services.change_operation_state(admin, operation=in_use, to="retired", reason="Gone.")
        plan = take(admin, bank, changed_bank())
        assert "was retired" in plan.unfit[0].reason
        assert Operation.objects.get(pk=in_use.pk).state == "retired"


class TestMeanwhile:
    def test_what_was_approved_is_not_run_and_says_why(self, admin, bank, in_use):
        agent = make_agent()
        permit(agent.user, in_use)
        payment = {"amount_minor": 5, "currency": "EUR", "iban": "DE89"}
        action = make_action(agent=agent, operation=in_use.slug, state="approved", parameters=payment)
        Action.objects.filter(pk=action.pk).update(definition_digest=in_use.definition_digest)
        action.refresh_from_db()
        plane = system_user("plane")
        services.prepare_effect(plane, action=action)
        take(admin, bank, changed_bank())
        with pytest.raises(NotAllowedError) as refused:
            services.claim_effect(plane, action=action)
        assert (refused.value.code, refused.value.members["why"]) == ("operation_quarantined", "operation_quarantined")
        confirm(admin, in_use.slug, verdict="keep", reason="It is the same payment.")
        assert services.claim_effect(plane, action=action).state == "claimed"

    def test_a_stranger_learns_nothing_of_it(self, admin, bank, in_use):
        take(admin, bank, changed_bank())
        stranger = make_agent()
        action = make_action(agent=stranger, operation=in_use.slug, state="approved", parameters={})
        with pytest.raises(NotAllowedError) as refused:
            services.require_permission(action)
        assert refused.value.members["why"] == "permission"


class TestWhoMay:
    def test_agents_strangers_and_other_units_are_refused(self, admin, bank, in_use):
        here = make_unit()
        Connector.objects.filter(pk=bank.pk).update(unit=here)
        bank.refresh_from_db()
        before = world()
        for actor in (make_agent().user, make_holder("connectors.manage_connector", unit=make_unit())):
            with pytest.raises(NotAllowedError):
                take(actor, bank)
            with pytest.raises(NotAllowedError):
                confirm(actor, "bank.get_customer")
        assert world() == before
        holder = make_holder("connectors.manage_connector", unit=here)
        assert take(holder, bank).new == []
        assert confirm(holder, "bank.get_customer").state == "active"

    def test_only_a_person_confirms(self, bank, admin):
        take(system_user("console"), bank)
        with pytest.raises(NotAllowedError):
            confirm(system_user("console"), "bank.get_customer")
        assert Operation.objects.get(slug="bank.get_customer").state == "disabled"

    def test_a_system_that_is_not_called_over_http_takes_nothing(self, admin, bank):
        Connector.objects.filter(pk=bank.pk).update(adapter="email")
        bank.refresh_from_db()
        with pytest.raises(ConflictError):
            take(admin, bank)
        assert Operation.objects.count() == 0

    def test_a_retired_connector_takes_nothing(self, admin, bank):
        services.change_connector_state(admin, connector=bank, to="retired", reason="Gone.")
        with pytest.raises(ConflictError):
            take(admin, bank)
        assert Operation.objects.count() == 0


class TestRefusals:
    @pytest.mark.parametrize("text", ["nonsense", "a: &x [1]\nb: *x", "sk_live_4eC39HqLyjWDarjtT1zdp7dc", ""])
    def test_a_document_that_cannot_be_used_leaves_one_entry_and_nothing_else(self, admin, bank, text):
        before, entries = world()
        with pytest.raises(InvalidError) as refused:
            take(admin, bank, text)
        assert set(refused.value.errors) == {"document"}
        assert world() == (before, entries + 1)
        payload = told("connector.import_refused")
        assert payload["digest"].startswith("sha256:")
        assert "sk_live" not in repr([payload, refused.value.errors])

    def test_a_secret_as_the_name_of_something_is_not_repeated(self, admin, bank):
        with pytest.raises(InvalidError):
            take(admin, bank, '{"ghp_0123456789abcdefghij": 1, "ghp_0123456789abcdefghij": 2}')
        assert "ghp_" not in repr(told("connector.import_refused"))


class TestDocuments:
    def test_export_and_apply_change_nothing_whatever_waits(self, admin, bank, in_use):
        confirm(admin, "bank.get_customer")
        take(admin, bank, changed_bank())
        text = export_for(system_user("console"), kinds=["Connector", "Operation"])
        before = world()
        applied = apply_texts(system_user("console"), texts={"a.yaml": text})
        assert {each.outcome for each in applied} == {"unchanged"}
        assert world() == before

    def test_elsewhere_it_comes_out_the_same(self, admin, bank, in_use):
        confirm(admin, "bank.get_customer")
        take(admin, bank, changed_bank())
        text = export_for(system_user("console"), kinds=["Connector", "Operation"])
        OperationPin.objects.all().delete()
        Operation.objects.all().delete()
        apply_texts(system_user("console"), texts={"a.yaml": text})
        assert dict(Operation.objects.values_list("slug", "state")) == {
            "bank.create_payment": "quarantined",
            "bank.get_customer": "active",
            "bank.update_customer": "disabled",
        }
        assert export_for(system_user("console"), kinds=["Connector", "Operation"]) == text
        assert confirm(admin, in_use.slug).state == "active"

    @pytest.mark.parametrize("without", [[], ["pinned"]])
    def test_an_older_document_lifts_no_quarantine(self, admin, bank, in_use, without):
        older = export_for(system_user("console"), kinds=["Operation"])
        (document,) = [each for each in yaml.safe_load_all(older) if each["slug"] == in_use.slug]
        text = yaml.safe_dump({name: value for name, value in document.items() if name not in without})
        take(admin, bank, changed_bank())
        before = world()
        with pytest.raises(ConfigurationError, match="waits for a person"):
            apply_texts(system_user("console"), texts={"a.yaml": text})
        assert world() == before
