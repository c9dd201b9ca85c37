"""How allauth is told our rules: nobody signs up, agents and systems never sign in, and the ledger says who did.

Guesses are counted by address and name, by address, and by name. The last is generous, so that strangers can keep
nobody out: a browser in which the person signed in before has a count of its own, and whoever has a second factor is
asked for it instead (docs/security.md).
"""

import time
from base64 import b64decode, b64encode
from typing import Any, ClassVar
from urllib.parse import quote

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core.internal import ratelimit
from allauth.core.internal.httpkit import redirect
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.stages import AuthenticateStage
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils.module_loading import import_string
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.access.models import Identity
from apps.access.oidc import Provider, providers
from apps.access.posting import post
from apps.access.saml import SamlProvider, saml_providers
from apps.access.selectors import is_factor_demanded_of
from apps.access.services import (
    begin_session,
    bind_emergency,
    end_other_sessions,
    note_account,
    note_failed_sign_in,
    note_sign_out,
    open_emergency,
)
from apps.access.services.sessions import hold_account, name_digest
from apps.core.envelope import master_keys, seal, unseal
from apps.core.gate import refuse_emergency
from apps.core.http import browser_of, caller_address, known_as, remember_known
from apps.core.models import User

log = structlog.get_logger(__name__)

STEP_UP_S = 300
TOO_MANY = "too_many_login_attempts"
SEALED, PLACE = "sealed:", b"acp.second-factor.v1"

