"""The charts and tables of the page on oversight as files."""

from dataclasses import replace

from apps.core.models import User
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors.accuracy import accuracy_for, accuracy_tables_for
from apps.kpis.selectors.asking import policy_table_for
from apps.kpis.selectors.drawings import drawing_csv_for, table_csv_for
from apps.kpis.selectors.kpis import Answer
from apps.kpis.selectors.oversight_lines import oversight_drawings_for
from apps.kpis.selectors.quality import quality_for, rule_table_for

BY_RULE, BY_POLICY = "by-rule", "by-policy"


def oversight_file_for(
    actor: User, asked: KpiFilter, answer: Answer, figure: str
) -> list[list[str | float | None]] | None:
    """A chart's or a table's rows as raw numbers, below lines that say what they are; None where there is none.

    ``answer``: to ``asked`` but for what decisions know nothing of.
    """
    drawing = next((one for one in oversight_drawings_for(actor, answer) if one.slug == figure), None)
    if drawing is not None:
        return drawing_csv_for(actor, answer, drawing)
    if figure == BY_RULE:
        table = rule_table_for(actor, asked, quality_for(actor, asked).rules)
    elif figure == BY_POLICY:
        table = policy_table_for(actor, answer.asked)
    else:
        tables = accuracy_tables_for(actor, accuracy_for(actor, asked))
        table = next((one for one in tables if one.slug == figure), None)
    return None if table is None else table_csv_for(actor, replace(answer, asked=asked), table)
