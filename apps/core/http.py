"""What pages need of HTTP."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django_htmx.middleware import HtmxDetails

from apps.core.errors import DomainError
from apps.core.models import User
from apps.core.rules import caller_of


class Request(HttpRequest):
    """A request that passed sign-in and HtmxMiddleware."""

    user: User  # anonymous visitors are turned away before a view runs
    htmx: HtmxDetails


def caller_address(request: HttpRequest) -> str:
    """From which address is asked: behind the proxies of ``ACP_TRUSTED_PROXIES`` the one that they were asked from."""
    peer = request.META.get("REMOTE_ADDR", "")
    return caller_of(peer, request.headers.get("X-Forwarded-For", ""), settings.TRUSTED_PROXIES)


def is_prefetch(request: HttpRequest) -> bool:
    """Whether a browser or a scanner only looks ahead: nobody has the page before their eyes."""
    said = (request.headers.get(name, "").lower() for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"))
    return any("prefetch" in words or "prerender" in words or "preview" in words for words in said)


def wants_fragment(request: Request) -> bool:
    """Whether to answer with a fragment instead of the whole page."""
    return bool(request.htmx) and not request.htmx.boosted and not request.htmx.history_restore_request


BROWSER_COOKIE, BROWSER_AGE_S = f"{settings.COOKIE_PREFIX}acp_browser", 400 * 86_400


def browser_of(request: HttpRequest) -> UUID | None:
    """As which of its users' browsers we know the one that asks: signed by us, so that nobody speaks for another's."""
    said = request.get_signed_cookie(BROWSER_COOKIE, default="", salt="acp_browser")
    try:
        return UUID(said) if said else None
    except ValueError:
        return None


def remember_browser(response: HttpResponse, browser_id: UUID) -> None:
    """Know this browser again, longer than a session lasts; no script reads it."""
    response.set_signed_cookie(
        BROWSER_COOKIE,
        str(browser_id),
        salt="acp_browser",
        max_age=BROWSER_AGE_S,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


KNOWN_COOKIE, KNOWN_MOST = f"{settings.COOKIE_PREFIX}acp_known", 10


def known_as(request: HttpRequest, name: str) -> str:
    """The id of this browser if somebody of this ``name`` (a digest) signed in with it before; else nothing."""
    browser, *names = _known(request)
    return browser if name in names else ""


def remember_known(request: HttpRequest, response: HttpResponse, names: Sequence[str]) -> None:
    """Know this browser as one of the person of these names, longer than a session lasts; no script reads it."""
    browser, *others = _known(request)
    kept = [one for one in others if one not in names][len(names) - KNOWN_MOST :]
    response.set_signed_cookie(
        KNOWN_COOKIE,
        ".".join([browser or str(uuid4()), *kept, *names]),
        salt="acp_known",
        max_age=BROWSER_AGE_S,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _known(request: HttpRequest) -> list[str]:
    return str(request.get_signed_cookie(KNOWN_COOKIE, default="", salt="acp_known")).split(".")


def refusal_of(error: DomainError, *, typed: str = "", at: str = "", of: object = "") -> dict[str, object]:
    """What a page says of a refused form: why, and with ``at`` and ``of`` in which field, with what was typed there."""
    texts = [text for texts in error.errors.values() for text in texts]
    field = at if "reason" in error.errors else ""
    place = {"refused_at": field, "refused_of": of if field else "", "typed": typed}
    return {"refused": " ".join(texts) or str(error.message), **place}


def pdf_of(name: str, content: bytes) -> HttpResponse:
    """A file that a browser may show."""
    answer = HttpResponse(content, content_type="application/pdf")
    answer["Content-Disposition"] = f'inline; filename="{name}.pdf"'
    return answer
