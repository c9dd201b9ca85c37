"""Who lost every device: two administrators let them set up another, say why, and never for themselves."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.management import CommandError, call_command

from apps.access.services import reset_factors
from apps.audit.models import Entry
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from tests.factories.access import make_admin, make_holder, make_user

pytestmark = pytest.mark.django_db
WHY = "Seen in person, with a passport."


@pytest.fixture
def ada():
    user = make_holder("oversight.decide_escalation", username="ada")
    TOTP.activate(user, generate_totp_secret())
    return user


def test_they_are_gone_and_the_ledger_says_why(ada):
    admin = make_admin()
    assert reset_factors(admin, user=ada, reason=WHY) == ["totp"]
    assert not Authenticator.objects.filter(user=ada).exists()
    entry = Entry.objects.get(name="user.second_factors_reset")
    assert (entry.actor, entry.payload) == (admin, {"methods": ["totp"], "reason": WHY})
    with pytest.raises(ConflictError):
        reset_factors(admin, user=ada, reason=WHY)


def test_in_production_it_takes_another_for_whoever_may_do_more_than_look(ada, settings):
    settings.IN_PRODUCTION = True
    admin, other = make_admin(username="one"), make_admin(username="two")
    for second in (None, admin, make_user(), ada):
        with pytest.raises(NotAllowedError):
            reset_factors(admin, user=ada, reason=WHY, second=second)
    assert Authenticator.objects.filter(user=ada).exists()
    call_command("reset_factors", "ada", reason=WHY, acting="one", second="two")
    assert Entry.objects.get(name="user.approval_named").payload["approved_by"] == other.username


def test_for_whoever_only_looks_one_is_enough_in_production_too(settings):
    settings.IN_PRODUCTION = True
    looker = make_holder("audit.view_entry")
    TOTP.activate(looker, generate_totp_secret())
    assert reset_factors(make_admin(), user=looker, reason=WHY)


def test_nobody_else_not_their_own_and_not_without_a_reason(ada):
    admin = make_admin()
    TOTP.activate(admin, generate_totp_secret())
    with pytest.raises(NotAllowedError):
        reset_factors(make_user(), user=ada, reason=WHY)
    with pytest.raises(NotAllowedError):
        reset_factors(admin, user=admin, reason=WHY)
    for reason in (" ", "x" * 501):
        with pytest.raises(InvalidError):
            reset_factors(admin, user=ada, reason=reason)
    with pytest.raises(CommandError, match="no person"):
        call_command("reset_factors", "nobody", reason=WHY)
    assert Authenticator.objects.filter(user=ada).exists()
