"""Emergency accounts: one way in, once, for an hour, aloud; and what they cannot do, whoever holds the credential."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.test import Client

from apps.access.models import EmergencyAccess, PersonalToken, RoleGrant, Session
from apps.access.rules import EMERGENCY_PERMISSIONS, PERMISSIONS
from apps.access.services import (
    arm_emergency,
    create_token,
    end_sessions_of,
    grant_role,
    open_emergency,
    save_person,
    sweep_emergencies,
)
from apps.access.services.identities import find_signed_on
from apps.audit.models import Entry
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.gate import holds
from apps.core.http import remember_browser
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user
from apps.halts.models import Halt, HaltDrill
from apps.halts.services import engage_halt, lift_halt
from apps.halts.services.drills import start_drill
from apps.notifications.models import Browser
from apps.oversight.models import Comment
from apps.oversight.services import comment_escalation
from apps.policies.models import Waiver
from apps.policies.services.waivers import ask_waiver
from tests.access.test_signing_in import PASSWORD, browser, is_in, quick_passwords, sign_in
from tests.factories.access import make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.oversight import make_payment
from tests.factories.policies import make_policy, make_rule

__all__ = ["quick_passwords"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_passwords")]
WHY = "Ada Byron: nobody can sign in, an agent pays twice."
DOOR = "/accounts/emergency/"


@pytest.fixture
def admin(quick_passwords: Any) -> User:
    return make_admin(username="root", password=PASSWORD, email="root@example.com")


def armed(admin: User, name: str = "glass") -> str:
    return arm_emergency(admin, username=name)[1]


def break_in(text: str, *, client: Client | None = None, name: str = "glass", reason: str = WHY) -> Client:
    client = client or browser()
    client.post(DOOR, {"login": name, "password": text, "reason": reason})
    return client


def opened() -> EmergencyAccess:
    return EmergencyAccess.objects.select_related("user").get(opened_at__isnull=False)


def names() -> list[str]:
    found = Entry.objects.filter(name__startswith="emergencyaccess.").order_by("id")
    return [name.rpartition(".")[2] for name in found.values_list("name", flat=True)]


class TestTheWayIn:
    def test_it_is_made_by_command_which_prints_the_credential_alone(self) -> None:
        out = StringIO()
        call_command("arm_emergency", "glass", stdout=out)
        text = out.getvalue().strip()
        account = User.objects.get(username="glass")
        assert len(text) == 35
        assert (account.is_emergency, account.is_staff, account.email) == (True, False, "")
        assert not RoleGrant.objects.filter(user=account).exists()
        assert is_in(break_in(text))

    def test_nobody_s_own_name_becomes_one(self, admin: User) -> None:
        with pytest.raises(CommandError, match="nobody's own"):
            call_command("arm_emergency", "ROOT", stdout=StringIO())
        admin.refresh_from_db()
        assert not admin.is_emergency
        assert is_in(sign_in_as_root())

    def test_it_opens_with_a_reason_which_the_ledger_keeps(self, admin: User) -> None:
        client = break_in(armed(admin))
        assert is_in(client)
        row = opened()
        entry = Entry.objects.get(name="emergencyaccess.opened")
        assert (entry.actor.username, entry.trail_id) == ("glass", row.pk)
        assert entry.payload == {"user": "glass", "reason": WHY, "address": "192.0.2.7"}
        assert row.session == Session.objects.get(user=row.user).ref

    @pytest.mark.parametrize("reason", ["", "   ", "help"])
    def test_without_a_reason_it_stays_shut_and_the_credential_whole(self, admin: User, reason: str) -> None:
        text = armed(admin)
        assert not is_in(break_in(text, reason=reason))
        assert names() == ["armed"]
        assert is_in(break_in(text))

    def test_the_usual_door_sends_it_to_its_own(self, admin: User) -> None:
        text = armed(admin)
        client = browser()
        answer = sign_in(client, text, "glass")
        assert (answer.status_code, answer["Location"]) == (302, DOOR)
        assert not is_in(client)
        assert names() == ["armed", "tried"]

    def test_nobody_else_comes_through_its_door(self, admin: User) -> None:
        client = break_in(PASSWORD, name="root")
        assert not is_in(client)
        assert names() == []

    def test_it_opens_in_a_browser_in_which_somebody_else_was_told(self, admin: User) -> None:
        client = browser()
        about = {
            "endpoint": "https://push.example/1",
            "host": "push.example",
            "p256dh": "a",
            "auth": "b",
            "key_id": "c",
        }
        row = Browser.objects.create(user=admin, name="Firefox", **about)
        response = HttpResponse()
        remember_browser(response, row.pk)
        client.cookies.update(response.cookies)
        assert is_in(break_in(armed(admin), client=client))
        row.refresh_from_db()
        assert row.gone_at is not None
        assert client.get("/")["Location"] == "/halts/"

    def test_the_credential_works_once(self, admin: User) -> None:
        text = armed(admin)
        first = break_in(text)
        assert not is_in(break_in(text))
        assert first.get("/settings/").status_code == 200
        assert names() == ["armed", "opened", "tried"]

    def test_of_two_who_typed_it_at_the_same_time_one_is_in(self, admin: User) -> None:
        text = armed(admin)
        rival = User.objects.get(username="glass")
        assert rival.check_password(text)  # past the password, as the first was
        break_in(text)
        with pytest.raises(NotAllowedError, match="used up"):
            open_emergency(rival, reason=WHY, address="192.0.2.8")
        assert names() == ["armed", "opened"]

    def test_guesses_are_limited_and_told_once_an_hour(self, admin: User) -> None:
        text = armed(admin)
        for _guess in range(6):
            break_in("ABCDE-ABCDE")
        assert names() == ["armed", "tried"]
        assert not is_in(break_in(text)), "too many guesses from this address"
        assert is_in(break_in(text, client=browser("192.0.2.99")))

    def test_strangers_who_guess_at_its_name_do_not_shut_it(self, admin: User) -> None:
        text = armed(admin)
        for place in range(30):
            for _try in range(4):
                break_in("wrong", client=browser(f"10.9.{place}.1"))
        assert is_in(break_in(text, client=browser("10.9.99.1")))

    def test_a_credential_that_was_replaced_meanwhile_opens_nothing(self, admin: User) -> None:
        armed(admin)
        shown = User.objects.get(username="glass")
        text = armed(admin)
        with pytest.raises(NotAllowedError):
            open_emergency(shown, reason=WHY, address="")
        assert is_in(break_in(text))

    def test_who_shows_it_at_the_usual_door_is_told_of(self, admin: User) -> None:
        text = armed(admin)
        sign_in(browser(), text, name="glass")
        assert Entry.objects.filter(name="emergencyaccess.tried").count() == 1
        assert EmergencyAccess.objects.get().opened_at is None

    @pytest.mark.parametrize("name", ["directory", "Metrics", "plane", "console"])
    def test_the_plane_s_own_names_are_none_for_it(self, admin: User, name: str) -> None:
        with pytest.raises(InvalidError):
            arm_emergency(admin, username=name)

    def test_no_provider_leads_to_it(self, admin: User) -> None:
        armed(admin)
        with pytest.raises(IntegrityError), transaction.atomic():
            User.objects.filter(username="glass").update(email="glass@example.com")
        assert find_signed_on(issuer="https://idp.example", subject="glass", email="") is None

    def test_it_asks_no_provider_and_sends_no_mail(self, admin: User, settings: Any, mailoutbox: list[Any]) -> None:
        settings.OIDC_PROVIDERS = {}
        settings.MAIL = {**settings.MAIL, "host": ""}
        assert is_in(break_in(armed(admin)))
        assert mailoutbox == []


def sign_in_as_root() -> Client:
    client = browser()
    sign_in(client, PASSWORD, "root")
    return client


class TestTheEnd:
    def test_it_ends_after_an_hour_whatever_is_done_meanwhile(self, admin: User) -> None:
        client = break_in(armed(admin))
        row = Session.objects.get(user__username="glass")
        assert row.expire_date == opened().ends_at
        client.post("/settings/shortcuts/", {})
        row.refresh_from_db()
        assert row.expire_date == opened().ends_at
        Session.objects.filter(pk=row.pk).update(expire_date=ClockTimestamp())
        assert client.get("/settings/").status_code == 302

    def test_its_rights_end_with_the_hour_and_not_with_the_session(self, admin: User) -> None:
        break_in(armed(admin))
        glass = User.objects.get(username="glass")
        assert holds(glass, "audit.view_entry")
        EmergencyAccess.objects.update(ends_at=ClockTimestamp() - timedelta(seconds=1))
        assert not any(holds(glass, right) for right in PERMISSIONS)

    def test_that_its_hour_is_over_is_noted_once_and_told(self, admin: User) -> None:
        break_in(armed(admin))
        assert sweep_emergencies() == 0
        EmergencyAccess.objects.update(ends_at=ClockTimestamp() - timedelta(seconds=1))
        assert (sweep_emergencies(), sweep_emergencies()) == (1, 0)
        assert opened().ended_at == opened().ends_at
        assert Entry.objects.get(name="emergencyaccess.ended").payload == {"user": "glass", "why": "hour_over"}

    def test_signing_out_closes_it(self, admin: User) -> None:
        client = break_in(armed(admin))
        client.post("/accounts/logout/")
        assert names() == ["armed", "opened", "ended"]
        assert not holds(User.objects.get(username="glass"), "audit.view_entry")

    def test_an_administrator_ends_it(self, admin: User) -> None:
        client = break_in(armed(admin))
        end_sessions_of(admin, user=opened().user)
        assert client.get("/settings/").status_code == 302
        assert names() == ["armed", "opened", "ended"]

    def test_a_new_credential_ends_what_the_old_one_opened(self, admin: User) -> None:
        old = armed(admin)
        client = break_in(old)
        new = armed(admin)
        assert client.get("/settings/").status_code == 302
        assert not is_in(break_in(old))
        assert is_in(break_in(new, client=browser("192.0.2.9")))


class TestWhatItCannot:
    def test_it_looks_and_stops_and_has_no_other_right(self, admin: User) -> None:
        glass = arm_emergency(admin, username="glass")[0].user
        assert not any(holds(glass, right) for right in PERMISSIONS), "shut, it has none"
        EmergencyAccess.objects.update(
            opened_at=ClockTimestamp(), ends_at=ClockTimestamp() + timedelta(hours=1), reason=WHY
        )
        assert {right for right in PERMISSIONS if holds(glass, right)} == EMERGENCY_PERMISSIONS
        acts = {right for right in EMERGENCY_PERMISSIONS if ".view_" not in right}
        assert acts == {"halts.engage_halt"}

    def test_it_makes_no_second_administrator_and_arms_nothing(self, admin: User) -> None:
        break_in(armed(admin))
        glass, friend = User.objects.get(username="glass"), make_user(username="friend")
        before = RoleGrant.objects.count()
        for attempt in (
            lambda: grant_role(glass, user=friend, role=make_role(*PERMISSIONS)),
            lambda: save_person(glass, username="friend", name="F", email="f@example.com"),
            lambda: arm_emergency(glass, username="other"),
            lambda: arm_emergency(glass, username="glass"),
            lambda: create_token(glass, user=glass),
            lambda: end_sessions_of(glass, user=admin),
        ):
            with pytest.raises(NotAllowedError):
                attempt()
        assert RoleGrant.objects.count() == before
        assert not PersonalToken.objects.exists()
        assert User.objects.filter(is_emergency=True).count() == 1

    def test_nobody_gives_it_a_role_a_token_or_a_password_of_its_own(self, admin: User) -> None:
        glass = arm_emergency(admin, username="glass")[0].user
        for attempt in (
            lambda: grant_role(admin, user=glass, role=make_role("oversight.decide_escalation")),
            lambda: create_token(system_user("console"), user=glass),
        ):
            with pytest.raises(NotAllowedError):
                attempt()
        with pytest.raises(InvalidError):
            save_person(admin, username="glass", name="x", email="")
        assert not RoleGrant.objects.filter(user=glass).exists()

    def test_with_what_it_may_look_at_it_changes_nothing(self, admin: User) -> None:
        """Whoever has both the credential and an account of their own is no two people."""
        break_in(armed(admin))
        glass, payment = User.objects.get(username="glass"), make_payment()
        policy = make_policy(make_rule(slug="no", effect="deny"), unit=make_unit(), name="Payments")
        about = {"rule": "no", "scope": "agent", "target": "robot", "reason": "Bond.", "days": 9, "times": 3}
        for attempt in (
            lambda: comment_escalation(glass, escalation_id=payment.item.pk, text="The head of finance agrees."),
            lambda: ask_waiver(glass, policy=policy, **about),
            lambda: start_drill(glass, scope="everything", reason="To keep them busy."),
        ):
            with pytest.raises(NotAllowedError, match="looks and stops"):
                attempt()
        assert not Waiver.objects.exists()
        assert not Comment.objects.exists()
        assert not HaltDrill.objects.exists()

    def test_it_stops_and_lifts_nothing(self, admin: User) -> None:
        break_in(armed(admin))
        glass = User.objects.get(username="glass")
        engage_halt(glass, scope="everything", target="", reason="It pays twice.")
        with pytest.raises(NotAllowedError):
            lift_halt(glass, halt_id=Halt.objects.get().pk, reason="Never mind.")
        assert lift_halt(admin, halt_id=Halt.objects.get().pk, reason="Looked at.").lifted_by == admin

    @pytest.mark.parametrize(
        "door", ["password/change/", "2fa/totp/activate/", "2fa/webauthn/add/", "2fa/recovery-codes/generate/"]
    )
    def test_whoever_is_in_it_leaves_no_other_way_in(self, admin: User, door: str) -> None:
        client = break_in(armed(admin))
        client.get(f"/accounts/{door}")
        sent = {"oldpassword": "x", "password1": "a long one of mine", "password2": "a long one of mine", "code": "1"}
        client.post(f"/accounts/{door}", sent)
        glass = User.objects.get(username="glass")
        assert not glass.has_usable_password()
        assert not glass.authenticator_set.exists()
        assert not is_in(break_in("a long one of mine", client=browser("192.0.2.50")))


class TestThePage:
    def test_who_manages_access_sees_makes_rearms_and_withdraws(self, admin: User) -> None:
        client = sign_in_as_root()
        assert "No emergency account yet" in client.get("/access/emergency/").content.decode()
        assert client.post("/access/emergency/", {"username": "glass"}).status_code == 302
        page = client.get("/access/emergency/").content.decode()
        assert "shown once: print" in page
        assert "Armed" in page
        assert "shown once: print" not in client.get("/access/emergency/").content.decode()
        client.post("/access/emergency/glass/arm/")
        client.post("/access/emergency/glass/withdraw/")
        assert "Used up" in client.get("/access/emergency/").content.decode()
        assert names() == ["armed", "ended", "armed", "ended"]

    def test_a_name_of_somebody_is_refused_on_the_form(self, admin: User) -> None:
        client = sign_in_as_root()
        answer = client.post("/access/emergency/", {"username": "root"})
        assert answer.status_code == 422
        assert "nobody&#x27;s own" in answer.content.decode()
        assert names() == []

    def test_of_a_unit_s_administrator_it_is_only_seen(self, admin: User) -> None:
        armed(admin)
        local = make_holder("access.manage_access", unit=make_unit())
        client = Client()
        client.force_login(local)
        page = client.get("/access/emergency/").content.decode()
        assert "glass" in page
        assert "New credential" not in page
        assert client.post("/access/emergency/glass/withdraw/").status_code == 403
        assert names() == ["armed"]

    def test_others_see_neither_page_nor_banner(self, admin: User) -> None:
        break_in(armed(admin))
        client = Client()
        client.force_login(make_holder("agents.view_agent"))
        assert client.get("/access/emergency/").status_code == 403
        assert "emergency account" not in client.get("/settings/").content.decode()

    def test_while_it_is_open_whoever_administers_sees_so_on_every_page(self, admin: User) -> None:
        client = sign_in_as_root()
        glass = break_in(armed(admin))
        page = client.get("/settings/").content.decode()
        assert "Somebody is in the emergency account glass." in page
        assert "an agent pays twice" in page
        assert "You are in an emergency account." in glass.get("/settings/").content.decode()
        glass.post("/accounts/logout/")
        assert "emergency account glass" not in client.get("/settings/").content.decode()

    def test_old_confirmations_do_not_make_one(self, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
        client = sign_in_as_root()
        monkeypatch.setattr("apps.access.accounts.STEP_UP_S", 0)
        answer = client.post("/access/emergency/", {"username": "glass"})
        assert answer["Location"].startswith("/accounts/reauthenticate/?next=")
        assert names() == []
