"""What a person may type: filters of the inbox, a decision, edited parameters, an answer, a comment."""

from apps.core.values import ValueForm
from apps.oversight.forms.access_reviews import LineForm, ReviewForm, TogetherForm
from apps.oversight.forms.decisions import RETRY, CommentForm, DecisionForm
from apps.oversight.forms.drills import DrillForm
from apps.oversight.forms.filters import FATES, PICKED, InboxFilter, SavedViewForm
from apps.oversight.forms.moves import (
    SPANS,
    BulkForm,
    DelegateForm,
    EscalateForm,
    ExtendForm,
    ReassignForm,
    SnoozeForm,
    uuid_of,
)
from apps.oversight.forms.proposing import ProposeForm
from apps.oversight.forms.standing import StandingForm
from apps.oversight.forms.values import Priced, answer_form, parameters_form

__all__ = [
    "FATES",
    "PICKED",
    "RETRY",
    "SPANS",
    "BulkForm",
    "CommentForm",
    "DecisionForm",
    "DelegateForm",
    "DrillForm",
    "EscalateForm",
    "ExtendForm",
    "InboxFilter",
    "LineForm",
    "Priced",
    "ProposeForm",
    "ReassignForm",
    "ReviewForm",
    "SavedViewForm",
    "SnoozeForm",
    "StandingForm",
    "TogetherForm",
    "ValueForm",
    "answer_form",
    "parameters_form",
    "uuid_of",
]
