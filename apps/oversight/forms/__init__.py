"""What a person may type: filters of the inbox, a decision, edited parameters, an answer, a comment."""

from apps.oversight.forms.decisions import REASONS, RETRY, CommentForm, DecisionForm
from apps.oversight.forms.filters import InboxFilter
from apps.oversight.forms.values import ValueForm, answer_form, parameters_form

__all__ = [
    "REASONS",
    "RETRY",
    "CommentForm",
    "DecisionForm",
    "InboxFilter",
    "ValueForm",
    "answer_form",
    "parameters_form",
]
