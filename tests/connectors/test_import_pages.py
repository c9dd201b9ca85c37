"""The doors to importing: pages, endpoints and the command; what they show, refuse and never repeat."""

import json
from copy import deepcopy
from io import StringIO

import pytest
import yaml
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from apps.connectors import services
from apps.connectors.models import Operation, OperationPin
from apps.connectors.rules.openapi import BYTES_MAX
from tests.connectors.test_api import agent_api, person
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.agents import make_agent
from tests.factories.connectors import make_connector, permit
from tests.factories.openapi import BANK, document_with

pytestmark = pytest.mark.django_db
SECRET = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
HERE, REVIEW = "/connectors/bank/import/", "/connectors/bank/operations/bank.create_payment/review/"


@pytest.fixture
def admin():
    return make_admin()


@pytest.fixture
def bank():
    return make_connector(slug="bank", name="Bank", base_url="https://bank.example")


@pytest.fixture
def pages(admin):
    client = Client()
    client.force_login(admin)
    return client


def changed_bank():
    document = deepcopy(BANK)
    document["components"]["schemas"]["Payment"]["properties"]["note"] = {"type": "string", "maxLength": 77}
    return document


@pytest.fixture
def in_use(admin, bank):
    """The payment, confirmed."""
    services.import_openapi(admin, connector=bank, text=json.dumps(BANK))
    pin = OperationPin.objects.select_related("operation__connector__unit").get(operation__slug="bank.create_payment")
    return services.review_operation(admin, operation=pin.operation, seen=pin.seen)


def text_of(answer):
    return answer.content.decode()


def answered(pages, address=REVIEW, **more):
    form = pages.get(address).context["form"]
    shown = {name: form[name].value() or "" for name in form.fields}
    return pages.post(address, {**shown, **more})


class TestTheImportPage:
    def test_it_shows_what_would_happen_and_changes_nothing(self, pages, bank):
        unfit = deepcopy(BANK)
        unfit["paths"]["/files"] = {"put": {"requestBody": {"content": {"text/csv": {}}}, "responses": {}}}
        answer = pages.post(HERE, {"document": yaml.safe_dump(unfit)})
        assert answer.status_code == 200
        shown = text_of(answer)
        for said in (
            "Bank API", "bank.create_payment", "POST /v2/payments", "Irreversible", "sounds final", "GET only reads.",
            "Left out, and why", "PUT /files", "Only a JSON body is sent", "disabled until a person confirms each",
        ):  # fmt: skip
            assert said in shown
        assert not Operation.objects.exists()

    def test_what_the_preview_carries_is_what_is_imported(self, pages, bank):
        preview = pages.post(HERE, {"document": yaml.safe_dump(BANK)})
        answer = pages.post(HERE, {"document": preview.context["text"], "step": "import"}, follow=True)
        assert "3 new, 0 changed, 0 gone, 0 as before, 0 left out." in text_of(answer)
        assert "3 imported operations wait for a person" in text_of(answer)
        assert set(Operation.objects.values_list("state", flat=True)) == {"disabled"}
        assert "3 to review" in text_of(pages.get("/connectors/"))

    def test_a_file_is_read_as_well(self, pages, bank):
        file = SimpleUploadedFile("bank.yaml", b"\xef\xbb\xbf" + yaml.safe_dump(BANK).encode())
        assert len(pages.post(HERE, {"file": file}).context["plan"].new) == 3

    def test_again_it_shows_the_difference(self, pages, bank, in_use):
        shown = text_of(pages.post(HERE, {"document": json.dumps(changed_bank())}))
        assert "quarantined: agents are refused until a person has looked" in shown
        assert "<ins>77</ins>" in shown
        assert Operation.objects.get(pk=in_use.pk).state == "active"
        again = text_of(pages.post(HERE, {"document": json.dumps(BANK)}))
        assert "Importing it changes nothing" in again
        assert 'value="import"' not in again

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({}, "Paste a document, or choose a file."),
            ({"document": "openapi: 3.1.0\ninfo: {title: [}"}, "line 2: This is neither JSON nor YAML"),
            ({"document": '{"openapi": "2.0"}'}, "openapi: OpenAPI 3.0 or 3.1 is expected"),
            ({"document": json.dumps({**BANK, "servers": [{"url": "https://evil.example"}]})}, "servers: Its servers"),
            ({"document": "x" * (BYTES_MAX + 1)}, "Cut it down to the paths you need."),
            ({"file": SimpleUploadedFile("a.yaml", b"\xff\xfe")}, "This is not UTF-8 text."),
            ({"document": "a: 1", "file": SimpleUploadedFile("a.yaml", b"a: 1")}, "not both"),
        ],
    )
    def test_what_cannot_be_used_says_where_and_why(self, pages, bank, given, said):
        answer = pages.post(HERE, {**given, "step": "import"})
        assert answer.status_code == 422
        assert said in text_of(answer)
        assert not Operation.objects.exists()

    def test_a_secret_in_it_is_never_shown_back(self, pages, bank):
        for document in (SECRET, yaml.safe_dump({**BANK, "x-key": SECRET})):
            for given in ({"document": document}, {"file": SimpleUploadedFile("a.yaml", document.encode())}):
                answer = pages.post(HERE, given)
                assert answer.status_code == 422
                assert "This looks like a secret" in text_of(answer)
                assert SECRET not in text_of(answer)
        broken = pages.post(HERE, {"document": "openapi: [broken"})
        assert "openapi: [broken" in text_of(broken), "everything else comes back to be mended"

    def test_those_who_do_not_manage_it_do_not_see_it(self, bank, in_use):
        client = Client()
        client.force_login(make_holder("connectors.use_operation", unit=make_unit()))
        for address in (HERE, REVIEW):
            assert client.get(address).status_code in {403, 404}
            assert client.post(address, {"document": json.dumps(changed_bank()), "step": "import"}).status_code in {
                403, 404,
            }  # fmt: skip
        assert Operation.objects.get(pk=in_use.pk).state == "active"


