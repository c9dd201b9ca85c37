"""The keys of documents of systems and of what can be done in them."""

from apps.agents.rules import EffectClass
from apps.configuration.rules.shapes import (
    Keys,
    ListOf,
    Maybe,
    Object,
    OneOf,
    Ref,
    Text,
    Truth,
    Whole,
)
from apps.connectors.rules import ALL_METHODS, METHODS, ExecutedBy, Idempotency, OnConflict
from apps.connectors.rules.limits import LIMITS as CONNECTOR_LIMITS
from apps.connectors.rules.parameters import CALL
from apps.connectors.rules.pins import Waiting

SLUG = Text(63, 1, r"[a-z0-9][a-z0-9_-]*", "A slug (small letters, digits, - and _)")
OPERATION_SLUG = Text(
    120, 1, r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*", "A slug (small letters, digits, -, _ and dots)"
)
VARIABLE = Text(120, 1, r"[A-Za-z_][A-Za-z0-9_]*", "The name of an environment variable")
NAME = Text(120, 1)
TOOL = Keys({}, {"hints": Object(), "output": Object()})
DESCRIBED = Keys(
    {
        "name": Text(160, 1),
        "method": OneOf((*METHODS, CALL)),
        "path": Text(500, 1),
        "parameters": Object(),
        "idempotency": OneOf(tuple(Idempotency)),
    },
    {"tool": TOOL},
)
PIN = Keys(
    {
        "key": Text(200, 1),
        "digest": Text(71, 71, r"sha256:[0-9a-f]{64}", "A digest (sha256:...)"),
        "definition": DESCRIBED,
        "guess": Keys({"effect": OneOf(tuple(EffectClass)), "reason": Text(300)}),
    },
    {"document": Text(120), "waiting": OneOf(tuple(Waiting)), "proposed": DESCRIBED},
)
"""Of an imported operation: what its document said when a person looked, and what it says since."""
CONNECTOR = Keys(
    {"slug": SLUG, "base_url": Text(500, 1)},
    {
        "name": NAME,
        "adapter": Text(8, 1),
        "allow_internal": Truth(),
        "auth": Object(),
        "limits": Keys({}, {name: Whole(*bounds) for name, bounds in CONNECTOR_LIMITS.items()}),
        "mail": Maybe(
            Keys(
                {"from": Text(254, 3), "recipients": ListOf(Text(253, 1), 50)},
                {"reply_to": Text(254, 3), "tls": OneOf(("none",))},
            )
        ),
        "secret_env": VARIABLE,
        "test_base_url": Text(500),
        "test_allow_internal": Truth(),
        "test_secret_env": VARIABLE,
        "cleared": ListOf(Ref("DataClass")),
        "unit": Maybe(Ref("BusinessUnit")),
    },
)

OPERATION = Keys(
    {
        "slug": OPERATION_SLUG,
        "connector": Ref("Connector"),
        "method": OneOf(ALL_METHODS),
        "path": Text(500, 1),
        "effect": OneOf(tuple(EffectClass)),
    },
    {
        "name": Text(160, 1),
        "parameters": Object(),
        "execution": OneOf(tuple(ExecutedBy)),
        "amount": Maybe(Object()),
        "target": Text(200),
        "consequence": Text(500),
        "idempotency": OneOf(tuple(Idempotency)),
        "timeout_s": Whole(1, 120),
        "compensation": Maybe(Keys({"operation": Ref("Operation")}, {"parameters": Object()})),
        "on_file": Maybe(Keys({"operation": Ref("Operation")}, {"parameters": Object(), "values": Object()})),
        "dry_run": Maybe(Object()),
        "verify": Maybe(
            Keys(
                {"operation": Ref("Operation"), "expect": Text(2048, 1)},
                {"parameters": Object(), "within_s": Whole(0, 3600)},
            )
        ),
        "exclusive": Text(500),
        "on_conflict": OneOf(tuple(OnConflict)),
        "mail": Maybe(Keys({"to": ListOf(Text(254, 1), 20), "subject": Text(300, 1), "body": Text(50_000, 1)}, {})),
        "query": Text(10_000),
        "tool": Maybe(TOOL),
        "fee_minor": Whole(),
        "pinned": PIN,
    },
)
