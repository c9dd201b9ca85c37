"""Every code of a problem document: its status, what happened, what to do. The page and the guide show this table.

A contract: adding a code is fine, renaming is not. Texts may hold Markdown's code spans.
"""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Problem:
    """One way to be refused, by one or more codes."""

    status: int
    codes: tuple[str, ...]
    meaning: Any
    remedy: Any


ALL: tuple[Problem, ...] = (
    Problem(400, ("malformed",), _("the bytes are not JSON, have a key twice, or nest too deep"), _("mend the sender")),
    Problem(
        400,
        ("idempotency_key_required",),
        _("no `Idempotency-Key` where one is needed"),
        _("send one per piece of work"),
    ),
    Problem(
        400,
        ("refused",),
        _("it is understood and refused for a reason that has no code of its own; `status` and `detail` say more"),
        _("read `detail`; do not retry the same"),
    ),
    Problem(
        401, ("not_authenticated",), _("no key, or none that the plane knows"), _("`Authorization: Bearer acp_agt_...`")
    ),
    Problem(
        401,
        ("credential_expired", "credential_revoked"),
        _("the key is dead"),
        _("ask an admin for a new one; do not retry"),
    ),
    Problem(
        401,
        ("wrong_resource",),
        _("the token was given for another server or another part of it"),
        _("ask for a token here: `POST /oauth/token`"),
    ),
    Problem(
        401,
        ("network_not_allowed",),
        _("the key may be used from some networks alone, and you call from elsewhere; whoever answers for it is told"),
        _("call from there, or ask an admin for another key"),
    ),
    Problem(
        403,
        ("not_allowed",),
        _(
            "you may not do this, or the address is for people, whatever you send; where your permission covers only "
            "some parameters, `errors` names the others"
        ),
        _("stop this work and say so, or ask for it: `request_access`"),
    ),
    Problem(
        403,
        ("not_cleared",),
        _("the parameters carry data classes that the system is not cleared for: `data_classes`, `errors`"),
        _("leave these parameters out, or say so to whoever manages the system"),
    ),
    Problem(
        403,
        ("second_factor_needed",),
        _("a person's session has proven no second factor, where one is demanded of them"),
        _("for people: set one up on the plane's page"),
    ),
    Problem(
        403,
        ("not_eligible",),
        _(
            "a person who may not decide this item, or not release the rules or approve the baseline that they wrote, "
            "tried to; `why`"
        ),
        _("for people"),
    ),
    Problem(
        403,
        ("agent_inactive",),
        _("the agent is a draft (which acts with a test key alone), suspended or retired"),
        _("stop; its owner can tell why"),
    ),
    Problem(
        403,
        ("operation_quarantined",),
        _("what its system says of the operation changed, and no person has looked at it yet"),
        _("leave it and go on with other work; ask again later"),
    ),
    Problem(
        403,
        ("live_only",),
        _("a test key tries actions alone: runs, tasks, interrupts and usage are live"),
        _("use a live key, once the agent is a pilot"),
    ),
    Problem(
        403,
        ("token_reads_only",),
        _("a personal token that only reads tried to change something"),
        _("for people: use a token that may"),
    ),
    Problem(403, ("csrf_failed",), _("a browser session without its token"), _("for browsers; agents send a key")),
    Problem(
        404,
        ("not_found",),
        _("it does not exist or is not yours; for an operation: you may not use it"),
        _("`GET /me/operations/` says what you may; `request_access` how to ask for it"),
    ),
    Problem(405, ("method_not_allowed",), _("another method is expected"), _("see the OpenAPI document")),
    Problem(
        406,
        ("not_acceptable",),
        _("another type of answer is asked for than the plane has"),
        _("`Accept: application/json`"),
    ),
    Problem(
        408,
        ("request_timeout",),
        _("the body did not arrive within 30 seconds; nothing was done"),
        _("send the same again under the same key"),
    ),
    Problem(409, ("idempotency_conflict",), _("this key came with another body"), _("a new key for new work")),
    Problem(
        409,
        ("previously_rejected",),
        _("a person rejected this; `reason`, `retry`"),
        _("respect `retry`: never, after a change, or after a time"),
    ),
    Problem(
        409,
        ("no_way_back",),
        _("the operation names nothing that takes this back, or its parameters cannot be made"),
        _("undo it in the system itself"),
    ),
    Problem(
        409,
        ("not_safe",),
        _("what the run did may still count, so it does not begin anew"),
        _("for people: look at the run"),
    ),
    Problem(
        409,
        ("already_decided", "already_voted"),
        _("the item is decided (`winner`), or you have voted"),
        _("for people"),
    ),
    Problem(
        409,
        ("drill",),
        _("the item is an announced exercise, with nothing behind it"),
        _("for people: decide it or put it aside"),
    ),
    Problem(409, ("no_drills",), _("the queue has no drills"), _("for people: nothing is left to turn off")),
    Problem(
        409,
        ("not_together",),
        _("the rules have come to let fewer be approved at once"),
        _("for people: decide it alone"),
    ),
    Problem(409, ("stale",), _("what you decide on has changed; `version`"), _("read it again")),
    Problem(
        409,
        ("expired", "superseded", "cancelled", "invalidated"),
        _("the item or grant is over; `by` or `why`"),
        _("ask again if it still matters"),
    ),
    Problem(
        409,
        ("already_consumed", "binding_mismatch"),
        _("the grant is used, or is for other parameters"),
        _("do exactly what was approved, once"),
    ),
    Problem(
        409,
        ("key_held",),
        _("another action that must not run beside this one is under way; `retry_after_s`"),
        _("consume it again after so many seconds; the grant is still yours"),
    ),
    Problem(409, ("lease_lost",), _("the lease ran out or belongs to another"), _("drop the task")),
    Problem(409, ("completion_conflict",), _("the task was completed with another output"), _("drop yours")),
    Problem(409, ("duplicate_key",), _("an open run has this key; `run`"), _("follow that run")),
    Problem(
        409,
        ("unknown_version",),
        _("the version that `Acp-Agent-Version` names, or that the key is bound to, is neither pilot nor active"),
        _("name one that is"),
    ),
    Problem(
        409,
        ("second_person_required",),
        _(
            "one person may not change this of a high-risk agent alone, nor move what something holds (`leaves`), nor "
            "give a unit another currency"
        ),
        _("for people: `POST /agents/{slug}/changes/`, and somebody else agrees"),
    ),
    Problem(
        409,
        ("gate_not_passed",),
        _("the agent has not shown yet what it takes to be active; `criteria`"),
        _("for people: `GET /agents/{slug}/gate/` says what is missing"),
    ),
    Problem(
        409,
        ("has_left",),
        _("the person has left, and stays out"),
        _("for people: `reinstate` says that they come back; until then they are given no role"),
    ),
    Problem(409, ("invalid_state",), _("it is not in a state in which this can be done"), _("read it again")),
    Problem(
        409,
        ("not_configured",),
        _("the system lacks what the call needs; nothing was sent"),
        _("an admin completes the system; then ask again"),
    ),
    Problem(413, ("too_large",), _("the body is too big"), _("send less")),
    Problem(
        415, ("unsupported_media_type",), _("another type of body is expected"), _("`Content-Type: application/json`")
    ),
    Problem(422, ("invalid",), _("it parses and does not fit; `errors` by path"), _("mend the fields named")),
    Problem(
        422,
        ("tests_failed",),
        _("a policy's rules fail tests that are stored with them; `errors` says of each what was expected and came"),
        _("for people: mend the rules, or the tests"),
    ),
    Problem(
        423, ("halted",), _("somebody has stopped this; `scope`, `reason`"), _("wait and look again; nothing is lost")
    ),
    Problem(429, ("rate_limited",), _("too many requests; `Retry-After`"), _("wait so long")),
    Problem(
        429,
        ("too_many_at_once",),
        _("you do as many things at once as you may: tasks held, actions being carried out; `Retry-After`"),
        _("end one, then try again"),
    ),
    Problem(
        503,
        ("unavailable",),
        _("a part of the plane is away for a moment"),
        _("send the same again under the same key"),
    ),
)
