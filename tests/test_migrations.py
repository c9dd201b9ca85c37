"""What an update may do to tables that processes of the version before still write to."""

from django.apps import apps
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import AddField, CreateModel
from django.db.models import NOT_PROVIDED

FIRST_RELEASE = {
    "access.queue.last_resort",
    "access.queue.repeat",
    "access.calendar.region",
    "agents.action.definition_digest",
    "audit.entry.commitment",
    "core.user.shortcuts",
    "oversight.vote.acts_for",
    "oversight.comment.is_question",
    "oversight.escalation.back_to",
    "oversight.escalation.stood",
    "oversight.escalationgroup.called",
    "oversight.escalationgroup.rung",
    "workflows.run.kept",
}
"""Columns that came before anybody had a version to update from."""


def made_by(migration):
    """The tables that a migration makes: nobody writes to them yet."""
    return {operation.name.lower() for operation in migration.operations if isinstance(operation, CreateModel)}


def test_a_column_that_comes_later_has_a_default_in_the_database():
    """A process of the version before names it in no INSERT: without one, each of its writes fails meanwhile."""
    loader = MigrationLoader(None)
    added = {
        (app, operation.model_name.lower(), operation.name)
        for (app, name), migration in loader.disk_migrations.items()
        if migration.__module__.startswith("apps.") and not (migration.initial or name.startswith("0001"))
        for operation in migration.operations
        if isinstance(operation, AddField) and operation.model_name.lower() not in made_by(migration)
    }
    without = {
        f"{app}.{model}.{name}"
        for app, model, name in added
        for field in apps.get_model(app, model)._meta.fields
        if field.name == name and not field.null and field.db_default is NOT_PROVIDED
    }
    assert without == FIRST_RELEASE
