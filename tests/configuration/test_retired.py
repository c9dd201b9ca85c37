"""Whatever was retired, the export is applied again without a change and without a misfit."""

import pytest
from django.db import transaction

from apps.configuration.selectors import export_for
from apps.configuration.services import ConfigurationError, apply_texts
from tests.configuration.test_every_kind import console, one_of_each, unsettled

__all__ = ["console", "one_of_each"]

MORE = (
    """
kind: Operation
slug: vault.take-back
connector: vault
method: POST
path: /returns
effect: write
---
kind: Operation
slug: vault.read
connector: vault
method: GET
path: /payouts
effect: read
---
kind: Connector
slug: bank
base_url: https://bank.example.com
auth: {type: none}
---
kind: Operation
slug: bank.pay
connector: bank
method: POST
path: /payouts
effect: write
compensation: {operation: vault.take-back}
on_file: {operation: vault.read}
verify: {operation: vault.read, expect: "true"}
---
kind: Policy
slug: names
unit: treasury
rules:
  - slug: whom
    when: "true"
    effect: deny
    scope: {agents: [teller], workflows: [pay-out], connectors: [vault], operations: [vault.pay, bank.pay]}
---
kind: Workflow
slug: two-banks
name: Two banks
unit: treasury
steps:
  first: {operation: vault.pay, with: {amount_minor: "1", iban: "'DE0017'"}}
  then: {operation: vault.read}
"""
    + "".join(
        f"""---
kind: Budget
slug: {kind}-day
scope: {{{kind}: {target}}}
period: day
cap_calls: 10
owner: carla
"""
        for kind, target in (("agent", "teller"), ("workflow", "pay-out"), ("connector", "vault"), ("unit", "treasury"))
    )
    + """---
kind: Breaker
slug: vault-failing
counts: failed
scope: connector
target: vault
threshold: 5
window_s: 60
---
kind: Breaker
slug: teller-1-failing
counts: failed
scope: version
target: teller@1
threshold: 5
window_s: 60
"""
)

THINGS = {
    "Agent": ["teller"],
    "Workflow": ["pay-out", "two-banks"],
    "Operation": ["vault.take-back", "vault.read", "vault.pay"],
    "Connector": ["vault"],
}


def test_what_is_exported_changes_nothing_whatever_was_retired(one_of_each, subtests):
    apply_texts(one_of_each, texts={"more.yaml": MORE})
    assert unsettled(one_of_each) == []
    for kinds in [*([kind] for kind in THINGS), list(THINGS)]:
        with subtests.test(kinds=kinds), transaction.atomic():
            gone = [f"kind: {kind}\nslug: {slug}\n" for kind in kinds for slug in THINGS[kind]]
            texts = {"gone.yaml": "---\n".join(f"{each}state: absent\n" for each in gone)}
            assert {each.outcome for each in apply_texts(one_of_each, texts=texts)} == {"removed"}
            text = export_for(one_of_each)
            assert not [each for each in gone if each in text]
            assert unsettled(one_of_each) == []
            transaction.set_rollback(True)


def test_what_is_changed_may_not_name_what_was_retired(one_of_each):
    apply_texts(one_of_each, texts={"gone.yaml": "kind: Agent\nslug: teller\nstate: absent\n"})
    text = export_for(one_of_each, kinds=["Budget"])
    assert "cap_minor: 10000000" in text
    with pytest.raises(ConfigurationError, match=r"b\.yaml:4: scope\.agent: There is no Agent teller"):
        apply_texts(one_of_each, texts={"b.yaml": text.replace("cap_minor: 10000000", "cap_minor: 1")})
