"""Nothing asks any more whether there is an erasure at all: each names its trail."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0009_erase_one_trail"),
        ("oversight", "0073_erase_one_trail"),
        ("workflows", "0021_erase_one_trail"),
    ]

    operations = [migrations.RunSQL("DROP FUNCTION audit_erasing()")]
