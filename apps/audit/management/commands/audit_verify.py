"""Prove that the ledger says what was written."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.audit.selectors import proof_for
from apps.core.services import system_user


class Command(BaseCommand):
    """``manage.py audit_verify``: names what was erased; exit status 1 when anything does not fit."""

    help = "Check every entry's payload against its commitment, and every erasure against its entry."

    def handle(self, *args: Any, **options: Any) -> None:
        """What holds, what was erased by whom, and what does not fit."""
        proof = proof_for(system_user("console"))
        for one in proof.erasures:
            self.stdout.write(f"erased: {one.payloads} payloads by {one.by} at {one.at.isoformat()}, entry {one.entry}")
        if proof.mismatches:
            raise CommandError("\n".join(f"entry {number}: {wrong}" for number, wrong in proof.mismatches))
        erased = sum(one.payloads for one in proof.erasures)
        self.stdout.write(f"{proof.entries} entries hold; {erased} payloads are erased.")
