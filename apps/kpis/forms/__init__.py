"""What a person may type about goals and event logs."""

from apps.kpis.forms.anomalies import MuteForm
from apps.kpis.forms.goals import BaselineForm, GoalForm, TargetForm
from apps.kpis.forms.logs import DELIMITERS, ENCODINGS, LogFileForm, LogReadingForm
from apps.kpis.forms.prices import AMOUNTS, PriceForm

__all__ = [
    "AMOUNTS",
    "DELIMITERS",
    "ENCODINGS",
    "BaselineForm",
    "GoalForm",
    "LogFileForm",
    "LogReadingForm",
    "MuteForm",
    "PriceForm",
    "TargetForm",
]
