"""From an effect to the mail that carries it out. As with calls, the secret is in clear here and stored nowhere."""

import hashlib

from apps.connectors.adapters.smtp import Mail
from apps.connectors.models import Effect
from apps.connectors.rules.limits import timeout_s_of
from apps.connectors.rules.mails import NO_TLS, draft_of
from apps.connectors.services.calls import NotConfiguredError, forms_in, origin_for, pair_of, place_for, secrets_of


def mail_of(effect: Effect) -> Mail:
    """The mail of an effect. Raises NotConfiguredError, ValueProblem; neither repeats the secret."""
    operation, connector = effect.operation, effect.connector
    place = place_for(connector, effect.action.environment)
    origin = origin_for(connector, place)
    if operation.mail is None or connector.mail is None:
        raise NotConfiguredError(f"{operation.slug} says nothing of a mail.")
    sender = str(connector.mail["from"])
    draft = draft_of(
        operation.mail, effect.action.parameters, domains=connector.mail["recipients"], amount=operation.amount
    )
    secrets = secrets_of(connector, place)
    return Mail(
        origin=origin,
        sender=sender,
        recipients=draft.recipients,
        subject=draft.subject,
        body=draft.body,
        message_id=f"<{hashlib.sha256(effect.idempotency_key.encode()).hexdigest()[:32]}@{sender.rpartition('@')[2]}>",
        timeout_s=timeout_s_of(connector.limits, operation.timeout_s),
        reply_to=str(connector.mail.get("reply_to", "")),
        needs_tls=connector.mail.get("tls") != NO_TLS,
        allow_internal=place.allow_internal,
        logins=[_login(pair_of(connector.auth, secret)) for secret in secrets],
        masks=[form for secret in secrets for form in forms_in(connector, secret)],
    )


def _login(pair: str) -> tuple[str, str]:
    user, _colon, password = pair.partition(":")
    return user, password
