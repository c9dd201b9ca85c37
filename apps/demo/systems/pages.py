"""What each system holds, as plain pages that need nothing but a browser."""

from html import escape
from typing import Any

from apps.demo.systems.rest import System
from apps.demo.systems.storage import Document, Storage

SHOWN = 50
STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1rem }
nav a { margin-right: 1rem } table { border-collapse: collapse; margin-bottom: 2rem; width: 100% }
th, td { border-bottom: 1px solid #8886; padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top }
td.number { font-variant-numeric: tabular-nums; text-align: right } .wide { overflow-x: auto }
"""


def index(systems: list[System], storage: Storage) -> str:
    """The way in: every system and how much it holds."""
    items = "".join(
        f'<li><a href="/{system.slug}/">{escape(system.title)}</a>: '
        + ", ".join(f"{storage.count(kind)} {kind}{'' if storage.count(kind) == 1 else 's'}" for kind in system.tables)
        for system in systems
    )
    return _page(
        "Systems of record", systems, f"<p>What the sample company has without its agents.</p><ul>{items}</ul>"
    )


def system_page(system: System, systems: list[System], storage: Storage) -> str:
    """One table per kind of document, newest first."""
    tables = "".join(_table(kind, columns, storage) for kind, columns in system.tables.items())
    return _page(system.title, systems, tables)


def _table(kind: str, columns: tuple[str, ...], storage: Storage) -> str:
    documents, count = storage.newest(kind, limit=SHOWN), storage.count(kind)
    heading = f"<h2>{kind.capitalize()}s ({f'the newest {SHOWN} of {count}' if count > SHOWN else count})</h2>"
    if not documents:
        return f"{heading}<p>None yet.</p>"
    head = "".join(f'<th scope="col">{escape(_title(column))}</th>' for column in columns)
    rows = "".join(f"<tr>{''.join(_cell(column, row) for column in columns)}</tr>" for row in documents)
    return f'{heading}<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cell(column: str, document: Document) -> str:
    value: Any = document.get(column, "")
    if column.endswith("_minor"):
        return f'<td class="number">{value / 100:,.2f} {escape(document.get("currency", "EUR"))}</td>'
    return f"<td>{escape(str(value))}</td>"


def _title(column: str) -> str:
    return column.removesuffix("_minor").replace("_", " ").capitalize()


def _page(title: str, systems: list[System], body: str) -> str:
    links = "".join(f'<a href="/{each.slug}/">{escape(each.title)}</a>' for each in systems)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} · Sample company</title>'
        f'<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="5">'
        f"<style>{STYLE}</style></head><body>"
        f'<nav aria-label="Systems"><a href="/">All systems</a>{links}</nav><main><h1>{escape(title)}</h1>{body}</main>'
        "</body></html>"
    )
