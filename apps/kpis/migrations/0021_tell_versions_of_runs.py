from django.conf import settings
from django.db import migrations

TABLES = ("approvalfact", "costitem", "actionfact", "incidentfact")
CARRY = """
UPDATE kpis_{table} AS fact SET version = run.version
FROM kpis_runfact AS run WHERE run.run_id = fact.run_id AND fact.version <> run.version
"""
JUDGED = "(decided IS NOT NULL OR reviewed IS NOT NULL OR read_back IS NOT NULL)"
BY_RULE = "by_person AND rule <> ''"
SOURCES = (
    (
        "kpis_approvalfact",
        "decided_at",
        {
            "decided": "by_person",
            "approved": "by_person AND outcome = 'approved'",
            "edited": "by_person AND edited",
            "overridden": "by_person AND overridden",
            "expired": "outcome = 'expired'",
            "asked_by_rule": BY_RULE,
            "needless": f"{BY_RULE} AND outcome = 'approved' AND NOT edited",
        },
    ),
    (
        "kpis_actionfact",
        "ended_at",
        {
            "judged": JUDGED,
            "judged_right": f"{JUDGED} AND decided IS NOT FALSE AND reviewed IS NOT FALSE AND read_back IS NOT FALSE",
            "judged_by_decision": "decided IS NOT NULL",
            "right_by_decision": "decided",
            "judged_by_review": "reviewed IS NOT NULL",
            "right_by_review": "reviewed",
            "judged_by_reading": "read_back IS NOT NULL",
            "right_by_reading": "read_back",
            "judged_alone": "alone AND (taken_back OR reviewed IS NOT NULL OR read_back IS NOT NULL)",
            "missed": "alone AND (taken_back OR reviewed IS FALSE OR read_back IS FALSE)",
        },
    ),
    ("kpis_incidentfact", "began_at", {"incidents": "true"}),
    ("kpis_costitem", "incurred_at", {"cost_items": "true"}),
)
SPENT = "spend_micro"
OF_RUNS = (
    "succeeded", "failed", "cancelled", "sla_due", "sla_met", "no_touch", "escalated", "reworked", "first_pass", "cost_micro",
    "human_ms", "llm_micro", "human_micro", "connector_micro", "agent_micro", "unpriced", "arrivals",
)  # fmt: skip
"""Columns without a default in the database."""


def _seen(table, moment, measures, names):
    counted = [
        f"count(*) FILTER (WHERE {measures[name]})" if name in measures else "0" for name in names
    ]
    spent = "coalesce(sum(amount_micro), 0)" if table == "kpis_costitem" else "0"
    return (
        f"SELECT ({moment} AT TIME ZONE %s)::date AS day, workflow, version, unit, simulated, {', '.join(counted)}, {spent} "
        f"FROM {table} GROUP BY 1, 2, 3, 4, 5"
    )


def fill(apps, schema_editor):
    """What is known of a run's decisions, costs, actions and incidents goes to the rollups of its version."""
    names = [name for _table, _moment, measures in SOURCES for name in measures]
    all_names = [*names, SPENT]
    zeros = ", ".join(f"{name} = 0" for name in all_names)
    sums = ", ".join(f"sum({name})" for name in all_names)
    seen = " UNION ALL ".join(_seen(*source, names) for source in SOURCES)
    key = "day, workflow, version, unit, simulated"
    write = (
        f"INSERT INTO kpis_rollupday ({key}, {', '.join(all_names)}, {', '.join(OF_RUNS)}) "
        f"SELECT {key}, {sums}, {', '.join('0' for _ in OF_RUNS)} "
        f"FROM ({seen}) AS seen ({key}, {', '.join(all_names)}) GROUP BY {key} "
        f"ON CONFLICT ({key}) DO UPDATE SET {', '.join(f'{name} = EXCLUDED.{name}' for name in all_names)}"
    )
    empty = " AND ".join(f"{name} = 0" for name in (*all_names, *OF_RUNS, "wrong", "in_calendar", "paused_ms", "handovers"))
    with schema_editor.connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(CARRY.format(table=table))
        cursor.execute(f"UPDATE kpis_rollupday SET {zeros}")
        cursor.execute(write, [settings.ACP_REPORTING_TZ] * len(SOURCES))
        cursor.execute(f"DELETE FROM kpis_rollupday WHERE {empty}")


class Migration(migrations.Migration):

    dependencies = [
        ('kpis', '0020_keep_durations'),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
