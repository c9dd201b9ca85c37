"""Writing to the ledger, moving rows along their life, and delivering and folding what follows."""

from apps.audit.services.entries import (
    Change,
    advance,
    record,
    record_many,
    recorded_together,
    unit_of,
)
from apps.audit.services.erasing import erase_payloads
from apps.audit.services.projections import read_on, retry_stumbles
from apps.audit.services.reactions import claim_delivery, deliver
from apps.audit.services.refusals import record_refusal, record_stranger, record_unfit_command
from apps.audit.services.sealing import seal_entries

__all__ = [
    "Change",
    "advance",
    "claim_delivery",
    "deliver",
    "erase_payloads",
    "read_on",
    "record",
    "record_many",
    "record_refusal",
    "record_stranger",
    "record_unfit_command",
    "recorded_together",
    "retry_stumbles",
    "seal_entries",
    "unit_of",
]
