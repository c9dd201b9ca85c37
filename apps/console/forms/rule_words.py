"""What the form of a rule calls comparisons, risks, people and the parts of a scope."""

from django.utils.translation import gettext_lazy

from apps.policies.rules import Comparison, Exclusion
from apps.policies.rules.rows import Joined

COMPARISONS = {
    Comparison.IS: gettext_lazy("is"),
    Comparison.IS_NOT: gettext_lazy("is not"),
    Comparison.OVER: gettext_lazy("is over"),
    Comparison.AT_LEAST: gettext_lazy("is at least"),
    Comparison.UNDER: gettext_lazy("is under"),
    Comparison.AT_MOST: gettext_lazy("is at most"),
    Comparison.ONE_OF: gettext_lazy("is one of"),
    Comparison.STARTS_WITH: gettext_lazy("starts with"),
    Comparison.ENDS_WITH: gettext_lazy("ends with"),
    Comparison.CONTAINS: gettext_lazy("contains"),
    Comparison.HAS: gettext_lazy("includes"),
    Comparison.GIVEN: gettext_lazy("is given"),
    Comparison.NOT_GIVEN: gettext_lazy("is not given"),
}
JOINED = {Joined.ALL: gettext_lazy("all of these hold"), Joined.ANY: gettext_lazy("any of these holds")}
RISK_WORDS = {
    "low": gettext_lazy("Low"),
    "medium": gettext_lazy("Medium"),
    "high": gettext_lazy("High"),
    "critical": gettext_lazy("Critical"),
}
EXCLUDED = {
    Exclusion.REQUESTER: gettext_lazy("The person on whose behalf it is asked"),
    Exclusion.AGENT_OWNER: gettext_lazy("The agent's owner"),
    Exclusion.RUN_STARTER: gettext_lazy("Who started the run"),
    Exclusion.POLICY_AUTHOR: gettext_lazy("The policy's author"),
}
SCOPE_LABELS = {
    "operations": gettext_lazy("Operations"),
    "agents": gettext_lazy("Agents"),
    "units": gettext_lazy("Units, with all below"),
    "workflows": gettext_lazy("Workflows"),
    "connectors": gettext_lazy("Systems"),
    "versions": gettext_lazy("Versions of agents"),
    "steps": gettext_lazy("Steps"),
    "environments": gettext_lazy("Environments"),
}
