"""Look at what the health page looks at."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from apps.console.selectors import health_for
from apps.core.services import system_user


class Command(BaseCommand):
    """``manage.py check_health``: one line per finding; exit status 1 when one is grave."""

    help = "Print what needs attention; exit status 1 when something is grave."

    def handle(self, *args: Any, **options: Any) -> None:
        """The findings."""
        findings = health_for(system_user("console"))
        for finding in findings:
            self.stdout.write(f"{finding.tone}: {finding.title}. {finding.detail}")
        if any(finding.tone == "bad" for finding in findings):
            sys.exit(1)
