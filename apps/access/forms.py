"""What a person types, or their browser says, to show who they are. What is wrong is recorded."""

from typing import Any

from allauth.account.forms import LoginForm
from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    EditWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from allauth.mfa.webauthn.internal.auth import STATE_SESSION_KEY as CHALLENGE
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.access.services import note_failed_sign_in
from apps.access.services.emergencies import REASON_MAX, REASON_MIN
from apps.core.http import caller_address

PASSKEY_NAME_MAX = 60


class SignInForm(LoginForm):  # type: ignore[misc] # allauth is untyped
    """The sign-in page's form, whose errors name the fields as the page does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = _("Username or e-mail")
        self.fields["login"].error_messages["required"] = _("Say who you are.")
        self.fields["password"].error_messages["required"] = _("Say your password.")


class EmergencyForm(SignInForm):
    """The door of emergency accounts: name, credential, and why."""

    reason = forms.CharField(
        label=_("Who you are, and what happened"),
        min_length=REASON_MIN,
        max_length=REASON_MAX,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off"}),
        error_messages={"required": _("Say who you are and what happened: everybody who administers reads it.")},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = _("Emergency account")
        self.fields["password"].label, self.fields["password"].help_text = _("Credential"), ""
        self.fields["password"].error_messages["required"] = _("Type the credential, with its dashes.")
        for name in ("login", "password"):  # nothing for a browser to fill in or to keep
            self.fields[name].widget.attrs |= {"autocomplete": "off", "placeholder": ""}

    def login(self, request: Any, redirect_url: str | None = None) -> Any:
        """Sign in, and say why at the door's own step."""
        request.emergency_reason = self.cleaned_data["reason"]
        return super().login(request, redirect_url=redirect_url)


def _note_failed(user: Any, method: str) -> None:
    address = caller_address(context.request)
    note_failed_sign_in(named=user.username if user else "", user=user, address=address, method=method)


class _CodeNoted:
    """A form for a code: a wrong one is recorded."""

    user: Any

    def clean_code(self) -> Any:
        """The code, if it is right."""
        try:
            return super().clean_code()  # type: ignore[misc] # of the form beside it
        except ValidationError:
            _note_failed(self.user, "code")
            raise


class CodeForm(_CodeNoted, AuthenticateForm):  # type: ignore[misc] # allauth is untyped
    """At the sign-in."""


class CodeAgainForm(_CodeNoted, ReauthenticateForm):  # type: ignore[misc] # allauth is untyped
    """To confirm that it is you."""


class _PasskeyNoted:
    """A form that carries what a passkey answered: a wrong answer is recorded, and one that makes no sense is wrong."""

    user: Any

    def clean_credential(self) -> Any:
        """The passkey that answered. The challenge is void afterwards, whatever it said."""
        try:
            return super().clean_credential()  # type: ignore[misc] # of the form beside it
        except (ValidationError, TypeError, ValueError, KeyError, AttributeError) as error:
            _note_failed(self.user, "webauthn")
            raise wrong_passkey() from error
        finally:
            forget_challenge()


def wrong_passkey() -> ValidationError:
    """What a person reads."""
    error: ValidationError = get_adapter().validation_error("incorrect_passkey")
    return error


class PasskeyForm(_PasskeyNoted, AuthenticateWebAuthnForm):  # type: ignore[misc] # allauth is untyped
    """In the place of a code, after the password."""


class PasskeyAgainForm(_PasskeyNoted, ReauthenticateWebAuthnForm):  # type: ignore[misc] # as above
    """To confirm that it is you."""


class PasskeyAloneForm(_PasskeyNoted, LoginWebAuthnForm):  # type: ignore[misc] # as above
    """In the place of name and password."""


class AddPasskeyForm(AddWebAuthnForm):  # type: ignore[misc] # as above
    """A new passkey, which can always be used alone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.pop("passwordless", None)
        self.fields["name"] = _name_field(required=False)

    def clean(self) -> Any:
        """Bound to the challenge that this session was given, once."""
        try:
            return super().clean()
        except (ValidationError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise wrong_passkey() from error
        finally:
            forget_challenge()


class NamePasskeyForm(EditWebAuthnForm):  # type: ignore[misc] # as above
    """Another name for it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"] = _name_field(required=True)


def _name_field(*, required: bool) -> forms.CharField:
    return forms.CharField(
        label=_("What you call it"),
        max_length=PASSKEY_NAME_MAX,
        required=required,
        help_text=_("So that you know it again, such as “Work laptop”."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


def forget_challenge() -> None:
    """A challenge is answered once, rightly or wrongly: a second answer to it finds none."""
    context.request.session.pop(CHALLENGE, None)
