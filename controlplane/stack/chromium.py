"""Finds a Chromium for the browser tests, or gets one where this machine allows it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MACOS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
PLAYWRIGHTS_OWN = """
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
"""


def find() -> str | None:
    """The path of a Chromium that is there: `ACP_CHROMIUM`, the system's, or the one Playwright downloaded."""
    if named := os.environ.get("ACP_CHROMIUM"):
        return shutil.which(named)
    found = [path for name in NAMES if (path := shutil.which(name))] + [path for path in MACOS if Path(path).exists()]
    return found[0] if found else _playwrights_own()


def find_or_get(say: Callable[[str], None]) -> str | None:
    """As `find`; else installed by apt (root on Debian), else downloaded by Playwright; None if neither works."""
    if found := find():
        return found
    if os.environ.get("ACP_CHROMIUM"):
        return None
    if _is_debian() and os.geteuid() == 0 and shutil.which("apt-get"):
        say("Installing Chromium with apt-get ...")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-q"], ["install", "-qy", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", *command], env=environment, stdout=subprocess.DEVNULL, check=False)
        if found := find():
            return found
    say("Downloading Chromium with Playwright ...")
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    return find()


def _playwrights_own() -> str | None:
    call = [sys.executable, "-c", PLAYWRIGHTS_OWN]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    return shutil.which(done.stdout.strip()) if done.returncode == 0 else None


def _is_debian() -> bool:
    """Debian itself: Ubuntu's package `chromium` is a door to another store."""
    release = Path("/etc/os-release")
    return release.exists() and "ID=debian" in release.read_text().splitlines()
