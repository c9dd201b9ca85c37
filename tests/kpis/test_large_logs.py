"""Files larger than each door takes, as large as they are in earnest, made as they are read."""

import gzip
import json
import subprocess
import sys
import zlib
from pathlib import Path

import httpx
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from apps.kpis.models import EventLog, LogUpload
from apps.kpis.rules.eventlogs.events import MAX_BYTES as MOST_UNPACKED
from apps.kpis.services import import_uploads
from apps.kpis.services.uploads import MAX_BYTES, TOO_LARGE
from apps.telemetry.models import Span
from apps.telemetry.rules.otlp import MAX_BODY
from controlplane import bodies
from tests.conftest import ROOT
from tests.factories.access import make_admin
from tests.factories.agents import make_agent, make_key_for
from tests.factories.telemetry import body_of, span
from tests.kpis.test_event_log_doors import LOG, signed_in
from tests.serving import serving

MB = 1024 * 1024
PAD = 20_000
LINE = f'c1,Pay,2026-03-02T08:00Z,"{"x" * PAD}"\n'.encode()
TRACE = (
    '<trace><string key="concept:name" value="c1"/><event><string key="concept:name" value="Pay"/>'
    f'<string key="note" value="{"x" * PAD}"/><date key="time:timestamp" value="2026-03-02T08:00Z"/></event></trace>\n'
).encode()
READER = """
import io, json, resource, sys
from zoneinfo import ZoneInfo
from apps.kpis.rules.eventlogs import LogError, read_log

class Endless(io.RawIOBase):
    def __init__(self, head, line):
        self.head, self.line, self.left, self.sent = head, line, b"", 0
        self.seek(0)
    def seek(self, place, whence=0):
        self.left, self.sent = self.head, 0
        return 0
    def read(self, size=-1):
        while len(self.left) < size:
            self.left += self.line * (1 + (size - len(self.left)) // len(self.line))
        part, self.left = self.left[:size], self.left[size:]
        self.sent += len(part)
        return part

head, line = (text.encode() for text in json.load(sys.stdin))
file, said = Endless(head, line), ""
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    for _row in read_log(file, zone=ZoneInfo("UTC")):
        pass
except LogError as error:
    said = str(error)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"said": said, "sent": file.sent, "grown_mb": peak / 1024}))
"""


@pytest.mark.parametrize(
    ("head", "line", "told", "reads_all"),
    [
        (b"case_id,activity,complete,note\n", LINE, "The log is larger than 256 MB", True),
        (b'<log xes.version="1.0">\n', TRACE, "The log is larger than 256 MB", True),
        (b"case_id,activity,complete\n", b"x" * 64, "line 2: This line is longer than 1,048,576 characters.", False),
    ],
    ids=["csv", "xes", "one line"],
)
def test_a_log_without_an_end_is_refused_and_never_held(head: bytes, line: bytes, told: str, reads_all: bool) -> None:
    asked = json.dumps([head.decode(), line.decode()])
    done = subprocess.run(
        [sys.executable, "-c", READER], input=asked, cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert told in found["said"]
    assert (found["sent"] > MOST_UNPACKED) == reads_all
    assert found["grown_mb"] < 64


@pytest.mark.django_db
def test_the_command_refuses_what_unpacks_to_more_and_keeps_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    with path.open("wb") as file:
        file.write(packer.compress(b"case_id,activity,complete,note\n"))
        for _ in range(MOST_UNPACKED // len(LINE) // 50 + 1):
            file.write(packer.compress(LINE * 50))
        file.write(packer.flush())
    assert path.stat().st_size < 4 * MB
    with pytest.raises(CommandError, match="file: The log is larger than 256 MB: import it in parts"):
        call_command("import_event_log", path, name="Large")
    assert not EventLog.objects.exists()


@pytest.mark.django_db
def test_the_page_refuses_one_byte_more_than_it_takes() -> None:
    page = signed_in(make_admin())
    text = LOG.encode() + b"c9,Pay,2026-03-02T08:00Z,x\n"
    whole = text + b"\n" * (MAX_BYTES - len(text))
    for raw, status in ((whole + b"\n", 422), (whole, 302)):
        answer = page.post("/dashboards/event-logs/", {"file": SimpleUploadedFile("log.csv", raw)})
        assert answer.status_code == status
        assert (str(TOO_LARGE) in answer.content.decode()) == (status == 422)
        assert LogUpload.objects.exists() == (status == 302)


def test_the_server_takes_what_the_doors_take(real_db: str, tmp_path: Path) -> None:
    client, admin, agent = Client(), make_admin(), make_agent()
    client.force_login(admin)
    key = {"Authorization": f"Bearer {make_key_for(agent)}", "Content-Type": "application/json"}
    with (
        serving(str(connection.settings_dict["NAME"]), tmp_path) as address,
        httpx.Client(base_url=address, timeout=120) as door,
    ):
        door.cookies.update({name: cookie.value for name, cookie in client.cookies.items()})
        page = door.get("/dashboards/event-logs/").text
        token = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        for size, status in ((MAX_BYTES, 302), (MAX_BYTES + 1, 422), (MAX_BYTES + 2 * MB, 413)):
            raw = LOG.encode() + b"\n" * (size - len(LOG))
            answer = door.post(
                "/dashboards/event-logs/", data={"csrfmiddlewaretoken": token}, files={"file": ("log.csv", raw)}
            )
            assert answer.status_code == status, answer.text[:2000]
        assert len(LogUpload.objects.get().content) == MAX_BYTES
        body = body_of(span(1, {"note": "x" * (MAX_BODY - 2000)}))
        assert bodies.MAX_BODY < len(body) < MAX_BODY
        assert door.post("/v1/traces", content=body, headers=key).status_code == 200
        assert door.post("/v1/traces", content=body + b" " * 4000, headers=key).status_code == 413
        assert door.post("/api/v1/usage/", content=body, headers=key).status_code == 413
    assert Span.objects.filter(agent=agent).count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("packed", [False, True], ids=["xes", "xes.gz"])
def test_xes_comes_in_by_the_page_packed_and_plain_and_rows_that_stand_there_twice_are_noted(packed: bool) -> None:
    moment = '<date key="time:timestamp" value="2026-03-02T08:00:00Z"/>'
    event = f'<event><string key="concept:name" value="Pay"/>{moment}</event>'
    text = f'<log><trace><string key="concept:name" value="c1"/>{event * 3}</trace></log>'.encode()
    page = signed_in(make_admin())
    raw, name = (gzip.compress(text), "log.xes.gz") if packed else (text, "log.xes")
    sent = page.post("/dashboards/event-logs/", {"file": SimpleUploadedFile(name, raw)})
    page.post(sent["Location"], {"name": "Paid", "tz": "UTC", "import": "1"})
    assert import_uploads() == packed
    done = page.get(sent["Location"], follow=True)
    log = EventLog.objects.get()
    assert (log.cases, log.events, log.duplicates) == (1, 3, 2)
    assert "2 rows stand there twice" in done.content.decode()
