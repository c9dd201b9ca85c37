"""The index that pip is configured for is asked of each release; only when it answers for all is anything known."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from controlplane.stack import checks
from controlplane.stack.known import Index, NotLookedUpError, ask_index, configured_index
from controlplane.stack.parts import NOT_LOOKED_UP, NOTHING_OPEN, OPEN, Part, audit, decisions_of, main

PARTS = [Part("django", "5.2.19", (), ()), Part("django-htmx", "1.27.0", (), ())]
FINDING = {"id": "PYSEC-1", "aliases": ["CVE-2026-1", "GHSA-1"], "withdrawn": None}
DECISION = """
[[decision]]
id = "GHSA-1"
package = "django"
reason = "The function is never called."
by = "ada"
until = 2026-12-31
"""
TODAY = date(2026, 11, 27)


def release(version: str, *findings: dict) -> dict:
    return {"info": {"version": version}, "vulnerabilities": list(findings)}


FINE = {"django/5.2.19": release("5.2.19"), "django-htmx/1.27.0": release("1.27.0")}


@contextmanager
def index(releases: dict[str, object], prefix: str = "") -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """An index on this machine; its address, and each path that it was asked for with who asked."""
    asked: list[tuple[str, str]] = []

    class Source(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Authorization", "")))
            found = releases.get(self.path.removeprefix(f"{prefix}/pypi/").removesuffix("/json"))
            self.send_response(200 if found is not None else 404)
            self.end_headers()
            self.wfile.write(found if isinstance(found, bytes) else json.dumps(found).encode())

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Source)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{prefix}/simple/", asked
    server.shutdown()
    server.server_close()


def ask(address: str, decisions: str = "", **more) -> tuple[int, str]:
    asking = partial(ask_index, index=Index(address), **more)
    status, lines = audit(PARTS, decisions_of(decisions), ask=asking, today=TODAY)
    return status, "\n".join(lines)


def test_every_release_is_asked_for_and_nothing_is_known():
    with index(FINE, prefix="/mirror") as (address, asked):
        assert ask(address) == (NOTHING_OPEN, "2 packages looked up, 0 findings.")
    assert {path for path, _who in asked} == {
        "/mirror/pypi/django/5.2.19/json",
        "/mirror/pypi/django-htmx/1.27.0/json",
    }


def test_a_finding_is_open_until_somebody_decided_on_any_of_its_names():
    with index({**FINE, "django/5.2.19": release("5.2.19", FINDING)}) as (address, _asked):
        status, said = ask(address)
        assert (status, "django: PYSEC-1, CVE-2026-1, GHSA-1: open" in said) == (OPEN, True)
        assert ask(address, DECISION)[0] == NOTHING_OPEN
        assert ask(address, DECISION.replace("2026-12-31", "2026-11-26"))[0] == OPEN


def test_what_was_withdrawn_is_no_finding():
    gone = {**FINDING, "withdrawn": "2026-01-01T00:00:00Z"}
    with index({**FINE, "django/5.2.19": release("5.2.19", gone)}) as (address, _asked):
        assert ask(address)[0] == NOTHING_OPEN


@pytest.mark.parametrize(
    "answer", [None, b"<html>", [], {"info": {"version": "5.2.19"}}, release("5.2.18"), {"vulnerabilities": []}]
)
def test_one_release_without_an_answer_is_not_looked_up(answer):
    with index({**FINE, "django/5.2.19": answer}) as (address, _asked):
        status, said = ask(address)
    assert (status, "Not looked up" in said) == (NOT_LOOKED_UP, True)


@pytest.mark.parametrize("address", ["file:///wheels/simple", "http://127.0.0.1:1/simple", "http://127.0.0.1/wheels"])
def test_an_index_that_cannot_be_asked_is_not_looked_up(address):
    assert ask(address)[0] == NOT_LOOKED_UP


def test_a_password_goes_to_the_index_and_into_no_message():
    with index({"django/5.2.19": release("5.2.19")}) as (address, asked):
        status, said = ask(address.replace("http://", "http://zanzibar:s%40cret@"))
    assert status == NOT_LOOKED_UP
    assert {who for _path, who in asked} == {f"Basic {base64.b64encode(b'zanzibar:s@cret').decode()}"}
    assert not [word for word in ("s@cret", "s%40cret", "zanzibar") if word in said]


def test_what_was_said_within_a_day_is_not_asked_again(tmp_path):
    cache = tmp_path / "data" / "audit.json"
    with index({**FINE, "django/5.2.19": release("5.2.19", FINDING)}) as (address, asked):
        first = ask(address, cache=cache)
        assert ask(address, cache=cache) == first
        assert (len(asked), first[0]) == (2, OPEN)
        assert ask(address, DECISION, cache=cache)[0] == NOTHING_OPEN  # decisions are read each time
        kept = json.loads(cache.read_text())
        old = {**kept, "at": (datetime.now(UTC) - timedelta(days=1, minutes=1)).isoformat()}
        for content in (json.dumps(old), "{", json.dumps({**kept, "key": "of another lock"})):
            before = len(asked)
            cache.write_text(content)
            assert ask(address, cache=cache)[0] == OPEN
            assert len(asked) == before + 2


def test_what_could_not_be_looked_up_is_not_kept(tmp_path):
    cache = tmp_path / "audit.json"
    with index({}) as (address, _asked):
        assert ask(address, cache=cache)[0] == NOT_LOOKED_UP
    assert not cache.exists()


class TestWhomPipAsks:
    @pytest.fixture(autouse=True)
    def nothing_else(self, monkeypatch, tmp_path):
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
        for name in ("PIP_INDEX_URL", "PIP_CERT"):
            monkeypatch.delenv(name, raising=False)

    def test_where_it_names_none_nobody_is_asked(self, tmp_path):
        (tmp_path / "pip.conf").write_text("[global]\nindex-url =\n")
        with pytest.raises(NotLookedUpError, match="names no index"):
            configured_index()

    def test_the_environment_counts_before_a_file(self, tmp_path, monkeypatch):
        (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://index.example/simple\ncert = /ca.pem\n")
        assert configured_index() == Index("https://index.example/simple", "/ca.pem")
        monkeypatch.setenv("PIP_INDEX_URL", "https://other.example/simple")
        assert configured_index().address == "https://other.example/simple"

    def test_the_command_asks_it_and_ends_with_what_it_found(self, tmp_path, monkeypatch, capsys):
        lock = tmp_path / "lock"
        lock.write_text("django==5.2.19\n")
        with index({"django/5.2.19": release("5.2.19", FINDING)}) as (address, _asked):
            monkeypatch.setenv("PIP_INDEX_URL", address)
            assert main(["audit", "--index", "--lock", str(lock)]) == OPEN
        assert "PYSEC-1" in capsys.readouterr().out


def test_a_check_that_could_not_look_is_neither_passed_nor_failed(monkeypatch):
    check = checks.Check("audit", ("x",), unsure=(2, "not looked up"))
    for status, said in ((2, "not looked up"), (1, "FAILED"), (0, "passed")):
        results: dict[str, str] = {}
        monkeypatch.setattr(checks, "_run", lambda _check, beside=False, status=status: status)
        checks._note(results, check)
        assert results["audit"].startswith(said)
