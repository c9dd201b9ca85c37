"""What is made of an OpenAPI document, and what is not: honest documents and hostile ones."""

import json
import socket
import time
from copy import deepcopy
from operator import attrgetter

import pytest
import yaml
from openapi_spec_validator import validate

from apps.connectors.rules import narrowed_schema, parameter_errors, schema_problem, split_parameters
from apps.connectors.rules.openapi import BYTES_MAX, OPERATIONS_MAX, read_openapi
from apps.connectors.rules.openapi.guesses import consequence_for
from apps.connectors.rules.secrets import looks_secret
from apps.connectors.rules.wording import template_problem
from apps.core.rules import ValueProblem
from tests.factories.openapi import BANK, classed_bank, document_with, with_body

BASE = "https://bank.example"


def read(document, base_url=BASE):
    text = document if isinstance(document, str) else json.dumps(document)
    return read_openapi(text, connector="bank", base_url=base_url)


def refusal(document, base_url=BASE):
    with pytest.raises(ValueProblem) as refused:
        read(document, base_url)
    return f"{refused.value.path}: {refused.value}"


def one(document):
    contents = read(document)
    assert contents.unfit == ()
    (found,) = contents.operations
    return found


def unfit(document):
    contents = read(document)
    assert contents.operations == ()
    (found,) = contents.unfit
    return f"{found.path}: {found.reason}"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("Reading a document reaches nothing.")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


