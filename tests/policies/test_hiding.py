"""What rules hide and compare is looked up in the operations' schemas, part by part."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from apps.audit.models import Entry
from apps.classification.rules import values_at
from apps.configuration.services import ConfigurationError, apply_texts
from apps.connectors.models import Operation
from apps.core.services import system_user
from apps.policies.models import PolicyVersion
from apps.policies.rules import Known, check_rules, read_rules
from apps.policies.rules.paths import Lack, lack_of
from apps.policies.services import check_policy, publish_policy, save_policy
from tests.console.rule_desk import Desk, signed_in
from tests.factories.access import make_admin, make_unit
from tests.factories.connectors import make_connector, make_operation
from tests.factories.policies import make_policy, make_rule
from tests.policies.test_names import post

NAMES = st.sampled_from(["iban", "name", "lines", "note"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(["DE00", 7, True]),
    lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3) | st.lists(inner, min_size=1, max_size=2),
    max_leaves=8,
)
PATHS = st.lists(NAMES | st.just("*") | st.just("ibna"), min_size=1, max_size=4)
ADDRESS = {"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}
ORDER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "iban": {"type": "string"},
        "amount_minor": {"type": "integer"},
        "customer": {"type": "object", "properties": {"iban": {"type": "string"}, "address": {"$ref": "#/$defs/a~1b"}}},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"iban": {}, "seen": {"const": 1}}}},
        "names": {"type": "array", "items": {"type": "string"}},
        "free": {"type": "object"},
        "any": True,
        "none": False,
        "closed": {"type": "object", "additionalProperties": False},
        "more": {"type": "object", "properties": {"a": {}}, "additionalProperties": ADDRESS},
        "map": {"type": "object", "additionalProperties": ADDRESS},
        "maybe": {"anyOf": [{"$ref": "#/$defs/a~1b"}, {"type": "null"}]},
        "either": {"oneOf": [ADDRESS, {"type": "object"}]},
        "both": {"type": "object", "allOf": [ADDRESS, {"properties": {"zip": {}}}]},
        "tied": {
            "type": "object",
            "properties": {"a": {}},
            "if": {"required": ["a"]},
            "then": {"properties": {"b": {}}},
        },
        "odd": {"type": "object", "properties": {"a": {}}, "patternProperties": {"^x-": {}}},
        "tree": {"$ref": "#/$defs/tree"},
        "lost": {"$ref": "#/$defs/nowhere"},
        "pair": {"type": "array", "prefixItems": [ADDRESS, {"type": "string"}]},
    },
    "$defs": {"a/b": ADDRESS, "tree": {"properties": {"of": {"$ref": "#/$defs/tree"}, "leaf": {}}}},
}
GROWS = {"type": "object", "$defs": {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 9} for n in range(30)},
         "properties": {"a": {"$ref": "#/$defs/a0"}, "self": {"$ref": "#/properties/self"},
                        "nest": {"anyOf": [{"$ref": "#/properties/nest"}]},
                        "two": {"anyOf": [{"type": "null"}], "allOf": [{"oneOf": [{"type": "null"}]}]}}}  # fmt: skip


def schema_of(value: Any) -> dict[str, Any]:
    """The schema that describes just what there is of a value."""
    if isinstance(value, dict):
        return {"type": "object", "properties": {name: schema_of(each) for name, each in value.items()}}
    if isinstance(value, list):
        return {"type": "array", "prefixItems": [schema_of(each) for each in value]}
    return {"type": "string"}


@given(VALUES, PATHS)
def test_a_path_leads_somewhere_just_where_there_is_something_to_hide(value: Any, path: list[str]) -> None:
    assert (lack_of(schema_of(value), path) is None) == bool(list(values_at(value, path)))


@pytest.mark.parametrize(
    "path",
    ["iban", "customer.iban", "customer.address.city", "lines.*.iban", "lines", "names.*", "free.x.y", "any.x", "any.*",
     "more.a", "more.b.city", "map.x.city", "map.*.city", "maybe.city", "either.x", "both.city", "both.zip", "tied.b",
     "odd.x-1", "tree.of.of.leaf", "lost.x", "pair.*.city", "customer.*", "lines.*.seen.x"],
)  # fmt: skip
def test_what_is_there_or_cannot_be_known_is_let(path: str) -> None:
    assert lack_of(ORDER, path.split(".")) is None


@pytest.mark.parametrize(
    ("path", "before", "names"),
    [
        ("ibna", "", sorted(ORDER["properties"])),
        ("iban.x", "iban", []),
        ("iban.*", "iban", []),
        ("customer.ibna", "customer", ["address", "iban"]),
        ("customer.address.cty", "customer.address", ["city", "street"]),
        ("lines.iban", "lines", []),
        ("lines.0.iban", "lines", []),
        ("lines.*.ibna", "lines.*", ["iban", "seen"]),
        ("names.*.iban", "names.*", []),
        ("none.x", "none", []),
        ("closed.x", "closed", []),
        ("closed.*", "closed", []),
        ("more.b.cty", "more.b", ["city", "street"]),
        ("map.*.cty", "map.*", ["city", "street"]),
        ("maybe.cty", "maybe", ["city", "street"]),
        ("both.cty", "both", ["city", "street", "zip"]),
        ("tree.of.laef", "tree.of", ["leaf", "of"]),
        ("pair.*.cty", "pair.*", ["city", "street"]),
    ],
)
def test_what_leads_nowhere_says_where_and_what_there_is(path: str, before: str, names: list[str]) -> None:
    found = lack_of(ORDER, path.split("."))
    assert found == Lack(tuple(before.split(".")) if before else (), tuple(names))


@pytest.mark.parametrize("path", ["a.x", "self.x", "two.x", "nest.x"])
def test_a_schema_that_grows_without_end_is_not_followed_to_it(path: str) -> None:
    assert lack_of(GROWS, path.split(".")) is None


def findings(known: Known, redact: list[str], **fields: Any) -> list[str]:
    rules, _ = read_rules([make_rule(effect="flag", obligations={"redact": redact}, **fields)])
    return [found.message for found in check_rules(rules, known) if not found.is_warning]


PAY = {"type": "object", "properties": {"iban": {}, "sum": {}}}
KNOWN = Known(
    operations={"bank.pay": PAY, "shop.order": ORDER},
    connectors={"bank", "shop", "void"},
    homes={"bank.pay": "bank", "shop.order": "shop"},
    amounts={"bank.pay": ["sum"], "shop.order": ["amount_minor"]},
)


@pytest.mark.parametrize(
    ("redact", "scope", "said"),
    [
        ("iban", {}, ""),
        ("customer.iban", {}, ""),  # one of them has it
        ("customer.ibna", {}, "No operation has a parameter 'customer.ibna'. Did you mean customer.iban?"),
        ("ibna", {}, "No operation has a parameter 'ibna'. Did you mean iban?"),
        ("lines.iban", {}, "No operation has a parameter 'lines.iban'. Did you mean lines.*.iban?"),
        ("lines.0.iban", {}, "No operation has a parameter 'lines.0.iban'. Did you mean lines.*.iban?"),
        ("customer.iban", {"connectors": ["bank"]}, "No operation of bank has a parameter 'customer.iban'."),
        ("customer.iban", {"connectors": ["bank", "shop"]}, ""),
        ("x.y", {"connectors": ["void"]}, ""),  # nothing to look it up in
        ("customer.iban", {"operations": ["bank.pay", "shop.order"]}, "bank.pay has no parameter 'customer.iban'."),
        ("lines.*.ibn", {"operations": ["shop.order"]},
         "shop.order has no parameter 'lines.*.ibn'. Did you mean lines.*.iban?"),
        ("sum", {}, "'sum' is the amount of bank.pay, which limits, budgets and figures count: nobody can hide it."),
    ],
)  # fmt: skip
def test_a_name_that_no_operation_of_the_rule_has_is_refused(redact: str, scope: dict[str, Any], said: str) -> None:
    assert findings(KNOWN, [redact], scope=scope) == ([said] if said else [])


def test_an_amount_of_one_operation_is_hidden_where_it_is_none() -> None:
    known = Known(operations={"bank.pay": PAY, "shop.order": PAY}, amounts={"bank.pay": ["sum"]})
    assert findings(known, ["sum"]) == []


def test_what_is_not_known_is_not_looked_up() -> None:
    assert findings(Known(), ["ibna"]) == []


def test_what_is_compared_to_approve_in_advance_is_there_whole() -> None:
    demands = {"standing": {"times": 1, "days": 1, "same": ["customer.iban", "customer.ibna"]}}
    rules, _ = read_rules(
        [make_rule(effect="require_approval", queue="q", scope={"operations": ["shop.order"]}, obligations=demands)]
    )
    (found,) = check_rules(rules, KNOWN)
    assert (found.field, found.message) == (
        "rules.0.obligations.standing.same",
        "shop.order has no parameter 'customer.ibna'. Did you mean customer.iban?",
    )


@pytest.fixture
def desk(db: None, settings: Any, operations_are_not_known: None) -> Desk:
    settings.POLICY_OPERATIONS = "apps.connectors.selectors.named.systems_named_for"
    return Desk()


def hides(name: str) -> dict[str, Any]:
    return make_rule(slug="hides", effect="flag", obligations={"redact": [name]})


def test_every_door_refuses_it_and_nothing_happens(desk: Desk) -> None:
    said, at = "No operation has a parameter 'ibna'. Did you mean iban?", "rules.0.obligations.redact"
    admin, there = make_admin(), PolicyVersion.objects.count()
    answer = post(signed_in(admin), "", {"slug": "hiding", "name": "Hiding", "rules": [hides("ibna")]})
    assert (answer.status_code, answer.json()["errors"]) == (422, {at: [said]})
    last = Entry.objects.order_by("-id").first()
    assert last
    assert (last.name, last.actor, last.payload["code"]) == ("request.refused", admin, "invalid")
    document = {"kind": "Policy", "slug": "hiding", "rules": [hides("ibna")]}
    with pytest.raises(ConfigurationError) as refused:
        apply_texts(system_user("console"), texts={"a.yaml": yaml.safe_dump(document)})
    assert [each.message for each in refused.value.troubles] == [said]
    desk.look()
    page = desk.press("check", rules=json.dumps([*desk.rules(), hides("ibna")]))
    assert (desk.status, "Did you mean iban?" in page) == (422, True)
    assert PolicyVersion.objects.count() == there


def test_a_name_that_only_others_may_see_is_not_there_and_is_not_suggested(desk: Desk) -> None:
    schema = {"type": "object", "properties": {"passport": {"type": "string"}}}
    make_operation(connector=make_connector(unit=make_unit()), parameters=schema)
    (found,) = check_policy(desk.ada, rules=[hides("passport")])
    (typo,) = check_policy(desk.ada, rules=[hides("pasport")])
    assert found.message.replace("passport", "") == typo.message.replace("pasport", "")
    assert check_policy(make_admin(), rules=[hides("passport")]) == ()


def test_a_rule_in_force_outlives_the_parameter_that_it_hides(desk: Desk) -> None:
    policy = make_policy(hides("note"), unit=desk.unit, slug="hiding", name="Hiding")
    Operation.objects.update(parameters={"type": "object", "properties": {"iban": {"type": "string"}}})
    more = [hides("note"), make_rule(slug="more", effect="deny")]
    saved, _ = save_policy(desk.ada, slug="hiding", name="Hiding", unit=desk.unit, rules=more)
    (found,) = check_policy(desk.ada, rules=more, policy=saved)
    assert (found.is_warning, found.field) == (True, "rules.0.obligations.redact")
    publish_policy(desk.ben, policy=saved)
    policy.refresh_from_db()
    assert policy.in_force
    assert policy.in_force.number == 2
    scoped = {**hides("note"), "scope": {"operations": ["bank.pay"]}}
    (anew,) = check_policy(desk.ada, rules=[scoped], policy=saved)
    assert not anew.is_warning
