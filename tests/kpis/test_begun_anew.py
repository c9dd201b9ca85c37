"""A run that failed counts, and so does the one that began anew for it."""

import pytest

from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules import DEFINITIONS, RangeName
from apps.kpis.rules.filters import filter_of
from apps.kpis.selectors import behind_for, kpis_for
from apps.workflows.models import Retry
from apps.workflows.services import perform_due_retries, retry_runs
from tests.factories.access import make_holder
from tests.factories.workflows import carry_out, make_workflow, waiting_action
from tests.kpis.test_folding import fold
from tests.workflows.test_retrying import DOCUMENT, RIGHTS, failed


@pytest.mark.django_db
def test_a_run_that_failed_counts_beside_the_one_that_began_anew_for_it() -> None:
    gone = failed(make_workflow(DOCUMENT))
    retry_runs(make_holder(*RIGHTS), run_ids=[gone.pk], reason="The system is back.")
    assert perform_due_retries() == 1
    begun = Retry.objects.get(run=gone).started
    for step in ("book", "tell"):
        carry_out(waiting_action(begun, step), {})
    fold()
    viewer = make_holder("kpis.view_kpi")
    asked = filter_of({}, now=database_now(), zone=reporting_zone(), days=RangeName.DAYS_30)
    totals = kpis_for(viewer, asked).totals
    values = {key: totals[key].figure.value for key in ("arrivals", "throughput", "failed", "error_rate", "backlog")}
    assert values == {"arrivals": 2, "throughput": 1, "failed": 1, "error_rate": 0.5, "backlog": 0}
    for key, run in (("failed", gone), ("throughput", begun)):
        rows, _order = behind_for(viewer, DEFINITIONS[key], asked)
        assert [row.run_id for row in rows] == [run.pk], key
