#!/usr/bin/env python
"""Django's command line for the Autonomy Control Plane."""

import os
import sys

from django.core.management import execute_from_command_line
from django.db import OperationalError

SILENT = """The database does not answer: {error}
It runs while bin/demo does: start that, or name another database in DATABASE_URL.
Where it was started with --data-dir, name the same directory in ACP_DATA_DIR."""


def main() -> None:
    """Run the command; without a database say so, and what to do."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) is not None:  # it did answer, and refused
            raise
        sys.exit(SILENT.format(error=str(error).splitlines()[0]))


if __name__ == "__main__":
    main()
