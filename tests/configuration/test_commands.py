"""``manage.py apply`` and ``export``: files in, lines out, exit status."""

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.access.models import BusinessUnit
from apps.audit.models import Entry
from apps.configuration.services import apply_texts
from apps.core.services import system_user
from tests.factories.access import make_admin, make_user

pytestmark = pytest.mark.django_db
EXAMPLE = Path(__file__).parent / "documents" / "example.yaml"
COMPANY = sorted((Path(__file__).parents[2] / "apps" / "demo" / "company").glob("*.yaml"))


def run(*args, **options):
    out = io.StringIO()
    call_command(*args, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def documents(tmp_path):
    path = tmp_path / "units.yaml"
    path.write_text("kind: BusinessUnit\nslug: a\n---\nkind: BusinessUnit\nslug: b\nparent: a\n")
    return path


def test_apply_prints_a_line_per_object(documents):
    assert run("apply", str(documents)).splitlines() == ["created   BusinessUnit a", "created   BusinessUnit b"]
    assert run("apply", str(documents)).splitlines() == ["unchanged BusinessUnit a", "unchanged BusinessUnit b"]
    documents.write_text("kind: BusinessUnit\nslug: a\nname: Alpha\n")
    assert run("apply", str(documents)).splitlines() == ["changed   BusinessUnit a (name)"]


def test_a_dry_run_changes_nothing(documents):
    assert "dry run" in run("apply", str(documents), "--dry-run")
    assert not BusinessUnit.objects.exists()


def test_a_misfit_fails_with_its_line_and_changes_nothing(documents):
    documents.write_text(documents.read_text() + "colour: red\n")
    with pytest.raises(CommandError, match=r"units\.yaml:7: colour: Unknown key .*\nNothing was changed"):
        run("apply", str(documents))
    assert not BusinessUnit.objects.exists()


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "x.yaml"
    if content:
        path.write_bytes(content)
    with pytest.raises(CommandError, match=r"x\.yaml: "):
        run("apply", str(path))


def test_apply_as_a_person(documents):
    admin, stranger = make_admin(username="boss"), make_user(username="stranger")
    with pytest.raises(CommandError):
        run("apply", str(documents), username=stranger.username)
    with pytest.raises(CommandError, match="nobody"):
        run("apply", str(documents), username="nobody")
    assert not BusinessUnit.objects.exists()
    run("apply", str(documents), username="boss", approved_by="stranger")
    done = Entry.objects.exclude(name="request.refused")
    assert set(done.values_list("actor", flat=True)) == {admin.pk}
    assert Entry.objects.get(name="configuration.applied").payload["approved_by"] == "stranger"


def test_export_writes_what_apply_takes():
    run("apply", str(EXAMPLE))
    text = run("export")
    assert "kind: Operation" in text
    assert "kind: Operation" not in run("export", "--kind", "Agent")
    applied = apply_texts(system_user("console"), texts={"export.yaml": text})
    assert {each.outcome for each in applied} == {"unchanged"}


def test_the_sample_company_applies_twice_and_survives_its_export():
    console = system_user("console")
    texts = {path.name: path.read_text() for path in COMPANY}
    assert {each.outcome for each in apply_texts(console, texts=texts)} <= {"created", "changed"}
    assert {str(each) for each in apply_texts(console, texts=texts) if each.outcome != "unchanged"} == set()
    exported = apply_texts(console, texts={"export.yaml": run("export")})
    assert {str(each) for each in exported if each.outcome != "unchanged"} == set()
