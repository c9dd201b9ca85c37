"""What is too easily guessed of an organisation's own."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

LEAST_BESIDE = 8
"""So many characters stand beside an organisation's own words: a password of them and a year is none."""


class OwnWordsValidator:
    """Refuse passwords that are little more than words that everybody here knows."""

    def __init__(self, words: Sequence[str] = ()) -> None:
        self.words = sorted((word.casefold() for word in words), key=len, reverse=True)

    def validate(self, password: str, user: Any = None) -> None:
        """Raises ValidationError."""
        left = password.casefold()
        for word in self.words:
            left = left.replace(word, "")
        if len(left) != len(password.casefold()) and len(left) < LEAST_BESIDE:
            raise ValidationError(self.get_help_text())

    def get_help_text(self) -> str:
        """What is asked, as forms say it."""
        return _("Not mainly of words that everybody here knows, such as the name of the organisation.")
