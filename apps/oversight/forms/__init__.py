"""What a person may type: filters of the inbox, a decision, edited parameters, an answer, a comment."""

from apps.oversight.forms.decisions import REASONS, RETRY, CommentForm, DecisionForm
from apps.oversight.forms.filters import FATES, InboxFilter, SavedViewForm
from apps.oversight.forms.values import ValueForm, answer_form, parameters_form

__all__ = [
    "FATES",
    "REASONS",
    "RETRY",
    "CommentForm",
    "DecisionForm",
    "InboxFilter",
    "SavedViewForm",
    "ValueForm",
    "answer_form",
    "parameters_form",
]
