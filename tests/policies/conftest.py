"""Most rules here name operations that nobody made."""

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def operations_are_not_known(settings: Any) -> None:
    settings.POLICY_OPERATIONS = ""
    settings.POLICY_STEPS = ""
