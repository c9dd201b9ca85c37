"""The bill of materials holds what is locked, and a look-up that could not happen is never good news."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from controlplane.stack.known import ask_osv
from controlplane.stack.parts import (
    NOT_LOOKED_UP,
    NOTHING_OPEN,
    OPEN,
    audit,
    bill_of,
    decisions_of,
    main,
    parts_of,
)

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
TODAY = date(2026, 11, 27)
DECISION = """
[[decision]]
id = "GHSA-1"
package = "django"
reason = "The function is never called."
by = "ada"
until = 2026-12-31
"""
SMALL = f"""
django==5.2.19 \\
    --hash=sha256:{"a" * 64}
    # via
    #   {"autonomy-control-plane"} (pyproject.toml)
    #   django-htmx
django-htmx==1.27.0 \\
    --hash=sha256:{"b" * 64} \\
    --hash=sha256:{"c" * 64}
    # via autonomy-control-plane (pyproject.toml)
"""


@contextmanager
def knows(answer: object, status: int = 200) -> Iterator[tuple[str, list[dict]]]:
    """A source on this machine that answers so; its address, and what it was asked."""
    asked: list[dict] = []

    class Source(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Source)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()
    server.server_close()


class TestTheBill:
    def test_it_holds_every_locked_package_and_nothing_else(self):
        pinned = dict(re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", LOCK, re.MULTILINE))
        bill = bill_of(LOCK, version="1", now=datetime.now(UTC))
        assert {one["name"]: one["version"] for one in bill["components"]} == pinned
        assert len(pinned) >= 50

    def test_it_has_what_cyclonedx_asks_for(self):
        bill = bill_of(SMALL, version="1", now=datetime(2026, 11, 27, tzinfo=UTC))
        assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
        assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"])
        assert bill["metadata"]["timestamp"] == "2026-11-27T00:00:00+00:00"
        refs = [bill["metadata"]["component"]["bom-ref"], *(one["bom-ref"] for one in bill["components"])]
        assert len(refs) == len(set(refs))
        assert {one["ref"] for one in bill["dependencies"]} == set(refs)
        assert {one["type"] for one in bill["components"]} == {"library"}

    def test_it_says_what_needs_what(self):
        bill = bill_of(SMALL, version="1", now=datetime.now(UTC))
        needs = {one["ref"].split("@")[0]: one["dependsOn"] for one in bill["dependencies"]}
        django, htmx = "pkg:pypi/django@5.2.19", "pkg:pypi/django-htmx@1.27.0"
        assert needs["pkg:generic/autonomy-control-plane"] == sorted([django, htmx])
        assert needs["pkg:pypi/django-htmx"] == [django]

    def test_everything_locked_is_needed_by_something(self):
        bill = bill_of(LOCK, version="1", now=datetime.now(UTC))
        needed = {ref for one in bill["dependencies"] for ref in one["dependsOn"]}
        assert {one["bom-ref"] for one in bill["components"]} == needed

    def test_a_line_that_nobody_knows_is_no_silent_gap(self):
        with pytest.raises(ValueError, match="none that we know"):
            parts_of("git+ssh://somewhere/package\n")

    def test_the_command_writes_it(self, tmp_path):
        done = subprocess.run([ROOT / "bin/sbom", "--output", tmp_path / "bom.json"], check=False)
        assert done.returncode == 0
        assert json.loads((tmp_path / "bom.json").read_text())["bomFormat"] == "CycloneDX"


class TestTheAudit:
    parts = parts_of(SMALL)

    def ask(self, source: str, decisions: str = "") -> tuple[int, str]:
        ask = partial(ask_osv, source=source)
        status, lines = audit(self.parts, decisions_of(decisions), ask=ask, today=TODAY)
        return status, "\n".join(lines)

    def test_nobody_there_is_not_looked_up(self):
        status, said = self.ask("http://127.0.0.1:1/")
        assert status == NOT_LOOKED_UP
        assert "Not looked up" in said
        assert "no clean result" in said

    @pytest.mark.parametrize("answer", [b"<html>", {}, {"results": [{}]}, {"results": None}, [], {"results": [1, 2]}])
    def test_an_answer_that_is_none_is_not_looked_up(self, answer):
        with knows(answer) as (source, _asked):
            assert self.ask(source)[0] == NOT_LOOKED_UP

    def test_an_error_is_not_looked_up(self):
        with knows({"results": [{}, {}]}, status=503) as (source, _asked):
            assert self.ask(source)[0] == NOT_LOOKED_UP

    def test_every_package_is_asked_for_in_its_version(self):
        with knows({"results": [{}, {}]}) as (source, asked):
            status, said = self.ask(source)
        assert (status, said) == (NOTHING_OPEN, "2 packages looked up, 0 findings.")
        assert asked == [
            {
                "queries": [
                    {"package": {"name": "django", "ecosystem": "PyPI"}, "version": "5.2.19"},
                    {"package": {"name": "django-htmx", "ecosystem": "PyPI"}, "version": "1.27.0"},
                ]
            }
        ]

    def test_a_finding_is_open_until_somebody_decided_and_again_after_the_end(self):
        with knows({"results": [{"vulns": [{"id": "GHSA-1"}]}, {}]}) as (source, _asked):
            assert self.ask(source)[0] == OPEN
            status, said = self.ask(source, DECISION)
            assert status == NOTHING_OPEN
            assert "decided by ada until 2026-12-31: The function is never called." in said
            assert self.ask(source, DECISION.replace("2026-12-31", "2026-11-26"))[0] == OPEN
            assert self.ask(source, DECISION.replace("GHSA-1", "GHSA-2"))[0] == OPEN
            assert self.ask(source, DECISION.replace('"django"', '"django-htmx"'))[0] == OPEN

    @pytest.mark.parametrize("lack", ["reason", "by", "until"])
    def test_a_decision_without_a_reason_a_name_or_an_end_is_none(self, lack):
        with pytest.raises(ValueError, match=lack):
            decisions_of(re.sub(f"(?m)^{lack} = .*$", "", DECISION))

    def test_the_command_ends_with_what_it_found(self, tmp_path, capsys):
        lock = tmp_path / "lock"
        lock.write_text(SMALL)
        assert main(["audit", "--lock", str(lock), "--source", "http://127.0.0.1:1/"]) == NOT_LOOKED_UP
        assert "Not looked up" in capsys.readouterr().out
        with knows({"results": [{"vulns": [{"id": "GHSA-1"}]}, {}]}) as (source, _asked):
            assert main(["audit", "--lock", str(lock), "--source", source]) == OPEN

    def test_the_decisions_of_the_house_can_be_read(self):
        assert [one for one in decisions_of((ROOT / "vulnerabilities.toml").read_text()) if not one.reason] == []