class TestWhatIsMadeOfIt:
    def test_the_documents_of_these_tests_are_valid_by_others_too(self):
        validate(BANK)
        validate(document_with(with_body({"type": "object"})))

    def test_every_operation_with_all_that_the_plane_needs(self):
        contents = read(classed_bank())
        assert (contents.title, contents.version, contents.unfit) == ("Bank API", "2", ())
        assert "1 other server(s) are left out" in contents.notes[0]
        pay, get, change = contents.operations
        assert (pay.slug, pay.key, pay.where) == ("bank.create_payment", "createPayment", "POST /v2/payments")
        assert pay.definition["idempotency"] == "header"
        assert pay.definition["parameters"] == {
            "type": "object",
            "additionalProperties": False,
            "required": ["amount_minor", "currency", "iban"],
            "properties": {
                "amount_minor": {"type": "integer", "minimum": 1},
                "currency": {"type": "string"},
                "iban": {"type": "string", "x-data-class": "bank-details"},
            },
        }
        assert pay.amount == {"path": "amount_minor", "currency_path": "currency"}
        assert pay.consequence == "Will pay somebody: {amount}, iban {iban}."
        assert get.definition["path"] == "/v2/customers/{customer_id}"
        assert set(get.definition["parameters"]["properties"]) == {"customer_id", "verbose"}
        assert get.definition["parameters"]["required"] == ["customer_id"]
        assert (get.definition["name"], get.consequence) == ("Get customer", "")
        assert change.definition["parameters"]["properties"]["phone"]["x-data-class"] == "personal"

    def test_it_is_called_as_the_document_says(self):
        _pay, get, change = read(BANK).operations
        split = split_parameters("GET", get.definition["path"], {"customer_id": "c 1", "verbose": True})
        assert (split.path, split.query, split.body) == ("/v2/customers/c%201", [("verbose", "true")], None)
        split = split_parameters("PATCH", change.definition["path"], {"customer_id": "c1", "phone": "1"})
        assert (split.path, split.query, split.body) == ("/v2/customers/c1", [], {"phone": "1"})

    def test_yaml_and_json_say_the_same(self):
        assert read(yaml.safe_dump(BANK, sort_keys=False)) == read(BANK)

    def test_yaml_is_read_as_json_would_be(self):
        text = yaml.safe_dump(BANK).replace("type: boolean", "enum: [no, 2027-01-01, 010]", 1)
        (found,) = [each for each in read(text).operations if each.key == "getCustomer"]
        assert found.definition["parameters"]["properties"]["verbose"]["enum"] == ["no", "2027-01-01", "010"]

    def test_old_spellings_mean_the_same(self):
        schema = {
            "type": "object",
            "properties": {
                "much": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "nullable": True},
                "few": {"type": "string", "enum": ["a"], "nullable": True, "example": "a"},
                "any": {"$ref": "#/components/schemas/Any", "description": "beside a $ref nothing counts in 3.0"},
            },
        }
        parts = {"schemas": {"Any": {"nullable": True, "allOf": [{"type": "string"}]}}}
        found = one(document_with(with_body(schema), openapi="3.0.3", components=parts))
        made = found.definition["parameters"]["properties"]
        assert made["much"] == {"type": ["number", "null"], "exclusiveMinimum": 0}
        assert made["few"] == {"type": ["string", "null"], "enum": ["a", None]}
        assert made["any"] == {"anyOf": [{"allOf": [{"type": "string"}]}, {"type": "null"}]}
        assert parameter_errors(found.definition["parameters"], {"much": None, "few": None, "any": None}) == {}
        assert parameter_errors(found.definition["parameters"], {"much": 0}) != {}

    def test_parts_of_a_body_are_put_together(self):
        parts = [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"properties": {"b": {"type": "integer"}}},
        ]
        made = one(document_with(with_body({"allOf": parts}))).definition["parameters"]
        assert (set(made["properties"]), made["required"]) == ({"a", "b"}, ["a"])
        assert narrowed_schema(made, ["a"], "/things")["properties"] == {"a": {"type": "string"}}

    def test_an_order_that_means_nothing_is_no_difference(self):
        turned = deepcopy(BANK)
        turned["components"]["schemas"]["Payment"]["required"].reverse()
        turned["paths"] = dict(reversed(list(turned["paths"].items())))
        key = attrgetter("key")
        assert sorted(read(turned).operations, key=key) == sorted(read(BANK).operations, key=key)

    def test_a_name_of_the_path_gives_way_to_the_same_name_in_the_body(self):
        document = document_with(
            with_body(
                {"type": "object", "properties": {"id": {"type": "integer"}}},
                parameters=[{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            ),
            path="/things/{id}",
            method="put",
        )
        found = one(document)
        assert found.definition["path"] == "/things/{id_in_path}"
        assert found.definition["parameters"]["properties"]["id"] == {"type": "integer"}
        assert found.notes == ("{id} of the path is called id_in_path here.",)

    def test_what_is_never_sent_is_said(self):
        more = [
            {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
            {"name": "dry", "in": "query", "schema": {"type": "boolean"}},
            {"name": "Authorization", "in": "header", "required": True, "schema": {"type": "string"}},
        ]
        found = one(document_with(with_body({"type": "object"}, parameters=more, deprecated=True)))
        assert found.notes == (
            "The header X-Trace is never sent.",
            "dry in the query is never sent.",
            "The document calls it deprecated.",
        )
        assert "dry" not in found.definition["parameters"]["properties"]


class TestGuesses:
    @pytest.mark.parametrize(
        ("method", "name", "effect", "why"),
        [
            ("get", "getPayment", "read", "only reads"),
            ("get", "listOrders", "read", "only reads"),
            ("get", "deleteCustomer", "irreversible", "“delete” in its name"),
            ("get", "resetCounter", "write", "“reset” in its name"),
            ("delete", "forget", "irreversible", "DELETE"),
            ("post", "createPayment", "irreversible", "“payment” in its name"),
            ("post", "searchCustomers", "write", "nothing says that it is final"),
            ("put", "updatePhone", "write", "nothing says that it is final"),
            ("post", "sendEmail", "irreversible", "“email” in its name"),
        ],
    )
    def test_by_method_and_words_with_the_reason(self, method, name, effect, why):
        found = one(document_with({"operationId": name}, method=method))
        assert found.guess.effect == effect
        assert why in found.guess.reason

    def test_an_amount_makes_it_irreversible(self):
        body = with_body({"type": "object", "properties": {"total": {"type": "number"}}}, operationId="addLine")
        found = one(document_with(body))
        assert (found.guess.effect, found.guess.reason) == ("irreversible", "POST with total: it may move money.")


class TestOperationsThatAreNotTaken:
    @pytest.mark.parametrize(
        ("operation", "said"),
        [
            (with_body({"$ref": "https://evil.example/schema.json"}), "leads out of the document"),
            (with_body({"$ref": "file:///etc/passwd"}), "leads out of the document"),
            (with_body({"$ref": "other.yaml#/Payment"}), "leads out of the document"),
            (with_body({"$ref": "#/components/schemas/None"}), "leads nowhere"),
            (with_body({"$ref": 7}), "leads out of the document"),
            (with_body({"$ref": "#/components/schemas/Circle"}), "refers to itself"),
            (with_body({"type": "object", "properties": {"a": {"$ref": "#/components/schemas/Circle"}}}), "to itself"),
            ({"requestBody": {"$ref": "#/components/requestBodies/Round"}}, "back to itself"),
            (with_body({"$ref": "#/components/schemas/Bomb"}), "too large"),
            (with_body({"$ref": "#/components/schemas/Long"}), "too large"),
            (with_body({"type": "array", "items": {}}), "must be a JSON object"),
            (with_body({"type": "object", "properties": {"a": {"pattern": "(?=a)b"}}}), "cannot be matched"),
            (with_body({"type": "object", "properties": {"a": {"pattern": "(a)\\1"}}}), "cannot be matched"),
            (with_body({"type": "object", "properties": {"a": {"pattern": "("}}}), "cannot be matched"),
            (with_body({"type": "object", "properties": {"a": {"pattern": 1}}}), "A pattern is a text"),
            (
                with_body({"type": "object", "properties": {"a": {"pattern": "(" * 9999 + ")" * 9999}}}),
                "at most 1000 characters",
            ),
            (with_body({"type": "object", "properties": {"a": {"type": "money"}}}), "money"),
            (with_body({"type": "object", "properties": {"a": {"enum": 1}}}), "A list is expected"),
            (with_body({"type": "object", "properties": []}), "An object is expected"),
            (with_body({"type": "object", "required": [1]}), "A list of names"),
            (with_body({"type": "object", "properties": {"a": 1}}), "A schema is expected"),
            (with_body({"type": "object", "$dynamicRef": "#a"}), "$dynamicRef is not supported"),
            (with_body({"type": "object", "properties": {"a": {"x-data-class": "A b"}}}), "data class"),
            ({"requestBody": {"content": {"multipart/form-data": {}}}}, "Only a JSON body"),
            ({"requestBody": 1}, "An object is expected"),
            ({"parameters": {}}, "A list is expected"),
            ({"parameters": [{"in": "query"}]}, "has a name"),
            ({"parameters": [{"name": "a", "in": "body"}]}, "is in: path"),
            ({"parameters": [{"name": "a", "in": "query"}]}, "described by a schema"),
            (
                {"parameters": [{"name": "a", "in": "query", "required": True, "schema": {"type": "string"}}]},
                "beside a body none is sent",
            ),
            ({"parameters": [{"name": "a", "in": "query", "schema": {"type": "object"}}]}, "an object is not sent"),
            (
                {"parameters": [{"name": "X-A", "in": "header", "required": True, "schema": {"type": "string"}}]},
                "requires the header 'X-A'",
            ),
            (
                {"parameters": [{"name": "s", "in": "cookie", "required": True, "schema": {"type": "string"}}]},
                "requires the cookie 's'",
            ),
            ({"operationId": 5}, "A text is expected"),
            ({"servers": [{"url": "https://elsewhere.example"}]}, "not this connector's"),
        ],
    )
    def test_each_says_why_and_where(self, operation, said):
        leaf = {"type": "object", "properties": {f"p{n}": {"$ref": "#/components/schemas/B0"} for n in range(20)}}
        parts = {
            "schemas": {
                "Circle": {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Circle"}}},
                "B0": {"type": "object", "properties": {f"q{n}": {"type": "string"} for n in range(100)}},
                "Bomb": leaf,
                "Long": {"type": "object", "description": "x" * 70_000},
            },
            "requestBodies": {"Round": {"$ref": "#/components/requestBodies/Round"}},
        }
        assert said in unfit(document_with(operation, components=parts))

    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("/a/../admin", "plain"),
            ("//elsewhere.example/x", "plain"),
            ("/a b", "begins with /"),
            ("payments", "begins with /"),
            ("/a?x=1", "begins with /"),
            ("/a/{id}", "no parameter says what it is"),
            ("/a/{id}/{id}", "twice"),
        ],
    )
    def test_paths_that_lead_elsewhere(self, path, said):
        assert said in unfit(document_with({}, path=path, method="get"))

    def test_a_get_with_a_body(self):
        assert "A GET with a body is not sent" in unfit(document_with(with_body({"type": "object"}), method="get"))

    def test_two_operations_of_one_name(self):
        document = document_with({})
        document["paths"]["/more"] = {"post": {"operationId": "do-it", "responses": {}}}
        contents = read(document)
        assert [found.where for found in contents.operations] == ["POST /things"]
        assert "Give it another operationId" in contents.unfit[0].reason

    def test_one_that_is_broken_does_not_keep_the_others_out(self):
        document = deepcopy(BANK)
        document["paths"]["/broken"] = {"post": with_body({"$ref": "#/nowhere"})}
        document["paths"]["/worse"] = 7
        contents = read(document)
        assert len(contents.operations) == 3
        assert [found.where for found in contents.unfit] == ["POST /broken", "/worse"]


class TestDocumentsThatAreRefused:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "empty"),
            ("hello", "an object with openapi"),
            ("[1, 2]", "an object with openapi"),
            ("{", "not JSON"),
            ('{"openapi": "3.1.0", "openapi": "3.1.0"}', "twice"),
            ("a: 1\na: 2", "line 2: The key 'a' is given twice"),
            ("a: &x [1]\nb: *x", "line 2: Aliases"),
            ("a: !!python/object/apply:os.system ['true']", "Tags"),
            ("? [a]\n: 1", "A key must be a text"),
            ("a: 1\n---\nb: 2", "a second one"),
            ("a: [1, 2", "neither JSON nor YAML"),
            ("a: \x07", "characters that no text has"),
            ("[" * 5000, "levels of nesting"),
            ('{"a":' + "[" * 5000, "levels of nesting"),
            ("a: " + "{b: " * 100, "levels of nesting"),
            ("a: " + "9" * 5000, "A number of this length"),
            ("x" * (BYTES_MAX + 1), "bytes; at most"),
            ("- a\n" * 70_000, "values"),
            ('swagger: "2.0"\npaths: {}', "Swagger 2.0"),
            ("paths: {}", "OpenAPI 3.0 or 3.1"),
            ("openapi: 3.1\npaths: {}", "OpenAPI 3.0 or 3.1"),
            ("openapi: 4.0.0\npaths: {}", "OpenAPI 3.0 or 3.1"),
            ("openapi: 3.1.0\npaths: {}", "no title"),
            ("openapi: 3.1.0\ninfo: {title: A}", "no paths"),
            ("openapi: 3.1.0\ninfo: {title: A}\npaths: {}", "no operation"),
            ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "looks like a secret"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", "looks like a secret"),
            (
                "openapi: 3.1.0\ninfo: {title: ghp_0123456789abcdefghij0123}\npaths: {/a: {get: {}}}",
                "looks like a secret",
            ),
        ],
    )
    def test_each_says_why_and_where(self, text, said):
        told = refusal(text)
        assert said in told
        assert not looks_secret(told)

    def test_a_secret_anywhere_refuses_all_of_it_and_says_the_line(self):
        text = yaml.safe_dump({**BANK, "x-example": "sk_live_0123456789abc"})
        line = next(n for n, said in enumerate(text.splitlines(), 1) if "sk_live" in said)
        assert refusal(text).startswith(f"line {line}: This looks like a secret")

    def test_a_secret_in_disguise_is_kept_out_with_its_operation(self):
        thing = with_body({"type": "object", "properties": {"a": {"default": "sk_live_0123456789abc"}}})
        (left_out,) = read(json.dumps(document_with(thing)).replace("sk_live", "sk\\u005flive")).unfit
        assert "looks like a secret" in left_out.reason

    @pytest.mark.parametrize(
        "url", ["https://elsewhere.example", "http://bank.example", "https://bank.example:8443", "https://bank.example.evil",
                "https://bank.example@evil.example", "//evil.example", "ftp://bank.example", "https://{host}"]
    )  # fmt: skip
    def test_servers_that_point_elsewhere(self, url):
        told = refusal({**BANK, "servers": [{"url": url, "variables": {"host": {"default": "evil.example"}}}]})
        assert told.startswith("servers: Its servers are not this connector's: calls go to https://bank.example alone.")

    def test_a_server_below_another_path_of_the_same_host_is_elsewhere(self):
        assert "not this connector's" in refusal(BANK, "https://bank.example/v3")
        assert read(BANK, "https://bank.example/v2").operations[0].definition["path"] == "/payments"

    def test_too_many_operations(self):
        paths = {f"/a{n}": {"get": {"operationId": f"a{n}", "responses": {}}} for n in range(OPERATIONS_MAX + 1)}
        assert "in parts" in refusal({**document_with({}), "paths": paths})

    def test_the_worst_that_is_read_is_read_in_seconds(self):
        wide = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(1_000)}}
        paths = {
            f"/a{n}": {"post": with_body({"$ref": "#/components/schemas/Wide"}, operationId=f"a{n}", responses={})}
            for n in range(OPERATIONS_MAX)
        }
        begun = time.process_time()
        contents = read({**document_with({}), "paths": paths, "components": {"schemas": {"Wide": wide}}})
        assert len(contents.operations) + len(contents.unfit) == OPERATIONS_MAX
        assert "too large" in contents.unfit[-1].reason
        assert time.process_time() - begun < 20


