"""The names of permissions are a contract, and the document of them is true."""

import re
from pathlib import Path

from apps.access.rules import ADMINISTRATOR_PERMISSIONS, PERMISSIONS
from apps.oversight.rules.access_reviews import TRACES

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "permissions.md"


def test_the_document_has_a_sentence_for_each_permission_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z._]+)` \| (.+) \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert rows == list(PERMISSIONS.items())


def test_each_has_one_sentence() -> None:
    assert all(sentence.endswith(".") and "|" not in sentence for sentence in PERMISSIONS.values())
    assert len(set(PERMISSIONS.values())) == len(PERMISSIONS)


def test_administrators_do_not_decide() -> None:
    assert set(PERMISSIONS) - set(ADMINISTRATOR_PERMISSIONS) == {"oversight.decide_escalation"}


def test_use_is_measured_of_permissions_that_exist() -> None:
    assert set(TRACES) <= set(PERMISSIONS)
