"""The lines of a dashboard as tables, for their files."""

from django.utils.translation import gettext as _

from apps.core.models import User
from apps.kpis.selectors.dashboards import workflows_for
from apps.kpis.selectors.drawings import Cell, Table
from apps.kpis.selectors.kpis import Answer, workflow_rows_for
from apps.kpis.selectors.lines import line_heads_for, lines_of, version_heads_for, versions_of


def workflow_table_for(actor: User, answer: Answer) -> Table | None:
    """*By workflow* with each verdict and what it goes by; None where one workflow is asked for."""
    if answer.asked.workflow:
        return None
    lines = lines_of(answer, workflow_rows_for(actor, answer), workflows_for(actor))
    columns = [_("Workflow"), _("Verdict"), _("Because"), *line_heads_for(actor)]
    rows = [[*(Cell(text, text) for text in (one.name, str(one.verdict), one.why)), *one.figures] for one in lines]
    return Table("by-workflow", _("By workflow"), "", columns, rows, [])


def version_table_for(actor: User, answer: Answer) -> Table | None:
    """The versions of one workflow side by side; None where none is asked for."""
    if not answer.asked.workflow:
        return None
    columns = [_("Version"), _("First run ended"), *version_heads_for(actor)]
    rows = [
        [Cell(f"v{one.number}", one.number), Cell("", one.since.isoformat()), *(cell for cell, _text in one.figures)]
        for one in versions_of(answer)
    ]
    return Table("versions", _("What changed: versions"), "", columns, rows, [])