class TestTheReviewPage:
    def test_a_new_one_is_confirmed_and_the_next_one_follows(self, pages, admin, bank):
        services.import_openapi(admin, connector=bank, text=json.dumps(BANK))
        shown = text_of(pages.get(REVIEW))
        assert "sounds final" in shown
        assert "Confirm and use it" in shown
        answer = answered(pages, consequence="Will pay {amount} to {iban}.", target="iban")
        assert answer.url == "/connectors/bank/operations/bank.get_customer/review/"
        operation = Operation.objects.get(slug="bank.create_payment")
        assert (operation.state, operation.effect, operation.target) == ("active", "irreversible", "iban")
        assert operation.amount == {"path": "amount_minor", "currency_path": "currency"}
        assert operation.consequence == "Will pay {amount} to {iban}."

    def test_a_change_is_shown_and_taken(self, pages, admin, bank, in_use):
        services.import_openapi(admin, connector=bank, text=json.dumps(changed_bank()))
        assert "Quarantined" in text_of(pages.get("/connectors/bank/"))
        shown = text_of(pages.get(REVIEW))
        assert "<ins>77</ins>" in shown
        assert "agents are refused until a person has looked" in shown
        assert answered(pages).status_code == 422, "nothing is chosen for the person"
        assert answered(pages, verdict="take").status_code == 302
        in_use.refresh_from_db()
        assert (in_use.state, "note" in in_use.parameters["properties"]) == ("active", True)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"effect": "read"}, "Say why it asks for less care than was guessed."),
            ({"consequence": "Will {nothing}."}, "nothing"),
            ({"amount_path": "nowhere"}, "The operation has no such parameter."),
            ({"currency": ""}, "The parameter that holds it, or a code such as EUR."),
            ({"target": "nobody"}, "The operation has no such parameter."),
        ],
    )
    def test_what_does_not_fit_is_said_beside_its_field(self, pages, admin, bank, given, said):
        services.import_openapi(admin, connector=bank, text=json.dumps(BANK))
        answer = answered(pages, **given)
        assert answer.status_code == 422
        assert said in text_of(answer)
        assert Operation.objects.get(slug="bank.create_payment").state == "disabled"

    def test_a_fixed_currency(self, pages, admin, bank):
        services.import_openapi(admin, connector=bank, text=json.dumps(BANK))
        answered(pages, currency="EUR")
        assert Operation.objects.get(slug="bank.create_payment").amount == {"path": "amount_minor", "currency": "EUR"}

    def test_what_changed_since_is_not_confirmed_unseen(self, pages, admin, bank):
        services.import_openapi(admin, connector=bank, text=json.dumps(BANK))
        seen = pages.get(REVIEW).context["form"]
        shown = {name: seen[name].value() or "" for name in seen.fields}
        services.import_openapi(admin, connector=bank, text=json.dumps(changed_bank()))
        answer = pages.post(REVIEW, shown)
        assert answer.status_code == 409
        assert "It changed since you looked" in text_of(answer)
        assert answer.context["form"]["seen"].value() != shown["seen"]
        assert Operation.objects.get(slug="bank.create_payment").state == "disabled"

    def test_what_is_gone_is_kept_or_retired(self, pages, admin, bank, in_use):
        gone = deepcopy(BANK)
        del gone["paths"]["/payments"]
        services.import_openapi(admin, connector=bank, text=json.dumps(gone))
        assert "Its document describes it no more." in text_of(pages.get(REVIEW))
        pages.post("/connectors/bank/operations/bank.create_payment/state/", {"state": "retired", "reason": "Gone."})
        in_use.refresh_from_db()
        assert in_use.state == "retired"

    def test_what_was_described_by_hand_has_no_such_page(self, pages, bank):
        assert pages.get(REVIEW).status_code == 404
        other = make_connector(slug="other")
        services.import_openapi(make_admin(), connector=bank, text=json.dumps(BANK))
        assert pages.get(f"/connectors/{other.slug}/operations/bank.create_payment/review/").status_code == 404


