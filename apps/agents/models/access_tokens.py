"""What an agent gets for its key or its signature: a token for a quarter of an hour."""

from django.db import models
from django.db.models import Q

from apps.agents.models.agents import AgentCredential
from apps.core.models import ClockTimestamp, Record


class AccessToken(Record):
    """One token. Only its digest is kept. It acts as its credential does, and dies with it.

    ``resource``: where alone it is taken (RFC 8707). ``epoch``: the agent's when it was made; once that has moved, the
    token is dead.
    """

    UNIT = "credential__agent__unit"

    credential = models.ForeignKey(AgentCredential, models.CASCADE, related_name="tokens")
    key_id = models.CharField(max_length=8, unique=True)
    digest = models.CharField(max_length=64)
    resource = models.CharField(max_length=500)
    epoch = models.PositiveIntegerField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["expires_at"], name="access_token_age")]

    def __str__(self) -> str:
        return f"token {self.key_id} of {self.credential}"

    @staticmethod
    def live() -> Q:
        """Neither over nor revoked, by the database's clock; its agent is as it was when the token was made."""
        return Q(revoked_at=None, expires_at__gt=ClockTimestamp(), epoch=models.F("credential__agent__epoch"))


class SpentAssertion(models.Model):
    """The ``jti`` of an assertion that was taken, as a SHA-256: it is taken once, until it is too old anyway."""

    credential = models.ForeignKey(AgentCredential, models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64)
    until = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["credential", "digest"], name="assertion_spent_once")]
        indexes = [models.Index(fields=["until"], name="assertion_age")]

    def __str__(self) -> str:
        return f"assertion {self.digest[:8]}"
