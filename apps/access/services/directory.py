"""Commands of a directory that provisions people (SCIM): who is there, who has left, in which groups they are.

Who calls holds ``access.provision_people`` everywhere. What follows for roles and accounts is done by the system user
``directory`` through the same commands as by hand; it grants what mappings say, which people who manage access made.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.models import BusinessUnit, DirectoryAccount, DirectoryGroup, GroupMapping, Role, RoleGrant
from apps.access.rules.mappings import roles_moved
from apps.access.rules.scim import GroupChange, Person
from apps.access.selectors import DIRECTORY, RESERVED, live_grants
from apps.access.services.grants import end_person, grant_role, revoke_role
from apps.access.services.people import save_person
from apps.access.services.sessions import end_sessions_of
from apps.access.services.turns import take_turn
from apps.access.services.units import require_manager, write_if_changed
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user

PROVISION = "access.provision_people"
SAID_MEANWHILE = gettext_lazy("Somebody else has just made a line of this name. Look at it first, then save again.")
ENDED_MEANWHILE = gettext_lazy("Somebody else has just ended this line. Save it as a new one if it is still wanted.")


@transaction.atomic
def provision_person(actor: User, *, person: Person) -> DirectoryAccount:
    """Make a person as the directory says, or bring back one that it forgot. Raises ConflictError for one of others.

    Nobody who was here before becomes the directory's by being named by it: it could end or rename whom it likes.
    """
    require_manager(actor, None, PROVISION)
    take_turn()
    assert person.username
    found = User.objects.select_for_update(no_key=True).filter(username__iexact=person.username).first()
    account = DirectoryAccount.objects.filter(user=found).first() if found else None
    is_forgotten = bool(found and account and account.removed_at and account.ended and not found.is_active)
    if (found and not is_forgotten) or person.username.lower() in RESERVED:
        raise ConflictError(_("There is somebody of this name."))
    _require_own(person, found)
    username = found.username if found else person.username
    directory = system_user(DIRECTORY)
    user, _outcome = save_person(
        directory,
        username=username,
        name=person.name or username,
        email=person.email or "",
        reinstate=is_forgotten,
    )
    values = {"external_id": person.external_id or "", "removed_at": None, "ended": False}
    row = account or DirectoryAccount(user=user)
    write_if_changed(actor, row, is_new=account is None, values=values)
    if person.active is False:
        _end(row)
    row.refresh_from_db()
    return row


@transaction.atomic
def change_person(actor: User, *, account: DirectoryAccount, person: Person) -> DirectoryAccount:
    """Change what the directory said of its person; what it left out stays. Ended, all they held goes at once.

    Whom people ended here the directory does not bring back: it may not even know.
    """
    require_manager(actor, None, PROVISION)
    take_turn()
    row = DirectoryAccount.objects.select_for_update(of=("self",)).select_related("user").get(pk=account.pk)
    user = row.user
    if person.username is not None and person.username.lower() != user.username.lower():
        raise InvalidError(errors={"userName": [_("A user name stays: the ledger and rotas name people by it.")]})
    _require_own(person, user)
    before = (user.name, user.email, user.is_active, row.external_id)
    if person.external_id is not None:
        write_if_changed(actor, row, is_new=False, values={"external_id": person.external_id})
    if person.active is False and user.is_active:
        _end(row)
    elif user.is_active:
        _save(user, person)
    elif person.active and row.ended:
        _save(user, person, reinstate=True)
        write_if_changed(actor, row, is_new=False, values={"ended": False})
        sync_roles([user.pk])
    user.refresh_from_db()
    if (user.name, user.email, user.is_active, row.external_id) != before:
        DirectoryAccount.objects.filter(pk=row.pk).update(changed_at=ClockTimestamp())
    row.refresh_from_db()
    return row


def _save(user: User, person: Person, *, reinstate: bool = False) -> None:
    save_person(
        system_user(DIRECTORY),
        username=user.username,
        name=user.name if person.name is None else person.name,
        email=user.email if person.email is None else person.email,
        reinstate=reinstate,
    )


def _require_own(person: Person, user: User | None) -> None:
    """Raise ConflictError where somebody else has this address, or this name in the directory: both find people."""
    others = User.objects.exclude(pk=user.pk) if user else User.objects.all()
    if person.email and others.filter(email__iexact=person.email).exists():
        raise ConflictError(_("Somebody else has this address."))
    accounts = DirectoryAccount.objects.filter(removed_at=None, external_id=person.external_id or "")
    if person.external_id and accounts.exclude(user=user).exists():
        raise ConflictError(_("Somebody else has this externalId."))


@transaction.atomic
def forget_person(actor: User, *, account: DirectoryAccount) -> None:
    """End the directory's person, whom it deletes. Who decided what stays in the ledger, so nobody is erased."""
    require_manager(actor, None, PROVISION)
    take_turn()
    row = DirectoryAccount.objects.select_for_update(of=("self",)).select_related("user").get(pk=account.pk)
    if row.user.is_active:
        _end(row)
    for group in row.user.directory_groups.all():
        _move(actor, group, removed=[row.user])
    DirectoryAccount.objects.filter(pk=row.pk).update(removed_at=ClockTimestamp())
    record(actor, row, "removed", payload={"user": row.user.username})


