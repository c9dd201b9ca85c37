"""What a person may type about goals and event logs."""

from apps.kpis.forms.goals import BaselineForm, GoalForm, TargetForm
from apps.kpis.forms.logs import DELIMITERS, ENCODINGS, LogFileForm, LogReadingForm

__all__ = [
    "DELIMITERS",
    "ENCODINGS",
    "BaselineForm",
    "GoalForm",
    "LogFileForm",
    "LogReadingForm",
    "TargetForm",
]
