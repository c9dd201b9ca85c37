"""What a log says of its cases as a whole: chosen, kept, told by, and written again; or named as at fault."""

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from apps.core.errors import InvalidError
from apps.core.models import User
from apps.kpis.models import EventLog, LogCase
from apps.kpis.rules.eventlogs import Columns, asked_cases
from apps.kpis.rules.eventlogs.attributes import MAX_ATTRIBUTES, MAX_OFFERED
from apps.kpis.selectors.cases import cases_for
from apps.kpis.services import import_event_log, import_uploads
from tests.factories.access import make_admin
from tests.kpis.test_event_log_doors import signed_in, token
from tests.kpis.test_event_log_wizard import left, sent
from tests.kpis.test_eventlogs import event_of

pytestmark = pytest.mark.django_db
HEAD = "case_id,activity,complete,resource,case_region,case_amount\n"
TOLD = {"c1": ("North", "10"), "c2": ("North", "20"), "c3": ("=South", ""), "c4": ("", "30")}
ROWS = "".join(
    f"{case},{activity},2026-03-02T{hour:02}:00Z,,{region},{amount}\n"
    for case, (region, amount) in TOLD.items()
    for activity, hour in (("Submit", 8), ("Check", 9 + len(region)))
)
LOG = HEAD + ROWS
KEPT = ["case_region", "case_amount"]


def imported(actor: User, text: str = LOG, *, kept: Any = KEPT, **said: Any) -> tuple[EventLog, str]:
    return import_event_log(actor, file=io.BytesIO(text.encode()), name="Claims", tz="UTC", attributes=kept, **said)


def trace(case: str, *told: str, step: str = "") -> str:
    said = "".join(f'<{kind} key="{key}" value="{value}"/>' for kind, key, value in (one.split("|") for one in told))
    name = f'<string key="concept:name" value="{case}"/>'
    return f"<trace>{said}{name}{step or event_of('Pay', '2026-03-02T09:00:00Z')}</trace>\n"


XES = (
    '<log>\n<global scope="trace"><string key="never" value="x"/></global>\n'
    + trace("c1", "string|region|North", "float|amount|10.5", "boolean|urgent|true", "date|due|2026-03-04")
    + trace("c2", "string|region|South", "boolean|urgent|false")
    + trace("c3", "string|region|North")
    + "</log>"
)


def kept_of(log: EventLog) -> dict[str, dict[str, str]]:
    return dict(LogCase.objects.filter(log=log).values_list("name", "told"))


