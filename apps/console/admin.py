"""Which tables staff may look at. Secrets, keys' digests and password hashes are never among the columns."""

from django.apps import apps
from django.contrib import admin

from apps.core.admin import WindowAdmin

HIDDEN = {"password", "sealed", "digest_sealed"}
TABLES = {
    "access": ("businessunit", "role", "rolegrant", "queue"),
    "agents": ("agent", "agentversion", "action"),
    "audit": ("entry", "delivery"),
    "connectors": ("connector", "operation", "effect"),
    "core": ("user", "heartbeat"),
    "halts": ("halt",),
    "oversight": ("escalation", "vote", "grant"),
    "policies": ("policy", "release"),
    "workflows": ("workflow", "run", "step", "task"),
}


def _register(label: str, name: str) -> None:
    model = apps.get_model(label, name)
    fields = [field.name for field in model._meta.concrete_fields if field.name not in HIDDEN]
    window = type(f"{model.__name__}Window", (WindowAdmin,), {"fields": fields, "list_display": ["__str__", "pk"]})
    admin.site.register(model, window)


for app_label, names in TABLES.items():
    for table in names:
        _register(app_label, table)
admin.site.disable_action("delete_selected")
