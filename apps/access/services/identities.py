"""Commands on who somebody is at an identity provider, and on what that says."""

from datetime import datetime
from hashlib import sha256

from django.db import IntegrityError, transaction

from apps.access.models import Identity, SpentSamlAssertion
from apps.access.services.units import require_manager
from apps.audit.services import record
from apps.core.errors import NotFoundError
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user


@transaction.atomic
def find_signed_on(*, issuer: str, subject: str, email: str) -> User | None:
    """The person whom an identity provider names, or None; nobody is made.

    ``email``: an address that the provider verified and may speak for, else empty. It counts once, for a person whom
    this provider named never before: later on only ``subject`` does. An address that passed to somebody else opens
    nothing, nor does one that two people have.
    """
    known = Identity.objects.select_related("user").filter(issuer=issuer, subject=subject).first()
    if known is not None:
        return known.user if _may_come(known.user) else None
    people = list(User.objects.select_for_update(no_key=True).filter(email__iexact=email)[:2]) if email else []
    if len(people) != 1 or not _may_come(people[0]):
        return None
    person = people[0]
    if before := Identity.objects.filter(issuer=issuer, user=person).first():
        return person if before.subject == subject else None  # the same again: another tab, a moment earlier
    Identity.objects.create(user=person, issuer=issuer, subject=subject)
    record(system_user("plane"), person, "user.identity_linked", payload={"issuer": issuer})
    return person


def _may_come(user: User) -> bool:
    """An emergency account never does: what opens it is apart from every provider."""
    return user.is_active and user.is_human and not user.is_emergency


def spend_assertion(*, issuer: str, assertion: str, until: datetime) -> bool:
    """Whether an assertion comes for the first time; whoever comes second, however close, is told so.

    ``until``: when it is too old to be taken. Called outside of other transactions: what was shown is spent, whatever
    becomes of it.
    """
    digest = sha256(f"{issuer}\x00{assertion}".encode()).hexdigest()
    try:
        with transaction.atomic():
            SpentSamlAssertion.objects.create(digest=digest, until=until)
    except IntegrityError:
        return False
    return True


def forget_assertions() -> int:
    """Delete what is noted of assertions that are too old by now; how many."""
    return SpentSamlAssertion.objects.filter(until__lte=ClockTimestamp()).delete()[0]


@transaction.atomic
def unlink_identities(actor: User, *, user: User) -> int:
    """Forget who somebody is at identity providers; how many were forgotten. Their next sign-in goes by address."""
    require_manager(actor, None)
    rows = list(Identity.objects.select_for_update().filter(user=user))
    if not rows:
        raise NotFoundError
    for row in rows:
        row.delete()
        record(actor, user, "user.identity_unlinked", payload={"issuer": row.issuer})
    return len(rows)
