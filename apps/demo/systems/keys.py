"""The bearer tokens of the systems: from the environment, else made once and kept in a file of mode 0600."""

import json
import os
import secrets
from pathlib import Path

NAMES = ("ERP_TOKEN", "CRM_TOKEN", "DESK_TOKEN", "MAIL_TOKEN", "SYSTEMS_ADMIN_TOKEN")
FILE_NAME = "systems-keys.json"


def keys_in(folder: Path) -> dict[str, str]:
    """Every token by the name of its environment variable; makes the file when it is not there."""
    kept = _read_or_make(folder / FILE_NAME)
    return {name: os.environ.get(name) or kept[name] for name in NAMES}


def _read_or_make(path: Path) -> dict[str, str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({name: secrets.token_urlsafe(24) for name in NAMES}, file)
    try:
        os.link(draft, path)  # appears whole or not at all; whoever comes second reads the first one's
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    kept: dict[str, str] = json.loads(path.read_text())
    return kept
