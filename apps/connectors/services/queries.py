"""From an effect to the question that carries it out. As with calls, the secret is in clear here and stored nowhere."""

from apps.connectors.adapters.postgres import Question
from apps.connectors.models import Effect
from apps.connectors.rules.limits import response_bytes_of, timeout_s_of
from apps.connectors.rules.queries import values_of
from apps.connectors.services.calls import NotConfiguredError, forms_in, origin_for, pair_of, place_for, secrets_of


def question_of(effect: Effect) -> Question:
    """The question of an effect. Raises NotConfiguredError, ValueProblem; neither repeats the secret."""
    operation, connector = effect.operation, effect.connector
    place = place_for(connector, effect.action.environment)
    origin = origin_for(connector, place)
    if not operation.query:
        raise NotConfiguredError(f"{operation.slug} has no statement.")
    secrets = secrets_of(connector, place)
    pairs = [pair_of(connector.auth, secret).partition(":") for secret in secrets]
    return Question(
        origin=origin,
        query=operation.query,
        values=values_of(operation.query, effect.action.parameters),
        timeout_s=timeout_s_of(connector.limits, operation.timeout_s),
        most_bytes=response_bytes_of(connector.limits),
        allow_internal=place.allow_internal,
        logins=[(user, password) for user, _colon, password in pairs],
        masks=[form for secret in secrets for form in forms_in(connector, secret)],
    )