def _end(row: DirectoryAccount) -> None:
    """No session, no token, no role from the next request on; what follows of that is told by the ledger."""
    directory = system_user(DIRECTORY)
    end_sessions_of(directory, user=row.user)
    end_person(directory, user=row.user, reason="The directory says that they have left.")
    DirectoryAccount.objects.filter(pk=row.pk).update(ended=True)


@transaction.atomic
def save_group(actor: User, *, group: DirectoryGroup | None, change: GroupChange) -> DirectoryGroup:
    """Make or change a group, and give and take the roles that follow. Raises ConflictError for a taken name."""
    require_manager(actor, None, PROVISION)
    take_turn()
    found = DirectoryGroup.objects.select_for_update().get(pk=group.pk) if group else DirectoryGroup()
    named = {"name": change.name, "external_id": change.external_id}
    values = {key: value for key, value in named.items() if value is not None}
    if change.name and DirectoryGroup.objects.filter(name=change.name).exclude(pk=found.pk).exists():
        raise ConflictError(_("There is a group of this name."))
    was = found.name
    outcome = write_if_changed(actor, found, is_new=group is None, values=values)
    there = set(found.members.values_list("pk", flat=True))
    wanted = ((there if change.members is None else set(change.members)) | change.added) - change.removed
    come, gone = _members(wanted - there), list(User.objects.filter(pk__in=there - wanted))
    _move(actor, found, added=come, removed=gone)
    touched = {user.pk for user in (*come, *gone)} | (there if found.name != was else set())
    if touched and GroupMapping.objects.filter(group__in=[was, found.name]).exists():
        sync_roles(touched)
    if group and (come or gone or outcome == "changed"):
        DirectoryGroup.objects.filter(pk=found.pk).update(changed_at=ClockTimestamp())
    found.refresh_from_db()
    return found


def _members(ids: Iterable[UUID]) -> list[User]:
    """The directory's own people of these ids. Raises InvalidError where one is none of them."""
    wanted = set(ids)
    found = list(
        User.objects.filter(pk__in=wanted, directory_account__removed_at=None, directory_account__isnull=False)
    )
    if len(found) != len(wanted):
        raise InvalidError(errors={"members": [_("A member is no person whom the directory brought.")]})
    return found


def _move(actor: User, group: DirectoryGroup, *, added: Iterable[User] = (), removed: Iterable[User] = ()) -> None:
    come, gone = list(added), list(removed)
    if not come and not gone:
        return
    group.members.add(*come)
    group.members.remove(*gone)
    names = {"added": sorted(user.username for user in come), "removed": sorted(user.username for user in gone)}
    record(actor, group, "directorygroup.moved", payload={"name": group.name, **names})


