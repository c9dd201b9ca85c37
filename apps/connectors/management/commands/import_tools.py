"""Import the tools of an MCP server from the command line."""

from argparse import ArgumentParser
from typing import Any

from apps.connectors.management.commands import import_openapi
from apps.connectors.models import Connector
from apps.connectors.rules.openapi import Contents
from apps.connectors.rules.pins import Plan
from apps.connectors.services import import_tools
from apps.core.models import User


class Command(import_openapi.Command):
    """``manage.py import_tools CONNECTOR``: a line per operation. People confirm what came in afterwards."""

    help = "Import the tools that an MCP server lists. What is new is disabled, what changed in use is quarantined."

    def add_source(self, parser: ArgumentParser) -> None:
        """The server itself says what it has."""

    def take(self, actor: User, connector: Connector, options: dict[str, Any]) -> tuple[Contents, Plan]:
        """Ask the server."""
        listing = import_tools(actor, connector=connector, dry_run=options["dry_run"])
        return listing.contents, listing.plan
