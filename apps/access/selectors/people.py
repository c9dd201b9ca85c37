"""What belongs to one person: absences, tokens, sessions; and whom a directory brought."""

from uuid import UUID

from django.db.models import Q, QuerySet

from apps.access.models import (
    Absence,
    BusinessUnit,
    DirectoryAccount,
    DirectoryGroup,
    PersonalToken,
    RoleGrant,
    Session,
)
from apps.access.selectors.scopes import live_grants
from apps.core.errors import NotFoundError
from apps.core.gate import scope_for
from apps.core.models import ClockTimestamp, User
from apps.core.prepared import Prepared

_away = Prepared(lambda: Absence.objects.filter(Absence.now(), closed_at=None).select_related("user", "delegate"))


def away_now() -> dict[User, User | None]:
    """Everybody who is away now, with their delegate. Few rows: one query along an index of what is not over."""
    rows = _away()
    return {row.user: row.delegate if row.delegate and row.delegate.is_active else None for row in rows}


def absences_for(actor: User, user: User) -> QuerySet[Absence]:
    """The absences of ``user`` that are not over, for themselves and for admins of everything."""
    rows = Absence.objects.filter(user=user, ends_at__gt=ClockTimestamp()).select_related("user", "delegate")
    is_theirs = actor.pk == user.pk or scope_for(actor, "access.manage_access").everywhere
    return (rows if is_theirs else rows.none()).order_by("starts_at")


def absence_for(actor: User, absence_id: UUID) -> Absence:
    """One absence that is not over, of oneself or, for admins of everything, of anybody. Raises NotFoundError."""
    found = (
        Absence.objects.select_related("user", "delegate").filter(pk=absence_id, ends_at__gt=ClockTimestamp()).first()
    )
    if found and (found.user_id == actor.pk or scope_for(actor, "access.manage_access").everywhere):
        return found
    raise NotFoundError


def delegates_for(actor: User) -> QuerySet[User]:
    """The people who may decide where ``actor`` may: one of them can do so in their place."""
    decide = "oversight.decide_escalation"
    scope = scope_for(actor, decide)
    above = dict(BusinessUnit.objects.values_list("pk", "parent_id"))
    units = set(scope.units)
    for unit in scope.units:
        at = above.get(unit)
        while at is not None and at not in units:
            units.add(at)
            at = above.get(at)
    grants = RoleGrant.objects.filter(live_grants(), role__permissions__contains=[decide])
    if not scope.everywhere:
        grants = grants.filter(Q(unit=None) | Q(unit__in=units))
    people = User.objects.filter(pk__in=grants.values("user"), is_active=True, kind="human").exclude(pk=actor.pk)
    return people.order_by("username")


def tokens_for(actor: User) -> QuerySet[PersonalToken]:
    """One's own tokens for scripts, newest first; never their secrets."""
    return PersonalToken.objects.filter(user=actor).order_by("-id")


def own_tokens_for(actor: User, *, dead: int) -> list[PersonalToken]:
    """Those that are live, all of them, then as many of the others; each newest first."""
    rows = tokens_for(actor)
    return [*rows.filter(PersonalToken.live()), *rows.exclude(PersonalToken.live())[:dead]]


def token_for(actor: User, token_id: UUID) -> PersonalToken:
    """One of them. Raises NotFoundError."""
    if found := tokens_for(actor).filter(pk=token_id).first():
        return found
    raise NotFoundError


def sessions_for(actor: User) -> QuerySet[Session]:
    """Where ``actor`` is signed in now, newest first."""
    return Session.objects.filter(Session.live(), user=actor).order_by("-began_at")


def accounts_for(actor: User) -> QuerySet[DirectoryAccount]:
    """The people whom a directory brought, for whoever provisions them."""
    rows = DirectoryAccount.objects.filter(removed_at=None).select_related("user").order_by("created_at", "pk")
    return rows if scope_for(actor, "access.provision_people").everywhere else rows.none()


def directory_groups_for(actor: User) -> QuerySet[DirectoryGroup]:
    """The groups of a directory, for whoever provisions people."""
    rows = DirectoryGroup.objects.order_by("created_at", "pk")
    return rows if scope_for(actor, "access.provision_people").everywhere else rows.none()
