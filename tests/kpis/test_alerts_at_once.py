"""Two workers that judge at the same time."""

import psycopg

from apps.core.models import User
from apps.kpis.models import Anomaly
from apps.kpis.models.clock import database_now
from apps.kpis.services import judge_alerts
from apps.kpis.services.alerts import LOCK
from apps.workflows.models import Workflow
from tests.factories.access import make_unit, make_user
from tests.kpis.test_alerts import late, write


def test_only_one_judges_at_a_time(real_db: str) -> None:
    """Another worker that holds the lock judges already."""
    owner: User = make_user()
    flow = Workflow.objects.create(slug="w", name="Refunds", unit=make_unit(), owner=owner)
    write(late(flow))
    with psycopg.connect(real_db) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [LOCK])
        assert judge_alerts() == 0
        assert not Anomaly.objects.exists()
        other.rollback()
        assert judge_alerts() == 1
    assert Anomaly.objects.get().began_at <= database_now()