type AnyProvider = Provider | SamlProvider
BY_PROVIDER = {Provider.method, SamlProvider.method}
"""Methods by which somebody else says who comes, and how sure they are of it."""


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc] # allauth is untyped
    """People come by an admin, by ``apply`` or by single sign-on."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultAccountAdapter.error_messages,
        **dict.fromkeys(
            ("username_password_mismatch", "email_password_mismatch"),
            _("That name and that password do not belong together. Try again."),
        ),
        TOO_MANY: _(
            "Too many tries. Wait five minutes, use a browser in which you signed in before, or ask an administrator"
            " for a new password."
        ),
    }

    def is_open_for_signup(self, request: Any) -> bool:
        """Nobody signs up by themselves."""
        return False

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Under the plane's own address, whatever host was named by whoever asked: the link lets its reader in."""
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return f"{settings.ACP_URL}{path.replace('UID-KEY', quote(key))}"

    def format_email_subject(self, subject: str) -> str:
        """As it is."""
        return str(subject)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """In the plane's own name; where no mail leaves, none is tried."""
        if not settings.MAIL["host"]:
            log.warning("mail_is_not_set_up", wanted=template_prefix)
            return
        site = {"name": settings.MFA_TOTP_ISSUER, "domain": settings.ACP_URL}
        post(self.render_mail(template_prefix, email, {"email": email, "current_site": site, **context}))

    def get_client_ip(self, request: Any) -> str:
        """As everywhere in the plane: our own proxies are believed, nobody else."""
        return caller_address(request)

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """In our words."""
        words = {"reauthenticate": _("Use your password"), "mfa_reauthenticate": _("Use a code")}
        own = [
            {**one, "description": words.get(one["id"], _("Use a passkey"))}
            for one in super().get_reauthentication_methods(user)
        ]
        return own + [self._by_provider(one) for one in all_providers() if one.strong and known_at(user, one)]

    def is_reauthentication_required(self, *, app: str) -> bool:
        """Not of whoever signed in just now and is led to set up their first second factor."""
        is_led = getattr(self.request, "lacks_factor", False)
        return not (is_led and came_just_now(self.request)) and bool(super().is_reauthentication_required(app=app))

    def _by_provider(self, provider: AnyProvider) -> dict[str, Any]:
        url = reverse(provider.door, args=[provider.slug])
        return {"id": f"{provider.method}:{provider.slug}", "description": _("Use %s") % provider.name, "url": url}

    def get_login_stages(self) -> list[str]:
        """Ours in the place of allauth's."""
        own = {"allauth.mfa.stages.AuthenticateStage": "apps.access.accounts.SecondFactorStage"}
        return [own.get(stage, stage) for stage in super().get_login_stages()]

    def pre_authenticate(self, request: Any, **credentials: Any) -> None:
        """Refuse the guess that is one too many, whether or not there is such a person."""
        named = name_digest(credentials.get("email") or credentials.get("username", ""))
        known = known_as(request, named)
        place = f"{named}:{known or caller_address(request)}"
        self._spent: list[Any] = []
        if not self._spend(request, "guess_at_place", place):
            raise self.validation_error(TOO_MANY)
        if not known and not self._spend(request, "guess_from_address"):
            raise self.validation_error(TOO_MANY)
        self._is_tired = not known and not self._spend(request, "guess_at_name", named)

    def _spend(self, request: Any, action: str, key: str | None = None) -> bool:
        used = ratelimit.consume(request, app="allauth.account", action=action, key=key)
        if used:
            self._spent.append(used)
        return bool(used)

    def authenticate(self, request: Any, **credentials: Any) -> Any:
        """Where a name was guessed at too often, a password alone opens nothing; the answer is always the same.

        But for an emergency account: nobody guesses its credential, and strangers must not be able to shut it.
        """
        user = super().authenticate(request, **credentials)
        if self._is_tired and not (user and (user.is_emergency or is_mfa_enabled(user))):
            raise self.validation_error(TOO_MANY)
        for used in self._spent if user else []:
            used.rollback()  # what was right counts as no guess
        return user

    def authentication_failed(self, request: Any, **credentials: Any) -> None:
        """The ledger says so, never what was typed."""
        named = credentials.get("email") or credentials.get("username", "")
        person = User.objects.filter(Q(username__iexact=named) | Q(email__iexact=named), kind="human").first()
        note_failed_sign_in(named=named, user=person, address=caller_address(request), method="password")

    def pre_login(self, request: Any, user: Any, **kwargs: Any) -> Any:
        """Agents and systems hold keys, not sessions; an emergency account has a door of its own, and nobody else."""
        if not user.is_human:
            return self.respond_user_inactive(request, user)
        if user.is_emergency != bool(reason_given(request)):
            words = OWN_DOOR if user.is_emergency else USUAL_DOOR
            if user.is_emergency:  # somebody knows its credential: people are told, as of a wrong one
                address = caller_address(request)
                note_failed_sign_in(named=user.username, user=user, address=address, method="password")
            self.add_message(request, messages.ERROR, message=words)
            return redirect(reverse("emergency-sign-in" if user.is_emergency else "account_login"))
        return super().pre_login(request, user, **kwargs)

    @transaction.atomic
    def login(self, request: Any, user: Any) -> None:
        """Whoever was told in this browser before, and is somebody else, is told here no more.

        The credential of an emergency account is spent before anything else: a session that nobody paid for is none.
        """
        hold_account(user)
        address, browser = caller_address(request), request.headers.get("User-Agent", "")
        opened = open_emergency(user, reason=reason_given(request), address=address) if user.is_emergency else None
        methods = [str(one.get("type") or one["method"]) for one in get_authentication_records(request, user)]
        super().login(request, user)
        ends_at = opened.ends_at if opened else None
        about = {"address": address, "browser": browser, "methods": methods}
        begin_session(user, session=request.session, ends_at=ends_at, **about)
        if opened:
            bind_emergency(opened, session=request.session.row.ref)
        self._leave(request, user, keep_own=True)

    def post_login(self, request: Any, user: Any, **kwargs: Any) -> Any:
        """Know this browser again: strangers' guesses do not keep its person out."""
        response = super().post_login(request, user, **kwargs)
        if user.is_emergency:
            return response
        remember_known(request, response, [name_digest(name) for name in (user.username, user.email) if name])
        return response

    @transaction.atomic
    def logout(self, request: Any) -> None:
        """Whoever signs out is told nothing in this browser: others may sit here next. Recorded with the end itself."""
        if request.user.is_authenticated:
            self._leave(request, request.user)
            note_sign_out(request.user, session=request.session)
        super().logout(request)

    @transaction.atomic
    def set_password(self, user: Any, password: str) -> None:
        """A new password ends every other session, wherever it is set."""
        refuse_emergency(user)
        hold_account(user)
        super().set_password(user, password)
        here = self.request.session.row if self.request.user.is_authenticated else None
        end_other_sessions(user, but=here and here.ref)
        note_account(user, name="password_changed", told={"address": caller_address(self.request)})

    def _leave(self, request: Any, user: Any, **how: bool) -> None:
        if browser_id := browser_of(request):
            import_string(settings.ON_BROWSER_LEFT)(user, browser_id=browser_id, **how)


