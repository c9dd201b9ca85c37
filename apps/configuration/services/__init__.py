"""Commands on the configuration as a whole."""

from apps.configuration.services.applying import Applied, apply_documents, apply_texts
from apps.configuration.services.kinds import CHANGED
from apps.configuration.services.reading import ConfigurationError, Trouble

__all__ = ["CHANGED", "Applied", "ConfigurationError", "Trouble", "apply_documents", "apply_texts"]
