"""An earlier version may have covered more than its policy does today."""

import pytest

from apps.core.errors import NotAllowedError
from apps.core.services import system_user
from apps.policies.models import Policy, Release
from apps.policies.services import apply_policy, publish_policy
from tests.factories.access import make_holder, make_unit
from tests.factories.policies import make_rule

pytestmark = pytest.mark.django_db


def test_an_earlier_version_that_covered_everything_is_not_published_from_within_one_unit():
    unit, console = make_unit(), system_user("console")
    apply_policy(console, slug="p", name="P", rules=[make_rule(slug="all", when="true")])
    policy, _ = apply_policy(console, slug="p", name="P", unit=unit, rules=[make_rule(slug="one", when="true")])
    before = Release.objects.count()
    with pytest.raises(NotAllowedError):
        publish_policy(make_holder("policies.publish_policy", unit=unit), policy=policy, version=1)
    assert Release.objects.count() == before
    assert Policy.objects.get().in_force.number == 2
