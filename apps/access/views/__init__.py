"""The doors at which people sign in and change how they do, each with its entry in the ledger."""

from apps.access.views.factors import Code, CodeAgain, NewCodes, PasswordAgain, RemoveApp, SetUpApp, no_such_page
from apps.access.views.passkeys import AddPasskey, NamePasskey, PasskeyAgain, Passkeys, RemovePasskey, SignInByPasskey
from apps.access.views.single_sign_on import EmergencySignIn, SignIn, begin_sign_on, end_sign_on

__all__ = [
    "AddPasskey",
    "Code",
    "CodeAgain",
    "EmergencySignIn",
    "NamePasskey",
    "NewCodes",
    "PasskeyAgain",
    "Passkeys",
    "PasswordAgain",
    "RemoveApp",
    "RemovePasskey",
    "SetUpApp",
    "SignIn",
    "SignInByPasskey",
    "begin_sign_on",
    "end_sign_on",
    "no_such_page",
]
