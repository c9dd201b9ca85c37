"""What looks like a secret: private keys, tokens, keys with a known beginning. No name or path is meant to hold one."""

import re

SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|(?<![A-Za-z0-9])(?:"
    r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}"
    r"|sk-[A-Za-z0-9_-]{20,}"
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|xox[abposr]-[A-Za-z0-9-]{10,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|AIza[A-Za-z0-9_-]{30,}"
    r"|acp_[a-z]{3}_[A-Za-z0-9_-]{10,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
    r")"
    r"|\b[Bb]earer [A-Za-z0-9+/=._~-]{20,}"
)
MISPLACED = (
    "This looks like a secret. Nothing of it was kept: take it out, set it under Secret on the connector's page, and"
    " replace it soon."
)


def looks_secret(text: str) -> bool:
    """Whether there is something in ``text`` that nobody should read."""
    return SECRET.search(text) is not None