def test_whatever_is_taken_is_a_schema_of_parameters():
    for found in read(BANK).operations:
        assert schema_problem(found.definition["parameters"]) == ""


def test_plain_words_are_no_secrets():
    assert not any(looks_secret(text) for text in ("Pay an invoice", "bearer token", "acp_agt_...", "DE89370400440532"))


class TestSentence:
    def said(self, properties, *, required=None, summary="Open an account", amount=None):
        schema = {"properties": properties, "required": list(properties) if required is None else required}
        return consequence_for(summary, schema, "write", amount)

    def test_it_names_all_that_must_be_given(self):
        names = ["branch", "kind", "holder", "birthday", "iban"]
        text = self.said({**{name: {"type": "string"} for name in names}, "note": {"type": "string"}}, required=names)
        assert text == (
            "Will open an account: branch {branch}, kind {kind}, holder {holder}, birthday {birthday}, iban {iban}."
        )

    def test_also_within_an_object_and_where_it_may_be_null_or_is_one_of_some(self):
        creditor = {"type": "object", "required": ["iban"], "properties": {"iban": {"type": "string"}, "bic": {}}}
        text = self.said({"creditor": creditor, "on": {"type": ["string", "null"]}, "how": {"enum": ["a"]}})
        assert text == "Will open an account: creditor iban {creditor.iban}, on {on}, how {how}."
        schema = {"properties": {"creditor": creditor, "on": {}, "how": {}}}
        assert not template_problem(text, schema=schema, has_amount=False)

    def test_what_is_too_much_for_a_sentence_is_counted(self):
        many = {f"p{n}": {"type": "string"} for n in range(10)}
        assert self.said({**many, "x-y": {"type": "string"}}).endswith("p7 {p7}, and 3 more.")
        assert self.said({"x-y": {"type": "string"}}) == "Will open an account: and 1 more."
        long = {f"{'p' * 90}{n}": {"type": "string"} for n in range(8)}
        text = self.said(long, summary="x" * 400)
        assert len(text) <= 500
        assert text.endswith("more.")

    def test_lists_and_objects_without_description_are_left_out(self):
        odd = {"type": "object", "required": True, "properties": [1]}
        told = {"rows": {"type": "array"}, "about": {"type": "object"}, "odd": odd, "kinds": {"type": [{}]}}
        assert self.said(told) == "Will open an account."
