"""Commands on secrets: set, rotated at once or with an overlap, destroyed. Nobody reads one back."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from apps.access.services import require_manager
from apps.agents.rules import Environment
from apps.audit.services import record
from apps.connectors.models import Connector, ConnectorSecret
from apps.connectors.rules.places import CREDENTIALS
from apps.connectors.selectors import MANAGE
from apps.core import envelope
from apps.core.errors import InvalidError, NotFoundError
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user

SECRET_MAX = 4096
OVERLAP_S_MAX = 7 * 86_400
MAIN, TEST = CREDENTIALS[Environment.LIVE], CREDENTIALS[Environment.TEST]
DESTROYED = {"sealed": b"", "stands_in_until": None}


@transaction.atomic
def set_secret(
    actor: User, *, connector: Connector, secret: str, credential: str = MAIN, overlap_s: int = 0
) -> tuple[ConnectorSecret, str]:
    """Seal a secret in the place of the one in use; it and ``created``, ``changed`` (rotated) or ``unchanged``.

    The one before is destroyed at once, or stands in for ``overlap_s`` seconds: it is tried where the system answers
    401 to the new one. One that stood in until now is destroyed. The ledger gets fingerprints and versions.
    ``credential``: ``test`` is the secret of the test address; it is never the live one, nor the other way round.
    """
    require_manager(actor, connector.unit, MANAGE)
    connector = Connector.objects.select_for_update(no_key=True, of=("self",)).get(pk=connector.pk)
    _check_secret(connector, secret, overlap_s, credential)
    masters = envelope.master_keys()
    _refuse_shared(connector, credential, {master.fingerprint(secret) for master in masters})
    versions = ConnectorSecret.objects.filter(connector=connector, credential=credential)
    current = versions.filter(replaced_at=None).first()
    if current and current.fingerprint in {master.fingerprint(secret) for master in masters}:
        return current, "unchanged"
    _destroy_older(actor, connector, versions)
    if current:
        _replace(current, overlap_s)
    newest = versions.order_by("-version").first()
    made = ConnectorSecret(
        connector=connector,
        credential=credential,
        version=newest.version + 1 if newest else 1,
        key_id=masters[0].key_id,
        fingerprint=masters[0].fingerprint(secret),
        made_by=actor,
    )
    made.sealed = envelope.seal(masters[0], secret, envelope.place_of(connector.pk, made.pk, made.version))
    made.save(force_insert=True)
    record(
        actor, made, "rotated" if current else "created",
        payload={"connector": connector.slug, "version": made.version, "fingerprint": made.fingerprint,
                 "credential": credential,
                 "overlap_s": overlap_s if current else 0},
    )  # fmt: skip
    return made, "changed" if current else "created"


def _replace(current: ConnectorSecret, overlap_s: int) -> None:
    rows = ConnectorSecret.objects.filter(pk=current.pk)
    if overlap_s:
        until = ClockTimestamp() + timedelta(seconds=overlap_s)
        rows.update(replaced_at=ClockTimestamp(), stands_in_until=until)
    else:
        rows.update(replaced_at=ClockTimestamp(), **DESTROYED)


def _check_secret(connector: Connector, secret: str, overlap_s: int, credential: str) -> None:
    problem = ""
    if not 1 <= len(secret) <= SECRET_MAX or not secret.strip():
        problem = _("From 1 to 4,096 characters.")
    elif not secret.isprintable() or (connector.auth.get("type") != "basic" and not secret.isascii()):
        problem = _("Printable characters only; it travels in a header.")
    elif connector.auth.get("type") == "none":
        problem = _("This connector's auth is “none”: it has no use for a secret.")
    elif credential == TEST and not connector.test_base_url:
        problem = _("This connector has no test address: it has no use for a secret of it.")
    errors = {"secret": [problem]} if problem else {}
    if not 0 <= overlap_s <= OVERLAP_S_MAX:
        errors["overlap_s"] = [_("From 0 to %d seconds.") % OVERLAP_S_MAX]
    if errors:
        raise InvalidError(errors=errors)


def _refuse_shared(connector: Connector, credential: str, fingerprints: set[str]) -> None:
    """Raise InvalidError where another address of the system is opened by this very secret."""
    opens = Q(replaced_at=None) | Q(stands_in_until__isnull=False)
    others = ConnectorSecret.objects.filter(opens, connector=connector, fingerprint__in=fingerprints)
    if others.exclude(credential=credential).exists():
        said = _("The live and the test address need a secret each, and this is the one of the other.")
        raise InvalidError(errors={"secret": [said]})


@transaction.atomic
def drop_secret(actor: User, *, connector: Connector, credential: str = MAIN) -> None:
    """Destroy the secret in use, and the one that stands in. Raises NotFoundError where there is none."""
    require_manager(actor, connector.unit, MANAGE)
    if not destroy_secrets(actor, connector, credential):
        raise NotFoundError


@transaction.atomic
def drop_older_secret(actor: User, *, connector: Connector, credential: str = MAIN) -> None:
    """Destroy the secret that was replaced and stands in still. Raises NotFoundError where there is none."""
    require_manager(actor, connector.unit, MANAGE)
    versions = ConnectorSecret.objects.filter(connector=connector, credential=credential)
    if not _destroy_older(actor, connector, versions):
        raise NotFoundError


def destroy_secrets(actor: User, connector: Connector, credential: str = MAIN) -> bool:
    """Destroy whatever of a credential still opens; whether one was in use. The caller has asked who may."""
    versions = ConnectorSecret.objects.filter(connector=connector, credential=credential)
    _destroy_older(actor, connector, versions)
    found = versions.select_for_update().filter(replaced_at=None).first()
    if found is None:
        return False
    versions.filter(pk=found.pk).update(replaced_at=ClockTimestamp(), **DESTROYED)
    _record_end(actor, found, connector)
    return True


def _destroy_older(actor: User, connector: Connector, versions: QuerySet[ConnectorSecret]) -> bool:
    older = list(versions.select_for_update().filter(stands_in_until__isnull=False))
    for secret in older:
        versions.filter(pk=secret.pk).update(**DESTROYED)
        _record_end(actor, secret, connector)
    return bool(older)


@transaction.atomic
def end_overlaps() -> int:
    """Destroy the secrets whose overlap is over; how many. They have opened nothing since."""
    over = ConnectorSecret.objects.select_for_update(skip_locked=True, of=("self",)).select_related("connector")
    found = list(over.filter(Q(stands_in_until__lte=ClockTimestamp()))[:100])
    for secret in found:
        ConnectorSecret.objects.filter(pk=secret.pk).update(**DESTROYED)
        _record_end(system_user("plane"), secret, secret.connector)
    return len(found)


def _record_end(actor: User, secret: ConnectorSecret, connector: Connector) -> None:
    told = {"connector": connector.slug, "version": secret.version, "fingerprint": secret.fingerprint}
    told["credential"] = secret.credential
    record(actor, secret, "dropped", payload=told)
