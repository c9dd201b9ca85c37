"""A new agent, whole: who it is, what it may use, the key with which it tries. All of it or nothing."""

from collections.abc import Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.agents.rules import Environment
from apps.agents.services import IssuedKey, create_agent, create_credential, save_version
from apps.connectors.models import Operation
from apps.connectors.services.permissions import grant_operation
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.models import User


@transaction.atomic
def begin_agent(
    actor: User,
    *,
    slug: str,
    name: str,
    unit: BusinessUnit,
    owner: User,
    risk: str,
    purpose: str = "",
    known_limits: str = "",
    operations: Sequence[Operation] = (),
) -> IssuedKey:
    """Make an agent as a draft, with a first version, permissions and a test key: it tries, and nothing is called.

    Raises what the parts raise; InvalidError where the short name is taken or an operation cannot be granted.
    """
    agent = create_agent(
        actor, slug=slug, name=name, unit=unit, owner=owner, risk=risk, purpose=purpose, known_limits=known_limits
    )
    save_version(actor, agent=agent)
    for operation in operations:
        try:
            grant_operation(actor, holder=agent.user, operation=operation, reason=_("To begin with."))
        except (ConflictError, NotFoundError) as error:
            said = _("%s cannot be granted: it is retired, or its system is not yours.") % operation.slug
            raise InvalidError(errors={"operations": [said]}) from error
    return create_credential(actor, agent=agent, environment=Environment.TEST)
