"""Writing, checking and publishing policies."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.services import require_manager, require_two_by_name
from apps.access.services.units import write_if_changed
from apps.audit.services import advance, record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.expressions.trial import slow_expressions
from apps.core.models import ClockTimestamp, User
from apps.core.rules import digest_of
from apps.policies.models import Policy, PolicyVersion, Proposal, Release
from apps.policies.rules import (
    WORLD,
    Finding,
    PolicyState,
    ProposalKind,
    ProposalState,
    check_rules,
    compile_rule,
    lint_rules,
    read_cases,
    read_rules,
    taken_names,
)
from apps.policies.selectors import (
    in_words,
    is_earlier,
    is_tightened_by,
    known_for,
    may_release,
    releasers_for,
    rights_to_release,
    try_rules,
    unit_of_version,
    units_known,
)
from apps.policies.services.waivers import end_moved

PUBLISH, LOWER = "policies.publish_policy", "policies.lower_enforcement"

type Schemas = Mapping[str, Mapping[str, Any]]
"""Parameter schemas of operations by slug. None: ask whom ``settings.POLICY_OPERATIONS`` names, as a sibling floor
keeps them; without it they are not checked."""


def check_policy(
    actor: User,
    *,
    rules: object,
    tests: object = (),
    operations: Schemas | None = None,
    policy: Policy | None = None,
    is_written: bool = False,
) -> tuple[Finding, ...]:
    """Everything wrong with ``rules`` and ``tests`` as a document has them, and warnings. Writes nothing.

    ``policy``: whose rules they would be; what one in force names may stay in it. ``is_written``: they are those of a
    version, which its author could name; else what ``actor`` may not see is not there.
    """
    read, findings = read_rules(rules)
    named = [rule.slug for rule in read]
    misfits = read_cases(tests, rules=named, units=units_known(actor))[1] if tests != () else ()
    asked = getattr(settings, "POLICY_IRREVERSIBLE", "")
    odd = lint_rules(read, irreversible=import_string(asked)() if asked else ())
    in_force = policy.in_force if policy else None
    known = known_for(actor, read, operations=operations, in_force=in_force, is_written=is_written)
    return findings + taken_names(read) + check_rules(read, known) + odd + misfits


def require_sound(
    actor: User,
    rules: object,
    operations: Schemas | None = None,
    *,
    tests: object = (),
    policy: Policy | None = None,
    is_written: bool = False,
) -> None:
    """Raise InvalidError for rules and tests that do not fit, at the fields of each."""
    errors: dict[str, list[str]] = {}
    found = check_policy(actor, rules=rules, tests=tests, operations=operations, policy=policy, is_written=is_written)
    for finding in found:
        if not finding.is_warning:
            errors.setdefault(finding.field, []).append(str(finding))
    if errors:
        raise InvalidError(_("The rules do not fit."), errors=errors)


def require_passed(actor: User, rules: object, tests: object, *, unit: str) -> None:
    """Raise InvalidError ``tests_failed`` where sound rules fail their tests: what was expected, and what came."""
    results = try_rules(actor, rules=rules, tests=tests, unit=unit)
    errors = {f"tests.{place}": [in_words(found)] for place, found in enumerate(results) if not found.has_passed}
    if errors:
        said = _("%(failed)d of %(all)d tests fail, so these rules are not released.")
        raise InvalidError(said % {"failed": len(errors), "all": len(results)}, code="tests_failed", errors=errors)


def require_quick(rules: list[dict[str, Any]]) -> None:
    """Raise InvalidError for rules that are too slow at their worst: every agent would wait for them."""
    programs = [compile_rule(rule).program for rule in read_rules(rules)[0]]
    places = {id(program): place for place, program in enumerate(programs)}
    if slow := slow_expressions(programs, WORLD):
        words = _("This takes more than a second on facts as large as they may be.")
        raise InvalidError(
            _("The rules do not fit."), errors={f"rules.{places[id(program)]}.when": [words] for program in slow}
        )


@transaction.atomic
def save_policy(
    actor: User,
    *,
    slug: str,
    name: str,
    rules: list[dict[str, Any]],
    tests: Sequence[Mapping[str, Any]] = (),
    unit: BusinessUnit | None = None,
    operations: Schemas | None = None,
) -> tuple[Policy, str]:
    """Write a policy's next version, not yet in force; the policy and ``created``, ``changed`` or ``unchanged``.

    Without a unit it covers everything. A policy that was in force goes on to cover what it does until the version is
    released. Raises InvalidError with line and column for rules that do not compile or
    name nothing, and for tests that cannot be run. Tests may fail as long as it is not released.
    """
    require_manager(actor, unit, PUBLISH)
    rows = Policy.objects.select_for_update(no_key=True, of=("self",)).select_related("unit", "latest", "in_force")
    found = rows.filter(slug=slug).first()
    if found:
        require_manager(actor, found.unit, PUBLISH)
    require_sound(actor, rules, operations, tests=tests, policy=found)
    policy = found or Policy(slug=slug)
    values: dict[str, Any] = {"name": name or slug}
    if policy.state == PolicyState.DRAFT:
        values["unit"] = unit
    outcome = write_if_changed(actor, policy, is_new=found is None, values=values)
    covered = unit.slug if unit else ""
    if policy.latest and policy.latest.digest == version_digest(covered, rules, tests):
        return policy, outcome
    policy.latest = next_version(actor, policy, covered=covered, rules=rules, tests=tests)
    Policy.objects.filter(pk=policy.pk).update(latest=policy.latest)
    return policy, "changed" if outcome == "unchanged" else outcome


def version_digest(covered: str, rules: object, tests: Sequence[object] = ()) -> str:
    """The digest of a version: of all that it says. Without tests it is what it was before there were any."""
    return digest_of({"unit": covered, "rules": rules, **({"tests": list(tests)} if tests else {})})


def next_version(
    actor: User, policy: Policy, *, covered: str, rules: list[dict[str, Any]], tests: Sequence[Mapping[str, Any]]
) -> PolicyVersion:
    """Write down the next version of a locked policy; what is proposed only is not its latest."""
    number = (policy.versions.aggregate(last=Max("number"))["last"] or 0) + 1
    digest = version_digest(covered, rules, tests)
    version = PolicyVersion.objects.create(
        policy=policy, number=number, unit=covered, rules=rules, tests=list(tests), digest=digest, author=actor
    )
    record(actor, version, "created", payload={"policy": policy.slug, "number": number, "digest": digest})
    return version


@transaction.atomic
def publish_policy(
    actor: User,
    *,
    policy: Policy,
    version: int | None = None,
    digest: str = "",
    instead_of: int | None = None,
    operations: Schemas | None = None,
) -> Release:
    """Put a version in force (the latest, or another by number): a new release, acting on the next request.

    Somebody else than its author does, unless it only tightens. The version of a proposal to retire takes the policy
    out of force. ``digest`` and ``instead_of`` are what the person saw, where they say so: the rules, and the number
    of the version that was in force (0: none). What lowers enforcement takes ``policies.lower_enforcement`` as well.
    Raises NotAllowedError ``not_eligible`` for the author and for whoever may not lower, with who may;
    ConflictError if that version is in force already, was before (it comes back by ``roll_back_policy``), was
    declined, or is not what was seen (``stale``); InvalidError if its rules no longer fit or fail their tests
    (``tests_failed``).
    """
    return _publish(
        actor, policy, version, digest=digest, instead_of=instead_of, operations=operations, is_reviewed=False
    )


def _publish(
    actor: User,
    policy: Policy,
    version: int | None = None,
    *,
    digest: str = "",
    instead_of: int | None = None,
    operations: Schemas | None,
    is_reviewed: bool,
    agreed_by: User | None = None,
) -> Release:
    require_manager(actor, policy.unit, PUBLISH)
    take_turn()
    rows = Policy.objects.select_for_update(no_key=True, of=("self",)).select_related("unit", "latest", "in_force")
    policy = rows.get(pk=policy.pk)
    chosen = policy.latest if version is None else policy.versions.filter(number=version).first()
    if chosen is None:
        raise NotFoundError(_("There is no such version."))
    moved_to = unit_of_version(actor, chosen)
    if chosen.unit and moved_to is None:
        raise ConflictError(_("The unit %s, which it covers, is gone.") % chosen.unit)
    require_manager(actor, moved_to, PUBLISH)
    if policy.state == PolicyState.IN_FORCE and policy.in_force_id == chosen.pk:
        raise ConflictError(_("This version is in force already."))
    _refuse_unseen(policy, chosen, digest, instead_of)
    if is_reviewed:
        _require_agreement(actor, policy, chosen, agreed_by)
    else:
        _refuse_earlier(policy, chosen)
        _refuse_author(actor, policy, chosen)
    going = policy.proposals.filter(version=chosen, kind=ProposalKind.RETIRE).first()
    if going is None:
        _put_in_force(actor, policy, chosen, moved_to, operations)
    else:
        advance(actor, policy, PolicyState.RETIRED, payload={"reason": going.reason}, in_force=None)
    _settle_proposals(actor, policy, chosen)
    return _write_release(actor, note=f"{policy.slug} {'retired' if going else f'v{chosen.number}'}")


def _put_in_force(
    actor: User, policy: Policy, chosen: PolicyVersion, unit: BusinessUnit | None, operations: Schemas | None
) -> None:
    require_sound(actor, chosen.rules, operations, tests=chosen.tests, policy=policy, is_written=True)
    require_quick(chosen.rules)
    require_passed(actor, chosen.rules, chosen.tests, unit=chosen.unit)
    if policy.unit != unit:
        end_moved(actor, policy=policy)
    advance(
        actor,
        policy,
        PolicyState.IN_FORCE,
        payload={"number": chosen.number, "digest": chosen.digest},
        in_force=chosen,
        unit=unit,
        latest=chosen if policy.latest is None or chosen.number > policy.latest.number else policy.latest,
    )


def _refuse_unseen(policy: Policy, chosen: PolicyVersion, digest: str, instead_of: int | None) -> None:
    """Raise ConflictError ``stale`` where what would change is not what the person read, or what was proposed."""
    now = policy.in_force.number if policy.in_force else 0
    proposal = Proposal.objects.filter(version=chosen).first()
    over = {ProposalState.DECLINED, ProposalState.SUPERSEDED}
    if proposal is not None and proposal.kind == ProposalKind.RETIRE:
        over |= {ProposalState.RELEASED}  # it is in force no more since, and two wanted that, not this
    if proposal is not None and proposal.state in over:
        raise ConflictError(_("This proposal is over; propose it anew."), state=proposal.state)
    is_old = proposal is not None and proposal.state == ProposalState.OPEN and proposal.base_id != policy.in_force_id
    if is_old or (digest and digest != chosen.digest) or (instead_of is not None and instead_of != now):
        raise ConflictError(_("Something else came into force since; look at it again."), code="stale", version=now)


def _refuse_earlier(policy: Policy, chosen: PolicyVersion) -> None:
    """Who wrote an earlier version wanted it then; that it comes back now is one person's wish, so another agrees."""
    if is_earlier(policy, chosen):
        raise ConflictError(
            _("Version %d is no newer than what was in force: propose to roll back to it.") % chosen.number
        )


