"""The envelope and the HTTP call, against a real server that misbehaves."""

import gzip
import json
import os
import socket
import threading
from dataclasses import replace

import pytest

from apps.connectors.adapters.http import Call, send
from apps.connectors.rules import RESPONSE_BYTES_MAX, CallEnd, Origin, forms_of, origin_of
from apps.core.envelope import MasterKey, place_of, read_key, seal, unseal
from apps.core.errors import UnavailableError

CANARY = "canary-7f3a/91+x"


def call(url, method="POST", target="/payments", body=b"{}", timeout_s=5, allow_internal=True, **more):
    return Call(
        method,
        origin_of(url),
        target,
        timeout_s,
        allow_internal,
        headers=(("Authorization", f"Bearer {CANARY}"),),
        body=body,
        masks=forms_of(CANARY),
        **more,
    )


@pytest.fixture
def names(monkeypatch):
    """What names lead to: a list of answers, one per question."""
    known = {}
    real = socket.getaddrinfo

    def resolve(host, port, *args, **kwargs):
        if not host.endswith(".example.com"):
            return real(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in known[host].pop(0)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


class TestEnvelope:
    def setup_method(self):
        self.master = MasterKey(os.urandom(32))
        self.place = place_of("connector", "credential", 1)

    def test_opens_what_it_sealed_and_hides_it(self):
        sealed = seal(self.master, CANARY, self.place)
        assert CANARY.encode() not in sealed
        assert unseal([self.master], sealed, self.place) == CANARY
        assert seal(self.master, CANARY, self.place) != sealed

    @pytest.mark.parametrize("place", [place_of("other", "credential", 1), place_of("connector", "credential", 2)])
    def test_a_row_moved_elsewhere_does_not_open(self, place):
        with pytest.raises(UnavailableError):
            unseal([self.master], seal(self.master, CANARY, self.place), place)

    def test_a_changed_byte_does_not_open(self):
        sealed = seal(self.master, CANARY, self.place)
        for at in range(1, len(sealed)):
            broken = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
            with pytest.raises(UnavailableError) as refused:
                unseal([self.master], broken, self.place)
            assert CANARY not in str(refused.value)

    @pytest.mark.parametrize("stump", [b"", b"\x01", b"\x01short"])
    def test_a_stump_does_not_open(self, stump):
        with pytest.raises(UnavailableError):
            unseal([self.master], stump, self.place)

    def test_an_old_key_behind_the_new_one_still_opens(self):
        sealed = seal(self.master, CANARY, self.place)
        assert unseal([MasterKey(os.urandom(32)), self.master], sealed, self.place) == CANARY

    def test_keys_are_read_strictly_and_never_repeated(self):
        import base64

        raw = os.urandom(32)
        for text in (raw.hex(), base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode() + "\n"):
            assert read_key(text).raw == raw
        for text in ("", "short", "z" * 64, raw.hex()[:-2], "not base 64 !"):
            with pytest.raises(ValueError, match="encryption key") as refused:
                read_key(text)
            assert not text or text not in str(refused.value)
        assert raw.hex() not in repr(MasterKey(raw))

    def test_fingerprints_tell_secrets_apart(self):
        assert self.master.fingerprint("a") != self.master.fingerprint("b")
        assert self.master.fingerprint("a") != MasterKey(os.urandom(32)).fingerprint("a")


class TestSend:
    def test_sends_what_it_was_given_and_reads_the_answer(self, system):
        system.will(201, b'{"id": "p-1"}')
        got = send(call(system.url, body=b'{"a":1}'))
        assert (got.end, got.status, got.result) == (CallEnd.ANSWERED, 201, {"id": "p-1"})
        method, path, headers, body = system.asked[0]
        assert (method, path, body) == ("POST", "/payments", b'{"a":1}')
        assert headers["Authorization"] == f"Bearer {CANARY}"
        assert headers["Host"] == system.url.removeprefix("http://")
        assert headers["Accept-Encoding"] == "identity"

    def test_an_empty_answer_is_none(self, system):
        system.will(204, b"")
        assert send(call(system.url)).result is None

    def test_a_refusal_of_the_system_is_kept_in_its_words(self, system):
        system.will(422, b'{"error": "no such vendor"}')
        got = send(call(system.url))
        assert (got.end, got.status) == (CallEnd.ANSWERED, 422)
        assert "no such vendor" in got.error

    @pytest.mark.parametrize("status", [200, 400, 500])
    def test_an_echoed_secret_is_masked(self, system, status):
        system.will(status, json.dumps({"you_sent": f"Bearer {CANARY}", CANARY: forms_of(CANARY)}).encode())
        assert not any(form in repr(send(call(system.url))) for form in forms_of(CANARY))

    def test_a_secret_in_nonsense_is_masked(self, system):
        system.will(200, f"<html>{CANARY}".encode())
        got = send(call(system.url))
        assert got.end == CallEnd.BROKEN
        assert CANARY not in repr(got)

    def test_nobody_listens(self, closed_port):
        assert send(call(f"http://127.0.0.1:{closed_port}")).end == CallEnd.UNREACHABLE

    def test_no_such_name(self):
        assert send(call("http://no-such-host.invalid")).end == CallEnd.UNREACHABLE

    def test_silence_ends_at_the_deadline(self, system):
        system.will(before_s=2)
        assert send(call(system.url, timeout_s=0.2)).end == CallEnd.SILENT

    def test_a_drip_does_not_extend_the_deadline(self, system):
        system.will(200, b'{"a": "' + b"x" * 200 + b'"}', drip_s=0.05)
        assert send(call(system.url, timeout_s=0.3)).end == CallEnd.SILENT

    def test_a_hang_up_is_silence_or_nonsense_never_an_answer(self, system):
        system.will(raw=b"")
        system.will(raw=b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id"')
        assert send(call(system.url)).end in {CallEnd.SILENT, CallEnd.BROKEN}
        assert send(call(system.url)).end in {CallEnd.SILENT, CallEnd.BROKEN}

    @pytest.mark.parametrize("raw", [b"SSH-2.0-nonsense\r\n", b"\x00\x01\x02" * 50, b"HTTP/1.1 999\r\n\r\n"])
    def test_what_is_not_http_is_broken(self, system, raw):
        system.will(raw=raw)
        assert send(call(system.url)).end == CallEnd.BROKEN

    def test_an_answer_has_a_largest_size(self, system):
        system.will(200, b'"' + b"x" * (RESPONSE_BYTES_MAX + 10) + b'"')
        assert send(call(system.url)).end == CallEnd.BROKEN

    def test_an_endless_header_is_broken(self, system):
        system.will(raw=b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000)
        assert send(call(system.url)).end in {CallEnd.BROKEN, CallEnd.SILENT}

    def test_a_compressed_answer_was_not_asked_for(self, system):
        system.will(200, gzip.compress(b"[" + b"0," * 10**6 + b"0]"), headers=[("Content-Encoding", "gzip")])
        assert send(call(system.url)).end == CallEnd.BROKEN

    @pytest.mark.parametrize("body", [b"<html>", b'{"a": NaN}', b'"text"', b'{"a":1,"a":2}', b"\xff", b"[" * 9999])
    def test_nonsense_is_broken(self, system, body):
        system.will(200, body)
        assert send(call(system.url)).end == CallEnd.BROKEN

    def test_redirects_are_not_followed(self, system):
        system.will(302, b"", headers=[("Location", f"{system.url}/elsewhere")])
        assert send(call(system.url, method="GET", body=None)).end == CallEnd.BROKEN
        assert len(system.asked) == 1

    def test_later_is_read(self, system):
        system.will(503, b"", headers=[("Retry-After", "9")])
        assert send(call(system.url)).retry_after_s == 9

    def test_a_head_has_no_body(self, system):
        assert send(call(system.url, method="HEAD", body=None)).end == CallEnd.ANSWERED

    def test_proxies_of_the_environment_are_not_used(self, system, monkeypatch, closed_port):
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")
        assert send(call(system.url)).status == 200

    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "localhost",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
        ],
    )
    def test_inside_is_refused_in_every_spelling_and_never_connected(self, system, host):
        origin = Origin("http", host.strip("[]"), system.server_address[1], "")
        got = send(replace(call(system.url, allow_internal=False), origin=origin))
        assert got.end in {CallEnd.REFUSED, CallEnd.UNREACHABLE}
        assert system.asked == []
        assert CANARY not in repr(got)

    def test_one_bad_address_among_good_ones_refuses_all(self, system, names):
        names["rebind.example.com"] = [["8.8.8.8", "127.0.0.1"]]
        got = send(call(f"http://rebind.example.com:{system.server_address[1]}", allow_internal=False))
        assert got.end == CallEnd.REFUSED
        assert system.asked == []

    def test_the_name_is_resolved_once_and_the_checked_address_is_reached(self, system, names):
        names["erp.example.com"] = [["127.0.0.1"]]  # a second question would find nothing
        port = system.server_address[1]
        assert send(call(f"http://erp.example.com:{port}")).status == 200
        assert system.asked[0][2]["Host"] == f"erp.example.com:{port}"

    def test_the_next_checked_address_is_tried_when_one_takes_no_connection(self, system, names):
        names["erp.example.com"] = [["127.0.0.9", "127.0.0.1"]]
        assert send(call(f"http://erp.example.com:{system.server_address[1]}")).status == 200

    def test_tls_that_fails_never_sent_the_secret(self):
        listener = socket.create_server(("127.0.0.1", 0))
        heard = []

        def plain():
            connection, _ = listener.accept()
            heard.append(connection.recv(4096))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            connection.close()

        thread = threading.Thread(target=plain, daemon=True)
        thread.start()
        got = send(call(f"https://127.0.0.1:{listener.getsockname()[1]}"))
        thread.join()
        listener.close()
        assert got.end == CallEnd.UNREACHABLE
        assert CANARY.encode() not in b"".join(heard)