class TestKeeping:
    def test_columns_that_were_asked_for_are_kept_of_each_case_and_no_others(self) -> None:
        log, _said = imported(make_admin())
        expected = {case: {k: v for k, v in zip(KEPT, told, strict=True) if v} for case, told in TOLD.items()}
        assert kept_of(log) == expected
        plain, said = imported(make_admin(), kept=[])
        assert (said, set(map(str, kept_of(plain).values()))) == ("changed", {"{}"})
        assert plain.attributes == []

    def test_the_same_again_changes_nothing_and_others_in_any_order_are_another_reading(self) -> None:
        admin = make_admin()
        assert [imported(admin, kept=kept)[1] for kept in (KEPT, KEPT[::-1], KEPT[:1])] == [
            "created",
            "unchanged",
            "changed",
        ]

    def test_traces_say_it_in_an_xes_wherever_it_stands_and_whatever_kind_it_is(self) -> None:
        log, _said = imported(make_admin(), XES, kept=["region", "amount", "urgent"])
        assert kept_of(log) == {
            "c1": {"region": "North", "amount": "10.5", "urgent": "true"},
            "c2": {"region": "South", "urgent": "false"},
            "c3": {"region": "North"},
        }

    def test_a_row_that_is_no_event_tells_of_its_case_too(self) -> None:
        rows = (
            "c,a,t,l,region\n1,Check,2026-03-02T08:00Z,start,North\n1,Check,2026-03-02T09:00Z,complete,\n"
            "1,Pay,2026-03-02T09:00Z,schedule,North\n"
        )
        columns = Columns(case="c", activity="a", start="", complete="t", resource="", lifecycle="l")
        log, _said = imported(make_admin(), rows, kept=["region"], columns=columns)
        assert kept_of(log) == {"1": {"region": "North"}}

    @pytest.mark.parametrize(
        ("text", "kept", "told"),
        [
            (LOG + "c1,Pay,2026-03-03T08:00Z,,East,10\n", KEPT, "line 10, column case_region: 'case_region' of case"),
            (LOG + f"c9,Pay,2026-03-03T08:00Z,,{'x' * 201},\n", KEPT, "line 10, column case_region: The value of"),
            (LOG + "c9,Pay,2026-03-03T08:00Z,,a\x07,\n", KEPT, "line 10, column case_region: The value of"),
            (LOG, ["case_country"], "line 1: There is no column 'case_country'; there are case_id, activity"),
            (LOG, [f"a{n}" for n in range(MAX_ATTRIBUTES + 1)], "At most 12 attributes of cases are kept"),
            (XES, ["never"], "No trace says anything of 'never'."),
            (XES, ["concept:name"], "No trace says anything of 'concept:name'."),
            (XES.replace("</log>", trace("c1", "string|region|East") + "</log>"), ["region"], "line 6, column 8"),
            (XES.replace("South", "x" * 300), ["region"], "line 4, column 8: The value of 'region' is longer"),
        ],
    )
    def test_what_does_not_fit_is_named_with_its_place_and_nothing_is_kept(
        self, text: str, kept: list[str], told: str
    ) -> None:
        with pytest.raises(InvalidError) as caught:
            imported(make_admin(), text, kept=kept)
        assert told in caught.value.errors["file"][0]
        assert not EventLog.objects.exists()

    def test_by_command(self, tmp_path: Path) -> None:
        path = tmp_path / "log.csv"
        path.write_text(LOG)
        said = {"name": "Claims", "attribute": KEPT, "stdout": io.StringIO(), "stderr": io.StringIO()}
        call_command("import_event_log", str(path), **said)
        assert EventLog.objects.get().attributes == KEPT


class TestTelling:
    def test_figures_by_value_count_the_cases_behind_them(self) -> None:
        admin = make_admin()
        log, _said = imported(admin)
        region, amount = log.figures["attributes"]
        assert (region["cases"], region["different"], amount["different"]) == (3, 2, 3)
        north = {"value": "North", "cases": 2, "share": 0.5, "cycle_time_p50_s": 6 * 3600, "rework_share": 0}
        assert region["values"][0] == north
        for one in (region, amount):
            for line in one["values"]:
                asked = asked_cases({"of": "attribute", "key": one["name"], "name": line["value"]})
                assert cases_for(admin, log.pk, asked)[1].count() == line["cases"]
            without = asked_cases({"of": "attribute", "key": one["name"]})
            assert cases_for(admin, log.pk, without)[1].count() == log.cases - one["cases"]

    def test_the_page_shows_them_and_leads_to_the_cases(self) -> None:
        admin = make_admin()
        client, (log, _said) = signed_in(admin), imported(admin)
        text = client.get(f"/dashboards/event-logs/{log.pk}/").content.decode()
        assert "By case_region" in text
        assert "3 cases say something of it, and each says something else." in text
        link = f"/dashboards/event-logs/{log.pk}/cases/?of=attribute&amp;key=case_region&amp;name=North"
        assert link in text
        page = client.get(link.replace("&amp;", "&")).content.decode()
        assert "Cases whose “case_region” is “North”" in page
        assert "North" in page.split("<tbody>")[1]
        nothing = client.get(f"/dashboards/event-logs/{log.pk}/cases/?of=attribute&key=case_region").content.decode()
        assert "Cases that say nothing of “case_region”" in nothing
        assert client.get(f"/dashboards/event-logs/{log.pk}/cases/?of=attribute&name=x").status_code == 422

    def test_csv_and_api_write_all_of_it_again(self, client: Client) -> None:
        admin = make_admin()
        log, _said = imported(admin)
        raw = signed_in(admin).get(f"/dashboards/event-logs/{log.pk}/cases.csv")
        rows = list(csv.DictReader(io.StringIO(b"".join(raw.streaming_content).decode())))  # type: ignore[attr-defined]
        assert {row["case"]: (row["case_region"].removeprefix("'"), row["case_amount"]) for row in rows} == TOLD
        assert "=South" not in {row["case_region"] for row in rows}, "A spreadsheet would run it."
        where = f"/api/v1/event-logs/{log.pk}/"
        lines = client.get(f"{where}cases/?of=attribute&key=case_region&name=North", headers=token(admin)).json()
        assert [line["told"]["case_region"] for line in lines["results"]] == ["North", "North"]
        told = client.get(where, headers=token(admin)).json()["attributes"]
        assert [one["name"] for one in told] == KEPT
        assert client.get(f"{where}cases/?of=attribute", headers=token(admin)).status_code == 422