OWN_DOOR = _("This is an emergency account: it is opened here, with a reason.")
USUAL_DOOR = _("That account is not for emergencies. Sign in here.")


def reason_given(request: Any) -> str:
    """Why an emergency account is opened, as its door's form says; empty at any other door."""
    return str(getattr(request, "emergency_reason", ""))


def all_providers() -> list[AnyProvider]:
    """Every identity provider of the settings, in their order."""
    return [*providers().values(), *saml_providers().values()]


def known_at(user: Any, provider: AnyProvider) -> bool:
    """Whether this provider named this person before."""
    return bool(user.is_authenticated and Identity.objects.filter(user=user, issuer=provider.issuer).exists())


class SecondFactorStage(AuthenticateStage):  # type: ignore[misc] # allauth is untyped
    """Asked for by the plane, unless an identity provider says that it asked for one."""

    def _should_handle(self, request: Any) -> bool:
        records = get_authentication_records(request, self.login.user) if self.login.user else []
        return not any(one["method"] in BY_PROVIDER and one["is_strong"] for one in records[-1:]) and bool(
            super()._should_handle(request)
        )


def signed_in_recently(request: Any) -> bool:
    """Whether this session gave a password, a code or a passkey within five minutes.

    Coming from an identity provider is none of it, unless that says that it asked just now for more than a password.
    """
    records = get_authentication_records(request, request.user)
    moments = [one["at"] for one in records if one["method"] not in BY_PROVIDER or one["is_fresh"]]
    return time.time() - max(moments, default=0) < STEP_UP_S


def came_just_now(request: Any) -> bool:
    """Whether this session began within five minutes, by whatever way.

    As much as a password is worth: enough to set up the first second factor, and for nothing else.
    """
    return time.time() - max((one["at"] for one in get_authentication_records(request, request.user)), default=0) < (
        STEP_UP_S
    )


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc] # allauth is untyped
    """The secrets of second factors are kept sealed, and nobody loses their only way in."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultMFAAdapter.error_messages,
        "cannot_delete_authenticator": _(
            "It is the only way in which you can sign in, or the only second factor where one is demanded:"
            " add another first."
        ),
        "incorrect_passkey": _("That passkey did not answer as it should. Try again."),
    }

    def encrypt(self, text: str) -> str:
        """Sealed by the plane's key."""
        return SEALED + b64encode(seal(master_keys()[0], text, PLACE)).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """The secret again; what was kept before secrets were sealed is in clear."""
        if not encrypted_text.startswith(SEALED):
            return encrypted_text
        return unseal(master_keys(), b64decode(encrypted_text.removeprefix(SEALED)), PLACE)

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Not the only way in: without a password, the last passkey stays. Nor the last that is demanded."""
        if is_last_factor(authenticator) and is_factor_demanded_of(authenticator.user):
            return False
        return authenticator.type != Authenticator.Type.WEBAUTHN or bool(ways_in_without(authenticator))

    def generate_authenticator_name(self, user: Any, kind: Any) -> str:
        """What a passkey is called if its person does not say."""
        count = Authenticator.objects.filter(user=user, type=kind).count()
        return gettext("My passkey %d") % (count + 1) if count else gettext("My passkey")


def ways_in_without(passkey: Authenticator) -> list[str]:
    """How its person could still sign in were this one gone: ``password``, ``passkey``, ``provider``."""
    passkeys = Authenticator.objects.filter(user=passkey.user, type=Authenticator.Type.WEBAUTHN)
    found = {
        "password": passkey.user.has_usable_password(),
        "passkey": passkeys.exclude(pk=passkey.pk).exists(),
        "provider": any(known_at(passkey.user, one) for one in all_providers()),
    }
    return [way for way, is_there in found.items() if is_there]


def is_last_factor(factor: Authenticator) -> bool:
    """Whether a password alone signs its person in were this one gone; recovery codes go with the last."""
    others = Authenticator.objects.filter(user=factor.user).exclude(pk=factor.pk)
    return not others.exclude(type=Authenticator.Type.RECOVERY_CODES).exists()
