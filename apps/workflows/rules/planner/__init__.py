"""The planner: compiled definition, state of a run and one event in; commands out. No clock, no database, no dice.

``Planner`` holds the state of one run while a transaction advances it: ``on`` takes an event, changes the state in
memory and says what must be done about it. The engine saves the state and does the commands; what they bring about at
once comes back as further events.
"""

from apps.workflows.rules.planner.machine import Planner

__all__ = ["Planner"]
