"""The badly behaved system of record serves these tests too."""

from tests.connectors.conftest import system

__all__ = ["system"]