def _refuse_author(actor: User, policy: Policy, chosen: PolicyVersion) -> None:
    if may_release(actor, policy, chosen):
        return
    others = [person for person in releasers_for(actor, policy, chosen) if person.pk != actor.pk]
    is_own = chosen.author_id == actor.pk
    words = (
        _("You wrote it, so somebody else releases it: %s.")
        if is_own
        else _("It lowers what is enforced, which you may not; these people may: %s.")
    )
    raise not_eligible(words, why="policy_author" if is_own else "lowers_enforcement", others=others)


def not_eligible(words: str, *, why: str, others: Sequence[User]) -> NotAllowedError:
    """The error for who wants to release what takes somebody else; ``words`` with a place for who that may be."""
    names = ", ".join(map(str, others)) or _("nobody may")
    return NotAllowedError(words % names, code="not_eligible", why=why, may=[person.username for person in others])


def _require_agreement(actor: User, policy: Policy, chosen: PolicyVersion, agreed_by: User | None) -> None:
    """Documents count as reviewed; in production what does not only tighten still takes two people by name."""
    if settings.IN_PRODUCTION and not is_tightened_by(policy, chosen):
        rights = rights_to_release(actor, policy, chosen)
        require_two_by_name(actor, policy, second=agreed_by, rights=rights, at="rules")


