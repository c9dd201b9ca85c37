"""From an effect to the tool that carries it out. As with calls, the secret is in clear here and stored nowhere."""

from collections.abc import Mapping
from typing import Any

from apps.connectors.adapters.mcp import ToolCall
from apps.connectors.models import Effect, Operation
from apps.connectors.services.calls import call_at


def tool_call_of(effect: Effect) -> ToolCall:
    """The call of an effect. Raises NotConfiguredError, which does not repeat the secret."""
    return tool_call_to(effect.operation, effect.action.parameters, environment=effect.action.environment)


def tool_call_to(operation: Operation, parameters: Mapping[str, Any], *, environment: str) -> ToolCall:
    """The call of an operation with these parameters, at the address of an environment. Raises as ``tool_call_of``."""
    return ToolCall(
        call=call_at(operation.connector, environment, timeout_s=operation.timeout_s),
        tool=operation.path.removeprefix("/"),
        arguments=parameters,
        answer=(operation.tool or {}).get("output"),
    )
