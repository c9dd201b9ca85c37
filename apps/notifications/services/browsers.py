"""In which browsers somebody is told. What a browser says of itself is hostile until it was checked."""

from datetime import timedelta
from hmac import compare_digest
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _

from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotFoundError, RateLimitedError, UnavailableError
from apps.core.gate import refuse_limited, require_human
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user
from apps.notifications.adapters import push
from apps.notifications.models import Browser, Delivery
from apps.notifications.rules import BROWSERS_MAX, KEPT_DAYS, TEST_EVERY_S, Sent, browser_name
from apps.notifications.selectors import browser_for, browsers_for
from apps.notifications.services.letters import trial_note_of


def push_key() -> str:
    """The public key with which browsers begin; empty where the plane pushes nothing."""
    if not settings.ACP_PUSH_HOSTS:
        return ""
    try:
        return push.plane_keys()[0].public
    except UnavailableError:
        return ""


@transaction.atomic
def add_browser(
    actor: User, *, endpoint: str, p256dh: str, auth: str, key: str, user_agent: str = "", replaces: UUID | None = None
) -> Browser:
    """Tell ``actor`` in the browser that says it is reached at ``endpoint``; the same again changes nothing.

    ``key``: the plane's public key with which it began. ``replaces``: what this browser was before. Whoever was told in
    this very browser until now is told there no more. Raises InvalidError; ConflictError for another's address, and
    where nothing is pushed at all.
    """
    require_human(actor)
    refuse_limited(actor)
    host = _checked(endpoint, p256dh, auth, key)
    User.objects.select_for_update(no_key=True).get(pk=actor.pk)
    if replaces:
        leave_browser(actor, browser_id=replaces)
    found = Browser.objects.select_for_update().filter(endpoint=endpoint, gone_at=None).first()
    if found and not (compare_digest(found.auth, auth) and compare_digest(found.p256dh, p256dh)):
        raise ConflictError(_("This address belongs to a browser with other keys."))
    if found and found.user_id == actor.pk:
        return found
    if found:
        _end(actor, found, "browser.handed_over")
    if browsers_for(actor).count() >= BROWSERS_MAX:
        text = _("You are told in %d browsers already; remove one first.") % BROWSERS_MAX
        raise InvalidError(errors={"endpoint": [text]})
    made = Browser(
        user=actor, name=browser_name(user_agent), endpoint=endpoint, host=host, p256dh=p256dh, auth=auth,
        key_id=push.plane_keys()[0].key_id,
    )  # fmt: skip
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError as error:  # somebody else was faster with this very address
        raise ConflictError from error
    record(actor, made, "browser.added", payload={"host": host})
    return made


def _checked(endpoint: str, p256dh: str, auth: str, key: str) -> str:
    """The push service's host. Raises InvalidError, ConflictError."""
    current = push_key()
    if not current:
        raise ConflictError(_("This plane pushes nothing to browsers."))
    errors = {name: [problem] for name, problem in push.check_keys(p256dh, auth).items()}
    if not compare_digest(key.encode(), current.encode()):
        errors["key"] = [_("The plane has another key by now: load the page again.")]
    try:
        host = push.endpoint_of(endpoint)[0].authority
    except ValueError as problem:
        errors["endpoint"] = [str(problem)]
    if errors:
        raise InvalidError(errors=errors)
    return host


@transaction.atomic
def remove_browser(actor: User, *, browser_id: UUID) -> None:
    """Tell ``actor`` there no more; what is queued for it stays unsent. Raises NotFoundError for another's."""
    require_human(actor)
    refuse_limited(actor)
    if not _end(actor, browser_for(actor, browser_id), "browser.removed"):
        raise NotFoundError


@transaction.atomic
def leave_browser(actor: User, *, browser_id: UUID, keep_own: bool = False) -> None:
    """Whoever is told in this browser is told there no more: ``actor`` signs out here, or begins anew.

    ``keep_own``: unless it is ``actor``, who signs in where perhaps somebody else was before.
    """
    found = Browser.objects.filter(pk=browser_id, gone_at=None).first()
    if found and not (keep_own and found.user_id == actor.pk):
        _end(actor, found, "browser.left")


@transaction.atomic
def end_browsers(actor: User, *, person_id: UUID) -> int:
    """Nobody is told in the browsers of a person who left; how many there were."""
    return sum(_end(actor, browser, "browser.left") for browser in Browser.objects.filter(user=person_id, gone_at=None))


@transaction.atomic
def forget_browsers() -> None:
    """Delete what ended longer than ``KEPT_DAYS`` ago and no message names any more; the ledger keeps that it was."""
    old = Browser.objects.filter(gone_at__lt=ClockTimestamp() - timedelta(days=KEPT_DAYS))
    old.filter(~Exists(Delivery.objects.filter(browser=OuterRef("pk")))).delete()


def _end(actor: User, browser: Browser, how: str, **told: object) -> bool:
    """Forget where it was told; False when that was so already."""
    live = Browser.objects.filter(pk=browser.pk, gone_at=None)
    if not live.update(gone_at=ClockTimestamp(), endpoint="", p256dh="", auth=""):
        return False
    record(actor, browser, how, payload={"host": browser.host, **told})
    return True


def address_of(browser: Browser) -> push.Address:
    """Where it is told, for the call alone."""
    return push.Address(endpoint=browser.endpoint, p256dh=browser.p256dh, auth=browser.auth, key_id=browser.key_id)


@transaction.atomic
def note_push(browser: Browser, sent: Sent) -> None:
    """Note that it was reached, or that its push service knows it no more."""
    if sent.ok:
        Browser.objects.filter(pk=browser.pk).update(last_success_at=ClockTimestamp())
    elif sent.is_gone:
        _end(system_user("plane"), browser, "browser.gone", outcome=sent.text)


def try_browser(actor: User, *, browser_id: UUID) -> Sent:
    """Push a test to one of ``actor``'s browsers now; what became of it.

    Raises NotFoundError, RateLimitedError, ConflictError where nothing is pushed at all.
    """
    require_human(actor)
    refuse_limited(actor)
    browser = browser_for(actor, browser_id)
    if not settings.ACP_PUSH_HOSTS:
        raise ConflictError(_("This plane pushes nothing to browsers."))
    before = ClockTimestamp() - timedelta(seconds=TEST_EVERY_S)
    rested = Browser.objects.filter(Q(tested_at=None) | Q(tested_at__lt=before), pk=browser.pk, gone_at=None)
    if not rested.update(tested_at=ClockTimestamp()):
        raise RateLimitedError(_("One test in %d seconds.") % TEST_EVERY_S)
    sent = push.post(address_of(browser), trial_note_of(browser))
    note_push(browser, sent)
    return sent
