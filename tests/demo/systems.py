"""The systems of record as a real process."""

import json
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]


@dataclass
class Systems:
    """The running process, and a client per system with its token."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes]

    def client(self, slug: str) -> httpx.Client:
        key = json.loads((self.folder / "systems-keys.json").read_text())[f"{slug.upper()}_TOKEN"]
        headers = {"Authorization": f"Bearer {key}"}
        base = self.url if slug == "systems_admin" else f"{self.url}/{slug}"
        return httpx.Client(base_url=base, headers=headers, timeout=10)

    def break_(self, slug: str, **fault: object) -> None:
        with self.client("systems_admin") as admin:
            assert admin.put(f"/admin/faults/{slug}", json=fault).status_code == 200

    def mend(self, slug: str) -> None:
        with self.client("systems_admin") as admin:
            admin.delete(f"/admin/faults/{slug}")

    def calls(self, slug: str) -> list[dict[str, object]]:
        with self.client("systems_admin") as admin:
            return admin.get(f"/admin/calls?system={slug}").json()["calls"]


def start_systems(folder: Path, port: int = 0) -> Systems:
    """Start the process on a free port and wait until it answers."""
    if not port:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    command = [sys.executable, "-m", "apps.demo.systems", "--port", str(port), "--data-dir", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    systems = Systems(f"http://127.0.0.1:{port}", folder, process)
    for _ in range(200):
        assert process.poll() is None, "the systems ended before they answered"
        try:
            httpx.get(f"{systems.url}/healthz", timeout=1)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return systems
    raise AssertionError("the systems never answered")
