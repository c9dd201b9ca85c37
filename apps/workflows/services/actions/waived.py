"""Waivers of a request: what lifts a rule for it is taken with it, or the rule has its say after all."""

from collections.abc import Callable, Collection
from uuid import UUID

from django.db import transaction

from apps.agents.models import Action
from apps.policies.rules import Verdict
from apps.policies.services.waivers import WaiverOverError


def within_waivers(judge: Callable[[Collection[UUID]], Verdict], act: Callable[[Verdict], Action]) -> Action:
    """What ``act`` makes of the verdict, with a use of each waiver that it counts on.

    Of a waiver that others took meanwhile everything is undone, and ``judge`` asked again without it. Where no waiver
    is, nothing is added to either.
    """
    over: set[UUID] = set()
    while True:
        verdict = judge(over)
        if not verdict.waivers:
            return act(verdict)
        try:
            with transaction.atomic():
                return act(verdict)
        except WaiverOverError as error:
            over.add(error.waiver)
