"""Each entry's payload, and what its subject was called, moves to its own row under a commitment."""

import json
import os

from django.db import migrations, models

from apps.audit.rules import SALT_BYTES, canonical_text, commitment_of

PLAIN = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
BATCH = 2000


def move(apps, schema_editor):
    """As the owner, with the trigger that refuses changes laid aside; nobody else sees it before the commit."""
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE audit_entry IN EXCLUSIVE MODE")
        cursor.execute("ALTER TABLE audit_entry DISABLE TRIGGER entry_frozen")
        last = 0
        while True:
            cursor.execute(
                "SELECT id, subject_label, payload::text FROM audit_entry WHERE id > %s ORDER BY id LIMIT %s", [last, BATCH]
            )
            rows = cursor.fetchall()
            if not rows:
                break
            last = rows[-1][0]
            payloads, commitments = [], []
            for number, subject, payload in rows:
                text = canonical_text({"payload": json.loads(payload), "subject": subject}, PLAIN)
                salt = os.urandom(SALT_BYTES)
                payloads.append((number, salt, text))
                commitments.append((commitment_of(salt, text.encode()), number))
            cursor.executemany("INSERT INTO audit_payload (entry_id, salt, content) VALUES (%s, %s, %s::json)", payloads)
            cursor.executemany("UPDATE audit_entry SET commitment = %s WHERE id = %s", commitments)
        cursor.execute("ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER entry_frozen")


class Migration(migrations.Migration):
    dependencies = [("audit", "0005_payloads_stand_apart")]

    operations = [
        migrations.RunPython(move),
        migrations.AlterField(model_name="entry", name="commitment", field=models.BinaryField()),
        migrations.RemoveField(model_name="entry", name="payload"),
        migrations.RemoveField(model_name="entry", name="subject_label"),
        migrations.AlterModelOptions(
            name="entry",
            options={
                "base_manager_name": "objects",
                "default_permissions": (),
                "permissions": [("view_entry", "May read the ledger")],
            },
        ),
    ]
