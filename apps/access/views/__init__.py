"""The doors at which people sign in and change how they do, each with its entry in the ledger."""

from apps.access.views.factors import Code, CodeAgain, NewCodes, PasswordAgain, RemoveApp, SetUpApp, no_such_page
from apps.access.views.passkeys import AddPasskey, NamePasskey, PasskeyAgain, Passkeys, RemovePasskey, SignInByPasskey

__all__ = [
    "AddPasskey",
    "Code",
    "CodeAgain",
    "NamePasskey",
    "NewCodes",
    "PasskeyAgain",
    "Passkeys",
    "PasswordAgain",
    "RemoveApp",
    "RemovePasskey",
    "SetUpApp",
    "SignInByPasskey",
    "no_such_page",
]
