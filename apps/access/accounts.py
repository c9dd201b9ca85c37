"""How allauth is told our rules: nobody signs up, agents and systems never sign in."""

from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.forms import LoginForm
from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from apps.core.http import browser_of


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc] # allauth is untyped
    """People come by an admin, by ``apply`` or by single sign-on."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultAccountAdapter.error_messages,
        **dict.fromkeys(
            ("username_password_mismatch", "email_password_mismatch"),
            _("That name and that password do not belong together. Try again."),
        ),
        "too_many_login_attempts": _("Too many tries. Wait five minutes, or ask an administrator for a new password."),
    }

    def is_open_for_signup(self, request: Any) -> bool:
        """Nobody signs up by themselves."""
        return False

    def pre_login(self, request: Any, user: Any, **kwargs: Any) -> Any:
        """Agents and systems hold keys, not sessions."""
        if not user.is_human:
            return self.respond_user_inactive(request, user)
        return super().pre_login(request, user, **kwargs)

    def login(self, request: Any, user: Any) -> None:
        """Whoever was told in this browser before, and is somebody else, is told here no more."""
        super().login(request, user)
        self._leave(request, user, keep_own=True)

    def logout(self, request: Any) -> None:
        """Whoever signs out is told nothing in this browser: others may sit here next."""
        if request.user.is_authenticated:
            self._leave(request, request.user)
        super().logout(request)

    def _leave(self, request: Any, user: Any, **how: bool) -> None:
        if browser_id := browser_of(request):
            import_string(settings.ON_BROWSER_LEFT)(user, browser_id=browser_id, **how)


class SignInForm(LoginForm):  # type: ignore[misc] # allauth is untyped
    """The sign-in page's form, whose errors name the fields as the page does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = _("Username or e-mail")
        self.fields["login"].error_messages["required"] = _("Say who you are.")
        self.fields["password"].error_messages["required"] = _("Say your password.")
