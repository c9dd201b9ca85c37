"""Whether the names in a question name anything: a slip of the pen is no quiet month."""

from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.agents.models import Agent
from apps.core.errors import InvalidError
from apps.core.gate import require, visible
from apps.core.models import User
from apps.kpis.models import ActionFact, RunFact
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors.dashboards import workflows_for
from apps.kpis.selectors.reading import VIEW


def require_names(actor: User, asked: KpiFilter) -> None:
    """Raises InvalidError for a workflow, unit or agent of which ``actor`` sees nothing, be it there or not."""
    if not (asked.workflow or asked.unit or asked.agent):
        return
    require(actor, VIEW)
    wrong = {}
    if asked.workflow and asked.workflow not in workflows_for(actor):
        wrong["workflow"] = _("You see no workflow of this name: %(name)s.") % {"name": asked.workflow}
    if asked.unit and not visible(actor, VIEW, BusinessUnit.objects.filter(slug=asked.unit)).exists():
        wrong["unit"] = _("You see no unit of this name: %(name)s.") % {"name": asked.unit}
    if asked.agent and not sees_agent(actor, asked.agent):
        wrong["agent"] = _("You see no agent of this name: %(name)s.") % {"name": asked.agent}
    if wrong:
        raise InvalidError(errors={name: [text] for name, text in wrong.items()})


def sees_agent(actor: User, slug: str) -> bool:
    """Whether it is one of their units, or one that took part in what they may count."""
    rows = (
        Agent.objects.filter(slug=slug),
        RunFact.objects.filter(agents__contains=[slug]),
        ActionFact.objects.filter(agent=slug),
    )
    return any(visible(actor, VIEW, one).exists() for one in rows)
