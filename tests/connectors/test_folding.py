"""On a phone the operations of a system are cards, as other lists are."""

import re

import pytest
from django.test import Client

from tests.factories.access import make_admin
from tests.factories.connectors import make_operation

pytestmark = pytest.mark.django_db


def test_the_table_of_operations_folds(client: Client) -> None:
    operation = make_operation()
    client.force_login(make_admin())
    page = client.get(f"/connectors/{operation.connector.slug}/").content.decode()
    table = re.search(r'<table class="([^"]+)"><caption class="vh">Operations</caption>', page)
    assert table is not None
    assert "stacks" in table[1].split()
