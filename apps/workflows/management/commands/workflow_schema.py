"""``manage.py workflow_schema``: write the JSON Schema of the workflow document."""

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.workflows.rules.schema import DOCUMENT


class Command(BaseCommand):
    """Writes ``docs/workflow.schema.json``; a test says when it is stale."""

    help = "Write docs/workflow.schema.json from the schema that publishing checks."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the file."""
        path = Path(settings.BASE_DIR) / "docs" / "workflow.schema.json"
        path.write_text(json.dumps(DOCUMENT, indent=2, ensure_ascii=False) + "\n")
        self.stdout.write(str(path.relative_to(settings.BASE_DIR)))