@transaction.atomic
def remove_group(actor: User, *, group: DirectoryGroup) -> None:
    """Remove a group, and the roles that followed from it alone."""
    require_manager(actor, None, PROVISION)
    take_turn()
    found = DirectoryGroup.objects.select_for_update().get(pk=group.pk)
    members = list(found.members.all())
    _move(actor, found, removed=members)
    record(actor, found, "removed", payload={"name": found.name})
    found.delete()
    sync_roles([user.pk for user in members])


def sync_roles(people: Iterable[UUID]) -> None:
    """Give these people the roles that mappings say of their groups, and take what followed from groups no longer.

    What somebody granted by hand is neither doubled nor taken.
    """
    directory = system_user(DIRECTORY)
    for user in User.objects.select_for_update(no_key=True).filter(pk__in=set(people)).order_by("pk"):
        groups = user.directory_groups.values("name")
        rows = GroupMapping.objects.select_related("role", "unit").filter(group__in=groups)
        wanted = {(row.role_id, row.unit_id): row for row in rows} if user.is_active else {}
        held = list(RoleGrant.objects.select_related("role", "unit").filter(live_grants(), user=user))
        moved = roles_moved(wanted, {(grant.role_id, grant.unit_id): grant.provisioned for grant in held})
        for grant in held:
            if (grant.role_id, grant.unit_id) in moved.lost:
                revoke_role(directory, grant=grant, reason="No group of the directory says so any more.")
        for key in moved.gained:
            given = grant_role(directory, user=user, role=wanted[key].role, unit=wanted[key].unit)
            RoleGrant.objects.filter(pk=given.pk).update(provisioned=True)


@transaction.atomic
def save_mapping(
    actor: User, *, slug: str, group: str, role: Role, unit: BusinessUnit | None, is_new: bool | None = None
) -> tuple[GroupMapping, str]:
    """Say that a group of the directory holds a role. Whoever says so may give the role, before and after.

    They are not in the group: nobody gives a role to themselves (NotAllowedError).

    ``is_new``: whether there is none of this name yet as far as the caller knows; None: either will do. Raises
    ConflictError where that is otherwise by now: what somebody else has just said is never written over.
    """
    require_manager(actor, unit)
    take_turn()
    found = GroupMapping.objects.select_for_update(of=("self",)).select_related("unit").filter(slug=slug).first()
    if found:
        require_manager(actor, found.unit)
    if is_new is not None and is_new != (found is None):
        raise ConflictError(SAID_MEANWHILE if found else ENDED_MEANWHILE)
    says_else = found is None or (found.group, found.role_id, found.unit_id) != (
        group,
        role.pk,
        unit.pk if unit else None,
    )
    if says_else and actor.directory_groups.filter(name=group).exists():
        raise NotAllowedError(_("You are in this group: somebody else who administers says what it holds."))
    was = found.group if found else group
    mapping = found or GroupMapping(slug=slug)
    values = {"group": group, "role": role, "unit": unit}
    try:
        with transaction.atomic():
            outcome = write_if_changed(actor, mapping, is_new=found is None, values=values)
    except IntegrityError as error:
        if "access_groupmapping_slug" not in str(error):
            raise
        raise ConflictError(SAID_MEANWHILE) from error
    if outcome != "unchanged":
        _sync_groups({was, group})
    return mapping, outcome


@transaction.atomic
def remove_mapping(actor: User, *, mapping: GroupMapping) -> GroupMapping:
    """The group holds the role no longer: its people lose it, unless it is theirs for another reason."""
    require_manager(actor, mapping.unit)
    take_turn()
    record(actor, mapping, "removed", payload={"slug": mapping.slug, "group": mapping.group})
    GroupMapping.objects.filter(pk=mapping.pk).delete()
    _sync_groups({mapping.group})
    return mapping


def _sync_groups(names: Iterable[str]) -> None:
    sync_roles(User.objects.filter(directory_groups__name__in=set(names)).values_list("pk", flat=True))


def require_directory(actor: User, carried: object) -> None:
    """Raise NotAllowedError unless this is a token that carries the right to provision people, and says so."""
    if not isinstance(carried, list) or PROVISION not in carried:
        raise NotAllowedError(_("SCIM takes a token that was made with access.provision_people."))
    require_manager(actor, None, PROVISION)