class TestChoosing:
    def test_columns_that_say_so_are_chosen_unasked_and_what_is_read_otherwise_is_not_offered(self) -> None:
        admin = signed_in(make_admin())
        seen = admin.get(left(admin, LOG)).context["form"]
        assert seen["attributes"].value() == KEPT
        assert [name for name, _label in seen.fields["attributes"].choices] == KEPT

    def test_what_is_chosen_is_imported_and_what_is_not_is_not(self) -> None:
        admin = signed_in(make_admin())
        said: dict[str, Any] = {"attributes": ["case_region"]}
        page = sent(admin, left(admin, LOG), **said)
        assert page.status_code == 200
        assert EventLog.objects.get().attributes == ["case_region"]

    @pytest.mark.parametrize("kept", [["case_id"], ["nowhere"], [f"x{n}" for n in range(MAX_ATTRIBUTES + 1)]])
    def test_what_is_read_already_or_not_there_or_too_much_is_refused(self, kept: list[str]) -> None:
        admin = signed_in(make_admin())
        more = "".join(f",x{n}" for n in range(MAX_ATTRIBUTES + 1))
        text = LOG.replace("case_amount\n", f"case_amount{more}\n").replace("\n", "," * more.count(",") + "\n")
        text = text.replace("," * more.count(",") + "\n", "\n", 1)
        said: dict[str, Any] = {"attributes": kept}
        answer = sent(admin, left(admin, text), **said)
        assert answer.status_code == 422
        assert answer.context["form"].errors["attributes"]
        assert not EventLog.objects.exists()

    def test_what_is_said_in_two_ways_of_a_case_is_seen_before_the_import(self) -> None:
        admin = signed_in(make_admin())
        page = admin.get(left(admin, LOG + "c1,Pay,2026-03-03T08:00Z,,East,10\n"))
        assert [fault.line for fault in page.context["preview"].faults] == [10]

    def test_an_xes_offers_what_its_traces_say_with_an_example_and_a_worker_keeps_it(self) -> None:
        admin = signed_in(make_admin())
        address = left(admin, gzip.compress(XES.encode()))
        seen = admin.get(address).context["form"].fields["attributes"].choices
        assert seen[0] == ("region", "region (North)")
        assert [name for name, _label in seen] == ["region", "amount", "urgent", "due"]
        admin.post(address, {"name": "Claims", "tz": "UTC", "attributes": ["region"], "import": "1"})
        assert import_uploads() == 1
        assert EventLog.objects.get().attributes == ["region"]

    def test_a_fault_in_an_xes_leaves_what_was_chosen_to_be_chosen_otherwise(self) -> None:
        admin = signed_in(make_admin())
        address = left(admin, XES.replace("South", "x" * 300))
        said: dict[str, Any] = {"name": "Claims", "tz": "UTC", "attributes": ["region"], "import": "1"}
        page = admin.post(address, said)
        assert page.status_code == 422
        assert page.context["form"]["attributes"].value() == ["region"]
        assert admin.post(address, said | {"attributes": []}).status_code == 302
        assert EventLog.objects.get().cases == 3

    def test_of_a_trace_with_thousands_of_attributes_some_are_offered_and_any_may_be_kept(self) -> None:
        admin = make_admin()
        many = [f"string|a{n}|{n}" for n in range(2000)]
        text = f"<log>{trace('c1', *many)}</log>"
        client = signed_in(admin)
        assert len(client.get(left(client, text)).context["form"].fields["attributes"].choices) == MAX_OFFERED
        assert kept_of(imported(admin, text, kept=["a1999"])[0]) == {"c1": {"a1999": "1999"}}