class TestTheEndpoints:
    def test_import_look_and_answer(self, admin, bank):
        api = person(admin)
        tried = api("POST", "/connectors/bank/import/", {"document": json.dumps(BANK), "dry_run": True})
        assert (tried.status_code, len(tried.body["new"]), tried.body["dry_run"]) == (200, 3, True)
        assert not Operation.objects.exists()
        made = api("POST", "/connectors/bank/import/", {"document": yaml.safe_dump(BANK, sort_keys=False)})
        assert made.body["new"][0] == {
            "slug": "bank.create_payment", "name": "Pay somebody", "method": "POST", "path": "/v2/payments",
            "guess": {"effect": "irreversible", "reason": "POST, and “pay” in its summary sounds final."}, "notes": [],
        }  # fmt: skip
        waiting = api("GET", "/operations/?waiting=new").body["results"]
        assert [row["slug"] for row in waiting] == ["bank.create_payment", "bank.get_customer", "bank.update_customer"]
        seen = api("GET", "/operations/bank.create_payment/review/").body
        assert (seen["waiting"], seen["differs"], seen["confirmed_by"]) == ("new", [], None)
        done = api("POST", "/operations/bank.create_payment/review/", {"seen": seen["seen"], "target": "iban"})
        assert (done.body["state"], done.body["target"]) == ("active", "iban")
        again = api("POST", "/connectors/bank/import/", {"document": json.dumps(changed_bank())})
        assert [(row["slug"], row["differs"]) for row in again.body["changed"]] == [
            ("bank.create_payment", ["parameters"])
        ]
        seen = api("GET", "/operations/bank.create_payment/review/").body
        assert (seen["state"], seen["waiting"], seen["differs"]) == ("quarantined", "changed", ["parameters"])
        kept = {"seen": seen["seen"], "verdict": "keep"}
        assert api("POST", "/operations/bank.create_payment/review/", kept).body["errors"].keys() == {"reason"}
        kept |= {"reason": "It does not matter."}
        assert api("POST", "/operations/bank.create_payment/review/", kept).body["state"] == "active"
        assert api("POST", "/operations/bank.create_payment/review/", kept).status_code == 409

    def test_a_quarantine_is_lifted_by_its_review_alone(self, admin, bank, in_use):
        services.import_openapi(admin, connector=bank, text=json.dumps(changed_bank()))
        api = person(admin)
        assert api("POST", "/operations/bank.create_payment/state/", {"state": "active"}).status_code == 409
        assert api("POST", "/operations/bank.create_payment/state/", {"state": "quarantined"}).status_code == 422

    @pytest.mark.parametrize(
        ("document", "said"),
        [
            (f"key: {SECRET}", "line 1: This looks like a secret"),
            ("a: &x [1]\nb: *x", "line 2: Aliases"),
            ("[" * 100_000, "levels"),
            (json.dumps(document_with({}, paths={"/a": {"$ref": "https://evil.example/a"}})), ""),
        ],
    )
    def test_documents_that_cannot_be_used_have_no_effect(self, admin, bank, document, said):
        answer = person(admin)("POST", "/connectors/bank/import/", {"document": document})
        if said:
            assert answer.status_code == 422
            assert said in answer.body["errors"]["document"][0]
            assert SECRET not in json.dumps(answer.body)
        else:
            assert "nothing is fetched" in answer.body["unfit"][0]["reason"]
        assert not Operation.objects.exists()

    def test_agents_and_strangers_are_refused(self, admin, bank, in_use):
        agent = make_agent()
        permit(agent.user, in_use)
        for api in (agent_api(agent), person(make_holder("connectors.use_operation", unit=make_unit()))):
            assert api("POST", "/connectors/bank/import/", {"document": json.dumps(changed_bank())}).status_code in {
                403, 404,
            }  # fmt: skip
        assert Operation.objects.get(pk=in_use.pk).state == "active"


class TestTheCommand:
    def test_a_line_for_each_operation(self, bank, tmp_path, in_use):
        file = tmp_path / "bank.json"
        file.write_text(json.dumps(changed_bank()))
        said = StringIO()
        call_command("import_openapi", "bank", str(file), "--dry-run", stdout=said)
        assert "changed bank.create_payment: parameters" in said.getvalue()
        assert "Nothing was changed: this was a dry run." in said.getvalue()
        assert Operation.objects.get(pk=in_use.pk).state == "active"
        call_command("import_openapi", "bank", str(file), stdout=said)
        assert Operation.objects.get(pk=in_use.pk).state == "quarantined"

    def test_what_cannot_be_used_says_so(self, bank, tmp_path):
        file = tmp_path / "bank.yaml"
        for text, said in ((SECRET, "line 1: This looks like a secret"), ("openapi: [", "neither JSON nor YAML")):
            file.write_text(text)
            with pytest.raises(CommandError, match=said):
                call_command("import_openapi", "bank", str(file))
        file.write_bytes(b"\xff")
        with pytest.raises(CommandError, match="not UTF-8"):
            call_command("import_openapi", "bank", str(file))
        with pytest.raises(CommandError, match="No such file"):
            call_command("import_openapi", "bank", str(tmp_path / "none"))
        file.write_text(json.dumps(BANK))
        with pytest.raises(CommandError):
            call_command("import_openapi", "nobody", str(file))
        assert not Operation.objects.exists()
