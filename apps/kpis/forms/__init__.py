"""What a person may type about goals and event logs."""

from apps.kpis.forms.anomalies import MuteForm
from apps.kpis.forms.goals import BaselineForm, GoalForm, TargetForm
from apps.kpis.forms.logs import (
    DELIMITERS,
    ENCODINGS,
    LogFileForm,
    LogReadingForm,
    WorkflowStartForm,
    offered_columns,
    offered_traits,
)
from apps.kpis.forms.prices import AMOUNTS, PriceForm
from apps.kpis.forms.rates import PERS, RateForm

__all__ = [
    "AMOUNTS",
    "DELIMITERS",
    "ENCODINGS",
    "PERS",
    "BaselineForm",
    "GoalForm",
    "LogFileForm",
    "LogReadingForm",
    "MuteForm",
    "PriceForm",
    "RateForm",
    "TargetForm",
    "WorkflowStartForm",
    "offered_columns",
    "offered_traits",
]
