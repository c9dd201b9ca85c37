"""How much of the time things could be relied on: read from what the plane itself looked at, minute by minute."""

from apps.kpis.rules.definitions.kinds import Behind, Definition, Direction, gettext_noop, share

RELIED = (
    share(
        "uptime_agents",
        gettext_noop("Uptime of agents"),
        gettext_noop(
            "observed service minutes in which an agent held a task or made a call with a live key, and nobody had "
            "suspended or stopped it / observed service minutes of agents in pilot, active or suspended"
        ),
        Direction.UP,
        "agents_up",
        "agents_seen",
        behind=Behind.MINUTES,
    ),
    share(
        "uptime_connectors",
        gettext_noop("Uptime of systems"),
        gettext_noop("calls and probes that a system answered without trouble / all calls and probes, of tests none"),
        Direction.UP,
        "calls_answered",
        "calls_made",
        behind=Behind.CALLS,
    ),
    share(
        "uptime_workflows",
        gettext_noop("Uptime of workflows"),
        gettext_noop(
            "observed service minutes in which a new run could have proceeded / observed service minutes of workflows "
            "with a published version: a version is active, nothing it needs is stopped, each of its agent steps has "
            "an agent at work, none of its systems is disabled or in an outage"
        ),
        Direction.UP,
        "workflows_up",
        "workflows_seen",
        behind=Behind.MINUTES,
    ),
)

UPTIME: dict[str, Definition] = {one.key: one for one in RELIED}
