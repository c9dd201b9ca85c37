"""Files that one person leaves from two tabs at once."""

import io

from apps.kpis.models import LogUpload
from apps.kpis.services.uploads import keep_upload
from tests.factories.access import make_admin
from tests.together import at_once


def test_two_files_left_at_once_are_one_file_and_no_fault(real_db):
    admin = make_admin()
    found = at_once(*(lambda n=n: keep_upload(admin, file=io.BytesIO(b"x"), name=f"{n}.csv") for n in range(4)))
    assert {row.name for row in found} == {f"{n}.csv" for n in range(4)}
    assert LogUpload.objects.count() == 1
