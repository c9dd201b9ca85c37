"""The doors at which people sign in and change how they do, each with its entry in the ledger."""

from apps.access.views.factors import (
    Code,
    CodeAgain,
    NewCodes,
    PasswordAgain,
    RemoveApp,
    SetUpApp,
    SignOut,
    no_such_page,
    second_factor,
)
from apps.access.views.passkeys import AddPasskey, NamePasskey, PasskeyAgain, Passkeys, RemovePasskey, SignInByPasskey
from apps.access.views.saml import begin_saml_sign_on, end_saml_sign_on, saml_metadata, take_saml_answer
from apps.access.views.single_sign_on import EmergencySignIn, LostPassword, SignIn, begin_sign_on, end_sign_on

__all__ = [
    "AddPasskey",
    "Code",
    "CodeAgain",
    "EmergencySignIn",
    "LostPassword",
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
    "SignOut",
    "begin_saml_sign_on",
    "begin_sign_on",
    "end_saml_sign_on",
    "end_sign_on",
    "no_such_page",
    "saml_metadata",
    "second_factor",
    "take_saml_answer",
]
