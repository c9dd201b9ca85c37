"""Tags of the tables of figures: ``{% load kpis %}``."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.core import formats
from apps.kpis.selectors.drawings import Cell

register = template.Library()

MUTED = SafeString(' class="muted"')


@register.simple_tag
def value_of(cell: Cell) -> SafeString:
    """What a cell says: its value, with the way to what is behind it, of how many it speaks, and what to know of it.

    In Python, because a page has two thousand of them, and a template of its own for each took half of its time.
    """
    text = format_html("{}", cell.text)
    if cell.href:
        text = format_html('<a{} href="{}">{}</a>', MUTED if cell.few else "", cell.href, text)
    if cell.n is not None:
        text = format_html('{}<br><span class="muted small">n {}</span>', text, formats.number(cell.n))
    if cell.note:
        text = format_html('{}<br><span class="small">{}</span>', text, cell.note)
    return text
