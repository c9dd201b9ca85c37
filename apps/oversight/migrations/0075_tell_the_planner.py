"""What waits is a small part of all items, and nearly all of it is in the same places: statistics that say so.

Without them PostgreSQL multiplies the two shares, expects a hundredth of what there is, and sorts all that waits instead
of walking the inbox's index until the page is full.
"""

from django.db import migrations

FORWARD = """
CREATE STATISTICS oversight_escalation_place (mcv) ON state, unit_id FROM oversight_escalation;
CREATE STATISTICS oversight_group_place (mcv) ON queue_id, is_open FROM oversight_escalationgroup;
"""
BACKWARD = """
DROP STATISTICS oversight_escalation_place;
DROP STATISTICS oversight_group_place;
"""


class Migration(migrations.Migration):
    dependencies = [("oversight", "0074_ask_in_stages")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
