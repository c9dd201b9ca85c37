"""The codes that an authenticator app shows."""

import time

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

HALF_MINUTE = 30
ENOUGH_S = 5  # left of the half minute, for what is done with the code


def half_minute() -> int:
    """The number of the present half minute, once enough of it is left: a code does not outlive it."""
    while time.time() % HALF_MINUTE > HALF_MINUTE - ENOUGH_S:
        time.sleep(0.2)
    return int(time.time()) // HALF_MINUTE


def code_now(secret: str, *, later: int = 0) -> str:
    """What the app shows now, or so many half minutes ``later``."""
    return format_hotp_value(hotp_value(secret, half_minute() + later))
