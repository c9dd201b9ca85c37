"""What an agent's tasks take and cost: the figures by which two versions of an agent are compared, and nothing else."""

from collections.abc import Mapping

from apps.kpis.rules.definitions.kinds import Definition, Direction, Kind, Unit, gettext_noop, percentile

_OF_TASKS = (
    percentile(
        "task_time_p50_s",
        gettext_noop("Time per task, median"),
        gettext_noop(
            "from when the agent took a task to when it handed it in, without the time in which people decided on what "
            "it asked for meanwhile; of tasks that were done"
        ),
        0.5,
        "task",
        "tasks_done",
    ),
    Definition(
        key="cost_per_task_minor",
        label=gettext_noop("Cost per task"),
        formula=gettext_noop(
            "models, the agent's own cost and the calls that it asked for, of every task that it took, given back and "
            "failed ones too / tasks that were done"
        ),
        unit=Unit.MINOR,
        direction=Direction.DOWN,
        kind=Kind.QUOTIENT,
        numerator="task_micro",
        denominator="tasks_done",
        members="tasks_done",
    ),
)
TASKS: Mapping[str, Definition] = {one.key: one for one in _OF_TASKS}
"""By the time at which the agent was done with the task."""
