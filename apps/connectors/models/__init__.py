"""Outside systems, what can be done in them, who may, and every effect on them."""

from apps.connectors.models.effects import ConnectorCall, Effect
from apps.connectors.models.requests import AccessRequest, RightSizing
from apps.connectors.models.systems import (
    CONNECTOR_JUDGED,
    OPERATION_JUDGED,
    Connector,
    ConnectorSecret,
    Operation,
    OperationPermission,
    OperationPin,
)

__all__ = [
    "CONNECTOR_JUDGED",
    "OPERATION_JUDGED",
    "AccessRequest",
    "Connector",
    "ConnectorCall",
    "ConnectorSecret",
    "Effect",
    "Operation",
    "OperationPermission",
    "OperationPin",
    "RightSizing",
]
