"""How allauth is told our rules: nobody signs up, agents and systems never sign in."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc] # allauth is untyped
    """People come by an admin, by ``apply`` or by single sign-on."""

    def is_open_for_signup(self, request: Any) -> bool:
        """Nobody signs up by themselves."""
        return False

    def pre_login(self, request: Any, user: Any, **kwargs: Any) -> Any:
        """Agents and systems hold keys, not sessions."""
        if not user.is_human:
            return self.respond_user_inactive(request, user)
        return super().pre_login(request, user, **kwargs)
