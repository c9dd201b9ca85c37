"""The bell and its list, what somebody wants to be told, and where chats are."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.access.selectors import people_for, queues_for
from apps.core.errors import ConflictError, DomainError, InvalidError, NotAllowedError, RateLimitedError
from apps.core.gate import holds, require_human
from apps.core.http import Request, browser_of, remember_browser, wants_fragment
from apps.core.pages import page_of
from apps.notifications import services
from apps.notifications.forms import CHANNELS, ChatForm, WishesForm
from apps.notifications.selectors import (
    browsers_for,
    chat_target_for,
    chat_targets_for,
    notices_for,
    quiet_hours_for,
    wishes_for,
    wishes_of,
)

UNFIT = 422
MANAGE = "access.manage_access"


@require_GET
def notices(request: Request) -> HttpResponse:
    """What one was told, newest first; for the bell itself only the bell."""
    if wants_fragment(request) and request.htmx.target == "bell":
        return render(request, "core/_bell.html")
    page = page_of(request, notices_for(request.user), order=("-id",))
    return render(request, "notifications/notices.html", {"page": page})


@require_GET
def open_notice(request: Request, delivery_id: UUID) -> HttpResponse:
    """Note that one has seen it, and go where it is decided. Going there decides nothing."""
    return redirect(services.mark_seen(request.user, delivery_id=delivery_id).notice.url)


@require_POST
def see_all(request: Request) -> HttpResponse:
    """Note that one has seen everything."""
    seen = services.mark_all_seen(request.user)
    messages.success(request, ngettext("%d marked as seen.", "%d marked as seen.", seen) % seen)
    return redirect("notifications:notices")


@require_http_methods(["GET", "POST"])
def wishes(request: Request) -> HttpResponse:
    """What one wants to be told, when, by which channel."""
    require_human(request.user)
    form = WishesForm(request.POST) if request.method == "POST" else WishesForm(initial=_present(request))
    if request.method == "POST" and form.is_valid():
        services.save_wishes(request.user, timings=form.cleaned_data["timings"], quiet=form.cleaned_data["quiet"])
        messages.success(request, _("Saved. It holds from the next message on."))
        return redirect("notifications:wishes")
    context = {
        "form": form,
        "grid": list(form.grid()),
        "channels": list(CHANNELS.values()),
        "mail_is_set_up": bool(settings.MAIL["host"]),
        "chats": wishes_of([request.user])[request.user.pk].chats,
        "browsers": browsers_for(request.user),
        "here": browser_of(request),
        "push_key": services.push_key(),
    }
    return render(request, "notifications/wishes.html", context, status=UNFIT if form.errors else 200)


def _present(request: Request) -> dict[str, Any]:
    quiet = quiet_hours_for(request.user)
    chosen = {
        f"{channel}-{risk}": timing
        for channel, risks in wishes_for(request.user).items()
        for risk, timing in risks.items()
    }
    hours = {"begins": quiet.begins, "ends": quiet.ends} if quiet else {}
    return {**chosen, **hours, "timezone": quiet.timezone if quiet else settings.ACP_REPORTING_TZ}


@require_POST
def add_browser(request: Request) -> HttpResponse:
    """Be told in this browser; its script filled in how."""
    answer = redirect("notifications:wishes")
    given = {name: request.POST.get(name, "") for name in ("endpoint", "p256dh", "auth", "key")}
    agent = request.headers.get("User-Agent", "")
    try:
        made = services.add_browser(request.user, **given, user_agent=agent, replaces=browser_of(request))
    except InvalidError as error:
        messages.error(request, " ".join(problem for problems in error.errors.values() for problem in problems))
    except ConflictError as error:
        messages.error(request, str(error.message))
    else:
        remember_browser(answer, made.pk)
        messages.success(request, _("You are told in this browser from the next message on."))
    return answer


@require_POST
def remove_browser(request: Request, browser_id: UUID) -> HttpResponse:
    """Be told there no more."""
    services.remove_browser(request.user, browser_id=browser_id)
    messages.success(request, _("Removed. You are told nothing there any more."))
    return redirect("notifications:wishes")


@require_POST
def try_browser(request: Request, browser_id: UUID) -> HttpResponse:
    """Push a test there, and say what became of it."""
    try:
        sent = services.try_browser(request.user, browser_id=browser_id)
    except (ConflictError, RateLimitedError) as error:
        messages.error(request, str(error.message))
        return redirect("notifications:wishes")
    if sent.ok:
        messages.success(request, _("Its push service has taken the test; the browser shows it when it is reached."))
    else:
        messages.error(request, sent.text)
    return redirect("notifications:wishes")


def _chats(request: Request, form: ChatForm | None = None) -> HttpResponse:
    if not holds(request.user, MANAGE):
        raise NotAllowedError
    context = {"rows": chat_targets_for(request.user), "form": form or _chat_form(request)}
    return render(request, "notifications/chats.html", context, status=UNFIT if form else 200)


def _chat_form(request: Request, *bound: object) -> ChatForm:
    return ChatForm(*bound, queues=queues_for(request.user), people=people_for(request.user).filter(is_active=True))


@require_GET
def chats(request: Request) -> HttpResponse:
    """Where chats are; never their addresses."""
    return _chats(request)


@require_POST
def set_chat(request: Request) -> HttpResponse:
    """Add a chat, or change the one of this name."""
    if not holds(request.user, MANAGE):
        raise NotAllowedError
    form = _chat_form(request, request.POST)
    if not form.is_valid():
        return _chats(request, form)
    try:
        services.save_chat_target(request.user, **form.cleaned_data)
    except InvalidError as error:
        for name, problems in error.errors.items():
            form.add_error(name if name in form.fields else None, problems)
        return _chats(request, form)
    except DomainError as error:
        if isinstance(error, NotAllowedError):
            raise
        form.add_error(None, str(error.message))
        return _chats(request, form)
    messages.success(request, _("Sealed. The next message goes there."))
    return redirect("notifications:chats")


@require_POST
def remove_chat(request: Request, slug: str) -> HttpResponse:
    """Destroy a chat's address."""
    services.remove_chat_target(request.user, target=chat_target_for(request.user, slug))
    messages.success(request, _("Removed. Nothing is posted there any more."))
    return redirect("notifications:chats")
