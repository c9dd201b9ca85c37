"""Prove that the ledger says what was written."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.audit.selectors import proof_for
from apps.core.services import system_user


class Command(BaseCommand):
    """``manage.py audit_verify [--size N --root HEX]``: exit status 1 when anything does not fit.

    It names what was erased, and prints the root of the tree over all sealed entries. Who keeps that line elsewhere can
    prove later that these entries are still the same, whatever was added.
    """

    help = "Check every entry against its leaf, its payload against its commitment, every erasure against its entry."

    def add_arguments(self, parser: CommandParser) -> None:
        """What was noted down earlier."""
        parser.add_argument("--size", type=int, help="how many entries were sealed then")
        parser.add_argument("--root", help="the root that was printed then, in hex")

    def handle(self, *args: Any, **options: Any) -> None:
        """What holds, what was erased by whom, and what does not fit."""
        size, root = options["size"], options["root"]
        if size is not None and size < 0:
            raise CommandError("--size counts sealed entries: it is 0 or more.")
        if (size is None) != (root is None):
            raise CommandError("--size and --root belong together: both stand on the last line of an earlier run.")
        proof = proof_for(system_user("console"), size=size)
        for one in proof.erasures:
            self.stdout.write(f"erased: {one.payloads} payloads by {one.by} at {one.at.isoformat()}, entry {one.entry}")
        wrong = [f"entry {number}: {what}" for number, what in proof.mismatches]
        if root is not None and (proof.leaves, proof.root) != (size, root.lower()):
            wrong.append(f"The first {size} sealed entries are not those whose root was {root}.")
        if wrong:
            raise CommandError("\n".join(wrong))
        erased = sum(one.payloads for one in proof.erasures)
        self.stdout.write(f"{proof.entries} entries hold; {erased} payloads are erased.")
        since = f", the oldest of {proof.unsealed_since.isoformat()}" if proof.unsealed_since else ""
        numbers = ", ".join(map(str, proof.stumbles))
        stumbles = f"; {len(proof.stumbles)} could not be sealed: entry {numbers}" if numbers else ""
        self.stdout.write(f"{proof.sealed} are sealed; {proof.unsealed} are not yet{since}{stumbles}.")
        self.stdout.write(f"size {proof.leaves} root {proof.root}")
