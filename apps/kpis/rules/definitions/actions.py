"""How right agents are, what was missed, and what went wrong: the figures of actions and incidents."""

from apps.kpis.rules.definitions.kinds import Behind, Definition, Direction, Unit, count, gettext_noop, share


def _accuracy(key: str, label: str, formula: str, right: str, judged: str) -> Definition:
    return share(key, label, formula, Direction.UP, right, judged, behind=Behind.ACTIONS)


ACTIONS = (
    share(
        "actions_alone",
        gettext_noop("Actions without a person"),
        gettext_noop("agents' actions that were done and of which nobody was asked / agents' actions that ended"),
        Direction.UP,
        "acted_alone",
        "acted",
        behind=Behind.ACTIONS,
    ),
    _accuracy(
        "accuracy",
        gettext_noop("Accuracy of agents"),
        gettext_noop(
            "agents' actions that nobody and nothing found wrong / actions that were judged by one of the three below; "
            "an action counts once"
        ),
        "judged_right",
        "judged",
    ),
    _accuracy(
        "accuracy_decided",
        gettext_noop("Accuracy, as decided"),
        gettext_noop("actions that people approved as asked / actions that they approved, rejected or sent back"),
        "right_by_decision",
        "judged_by_decision",
    ),
    _accuracy(
        "accuracy_reviewed",
        gettext_noop("Accuracy, as reviewed"),
        gettext_noop("actions that a look afterwards found right / actions that people looked at afterwards"),
        "right_by_review",
        "judged_by_review",
    ),
    _accuracy(
        "accuracy_read_back",
        gettext_noop("Accuracy, as read back"),
        gettext_noop("actions of which the system shows what was done / actions whose system was read back"),
        "right_by_reading",
        "judged_by_reading",
    ),
    share(
        "missed_escalations",
        gettext_noop("Missed escalations"),
        gettext_noop(
            "actions done without asking that were taken back, mismatched or reviewed wrong "
            "/ actions done without asking that were taken back, read back or reviewed"
        ),
        Direction.DOWN,
        "missed",
        "judged_alone",
        behind=Behind.ACTIONS,
    ),
    count(
        "denied",
        gettext_noop("Denied attempts"),
        gettext_noop("agents' actions that policy denied, by the time at which they were denied"),
        Direction.DOWN,
        "denied",
        Behind.ACTIONS,
        Unit.ACTIONS,
    ),
    count(
        "incidents",
        gettext_noop("Incidents"),
        gettext_noop(
            "mismatches, unknown effects, reversals, failed compensations, breakers that opened and halts, "
            "by the time at which each began"
        ),
        Direction.DOWN,
        "incidents",
        Behind.INCIDENTS,
        Unit.INCIDENTS,
    ),
)
"""By the time at which the action ended: a judgement that comes later changes the figure of that time."""
