"""Tags of figures and their tables: ``{% load kpis %}``.

Tables in Python, because a page has two thousand cells, and templates took half of its time for them.
"""

from collections.abc import Sequence

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.core import formats
from apps.kpis.rules.formats import duration_text
from apps.kpis.selectors.drawings import Cell, Drawing

register = template.Library()

MUTED = SafeString(' class="muted"')

register.filter("lasted", duration_text)


@register.simple_tag
def value_of(cell: Cell) -> SafeString:
    """What a cell says: its value, with the way to what is behind it, of how many it speaks, and what to know of it."""
    text = format_html("{}", cell.text)
    if cell.href:
        text = format_html('<a{} href="{}">{}</a>', MUTED if cell.few else "", cell.href, text)
    if cell.n is not None:
        text = format_html('{}<br><span class="muted small">n {}</span>', text, formats.number(cell.n))
    if cell.note:
        text = format_html('{}<br><span class="small">{}</span>', text, cell.note)
    return text


@register.simple_tag
def rows_of(drawing: Drawing) -> SafeString:
    """The rows of a chart's table, the newest first."""
    return format_html_join("", "<tr>{}</tr>", ((_row(row, drawing),) for row in reversed(drawing.rows)))


def _row(row: Sequence[Cell], drawing: Drawing) -> SafeString:
    head, *values = row
    classes = ["num muted" if cell.few else "num" for cell in values]
    if drawing.is_marked:
        classes[-1] = "told small"
    cells = format_html_join("", '<td class="{}">{}</td>', zip(classes, map(value_of, values), strict=True))
    return format_html('<th scope="row">{}</th>{}', head.text, cells)