def _settle_proposals(actor: User, policy: Policy, chosen: PolicyVersion) -> None:
    """What was proposed is released with its version; what was proposed beside it changes something that is gone."""
    for proposal in policy.proposals.filter(state=ProposalState.OPEN).select_related("version").order_by("id"):
        to = ProposalState.RELEASED if proposal.version_id == chosen.pk else ProposalState.SUPERSEDED
        told = {"version": proposal.version.number, "digest": proposal.version.digest}
        advance(actor, proposal, to, payload=told, decided_by=actor, decided_at=ClockTimestamp())


@transaction.atomic
def apply_policy(
    actor: User,
    *,
    slug: str,
    name: str,
    rules: list[dict[str, Any]],
    tests: Sequence[Mapping[str, Any]] = (),
    unit: BusinessUnit | None = None,
    operations: Schemas | None = None,
    agreed_by: User | None = None,
) -> tuple[Policy, str]:
    """Write a policy and put it in force at once, as documents do; the policy and what happened to it.

    Where what is in force says the same, a draft ahead of it stays a draft.
    In production what does not only tighten takes a person and, as ``agreed_by``, another who may release it.
    """
    take_turn()  # before the policy is locked, as every publication does
    rows = Policy.objects.select_for_update(no_key=True, of=("self",)).select_related("unit", "in_force")
    found = rows.filter(slug=slug, state=PolicyState.IN_FORCE).first()
    digest = version_digest(unit.slug if unit else "", rules, tests)
    if found and found.in_force and found.in_force.digest == digest:
        require_manager(actor, found.unit, PUBLISH)
        return found, write_if_changed(actor, found, is_new=False, values={"name": name or slug})
    policy, outcome = save_policy(
        actor, slug=slug, name=name, rules=rules, tests=tests, unit=unit, operations=operations
    )
    if policy.state != PolicyState.IN_FORCE or policy.is_ahead:
        _publish(actor, policy, operations=operations, is_reviewed=True, agreed_by=agreed_by)
        policy.refresh_from_db()
        outcome = "changed" if outcome == "unchanged" else outcome
    return policy, outcome


def take_turn() -> None:
    """One publication at a time: each release is the whole set, so two at once would lose one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('policies.release', 0))")


def _write_release(actor: User, *, note: str) -> Release:
    in_force = Policy.objects.filter(state=PolicyState.IN_FORCE).select_related("in_force__author").order_by("slug")
    policies = [
        {
            "policy": policy.slug,
            "version": policy.in_force.number,
            "unit": policy.in_force.unit,
            "author": policy.in_force.author.username,
            "digest": policy.in_force.digest,
            "rules": policy.in_force.rules,
        }
        for policy in in_force
        if policy.in_force
    ]
    last = Release.objects.order_by("-number").values_list("number", flat=True).first()
    release = Release.objects.create(
        number=(last or 0) + 1, policies=policies, digest=digest_of(policies), published_by=actor, note=note
    )
    record(
        actor,
        release,
        "release.published",
        payload={
            "number": release.number,
            "digest": release.digest,
            "note": note,
            "policies": {policy["policy"]: policy["version"] for policy in policies},
        },
    )
    return release
