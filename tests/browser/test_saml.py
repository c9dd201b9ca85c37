"""A provider of another site answers by a form: the browser keeps the session's cookie back, and still it is her."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Request, expect

from tests.factories.access import make_admin
from tests.factories.saml_provider import ISSUER, SamlIdp, keys_of
from tests.serving import serving

pytestmark = pytest.mark.browser


@contextmanager
def provider(idp: SamlIdp) -> Iterator[None]:
    """It answers on this machine by another name, which browsers take for another site."""

    class Door(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            self.send_response(200 if self.path.startswith("/sso") else 404)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            if self.path.startswith("/sso"):
                asked = idp.asked(f"http://localhost:{server.server_port}{self.path}")
                field = f'<input type="hidden" name="SAMLResponse" value="{escape(idp.answer(asked))}">'
                form = f'<form method="post" action="{escape(asked.acs)}">{field}<button>Go on</button></form>'
                self.wfile.write(form.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    idp.url = f"http://localhost:{server.server_port}/sso?tenant=7"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_she_comes_in_from_another_site_and_no_cookie_is_weaker_for_it(
    browser: Browser, browser_database: str, db: str, tmp_path: Path
) -> None:
    make_admin(username="ada-saml", email="ada-saml@example.com", name="Ada of SAML")
    idp = SamlIdp(mail=["ada-saml@example.com"], name="saml-1")
    certificate = tmp_path / "idp.pem"
    certificate.write_text(keys_of("idp")[1])
    with provider(idp):
        said = {"ISSUER": ISSUER, "URL": idp.url, "CERTIFICATE_FILE": str(certificate), "EMAIL": "mail"}
        said |= {"DOMAINS": "example.com", "NAME": "House ID"}
        settings = {"ACP_SAML": "house", **{f"ACP_SAML_HOUSE_{name}": value for name, value in said.items()}}
        with serving(browser_database, tmp_path, **settings) as address, browser.new_context() as context:
            page = context.new_page()
            seen: list[Request] = []
            page.on("request", lambda one: seen.append(one))
            page.goto(f"{address}/accounts/login/?next=/settings/")
            page.get_by_role("link", name="Sign in with House ID").click()
            page.get_by_role("button", name="Go on").click()
            expect(page).to_have_url(f"{address}/settings/")
            posts = [one for one in seen if one.method == "POST"]
            assert [one.all_headers().get("cookie", "") for one in posts] == [""], "it came without a session"
            assert {cookie["sameSite"] for cookie in context.cookies(address)} == {"Lax"}
