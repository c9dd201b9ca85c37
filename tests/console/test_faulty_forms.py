"""No form of any page fails in silence: what does not fit is summed up where the focus goes, and changes nothing.

Every form of the pages that test_empty_states.py, bare.py and test_destructive_acts.py open is sent empty, with far too
long a text, and with a choice that is on no list. What has a button alone, and what none of them offers, is listed.
"""

import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.db import transaction
from django.test import Client
from django.urls import resolve
from lxml import html

from tests.console import bare, offers, steps
from tests.console.offers import Scene
from tests.console.test_destructive_acts import ALSO, DESTRUCTIVE, HARMLESS
from tests.console.test_empty_states import IN_A_SENTENCE, LISTS, NO_LISTS
from tests.oversight.edge_cases.census import census, differences

pytestmark = pytest.mark.django_db
WRITTEN = {"too long": "x" * 20_000, "nothing": "", "unknown": "As asked."}
TEXT = ".//textarea[@name]|.//input[@name and (not(@type) or @type='text' or @type='search')]"
"""Where people write."""
OTHERS = ".//input[@name and contains('|number|date|datetime-local|', concat('|', @type, '|'))]"
CHOICE = ".//select[@name]"
UNKNOWN = "nonsense"
"""No choice of any list, and the id of nothing."""
SUMMARY = "//*[contains(concat(' ', @class, ' '), ' summary ') and @role='alert' and @tabindex='-1']"
NOTES = re.compile(r"^\+\d+ (entry (request\.refused|connector\.import_refused)|cache)$")
"""That something was refused, and what counts how often it was asked."""
TAKEN = {
    ("agents/<slug:slug>/keys/", "nothing"): "a key needs no name",
    ("connectors/<slug:slug>/edit/", "nothing"): "a description may be empty",
    ("connectors/<slug:slug>/operations/<str:operation>/edit/", "nothing"): "so may an operation's",
    ("connectors/<slug:slug>/state/", "nothing"): "a reason is optional where nothing is lost",
    ("inbox/<uuid:escalation_id>/delegate/", "nothing"): "the reason is optional",
    ("settings/notifications/", "nothing"): "every wish may be withdrawn",
    ("settings/shortcuts/", "nothing"): "its button with a name puts all of them back, whatever was typed",
    ("settings/shortcuts/", "too long"): "its button with a name puts all of them back, whatever was typed",
    ("waivers/<uuid:waiver_id>/end/", "nothing"): "the reason is optional",
    ("agents/<slug:slug>/unit/", "nothing"): "the first step only shows what would follow",
    ("agents/<slug:slug>/unit/", "too long"): "the first step only shows what would follow",
    ("agents/<slug:slug>/unit/", "unknown"): "the first step only shows what would follow, here nothing",
    ("inbox/<uuid:escalation_id>/snooze/", "nothing"): "its buttons name a length of time, whatever the date says",
    ("inbox/<uuid:escalation_id>/snooze/", "too long"): "its buttons name a length of time, whatever the date says",
    ("policies/<slug:slug>/edit/", "nothing"): "its first button only looks, and what it finds stands beside the rules",
    (
        "policies/<slug:slug>/edit/",
        "too long",
    ): "its first button only looks, and what it finds stands beside the rules",
}
"""What is taken as it is, and why."""
BUTTONS = {
    "absences/<uuid:absence_id>/end/", "access/calendars/<slug:slug>/remove/", "access/chats/<slug:slug>/remove/",
    "access/emergency/<str:username>/arm/", "access/emergency/<str:username>/withdraw/",
    "access/groups/<slug:slug>/end/", "access/people/<str:username>/return/",
    "access/people/<str:username>/sessions/end/",
    "access/reviews/<uuid:review_id>/close/", "access/rotas/<slug:slug>/remove/",
    "access/rotas/<slug:slug>/swaps/end/", "accounts/2fa/recovery-codes/generate/", "accounts/2fa/totp/deactivate/",
    "accounts/2fa/webauthn/keys/<int:pk>/remove/", "accounts/logout/",
    "agents/<slug:slug>/changes/<uuid:change_id>/agree/", "agents/<slug:slug>/keys/<uuid:credential_id>/revoke/",
    "agents/<slug:slug>/tests/remove/", "agents/<slug:slug>/tokens/<uuid:access_token_id>/revoke/",
    "audit/trails/<uuid:trail_id>/erase/agree/", "breakers/<slug:slug>/changes/<uuid:change_id>/release/",
    "budgets/<slug:slug>/changes/<uuid:change_id>/release/", "connectors/<slug:slug>/probe/",
    "connectors/<slug:slug>/secret/older/", "dashboards/event-logs/<uuid:log_id>/remove/",
    "dashboards/event-logs/files/<uuid:upload_id>/cancel/", "dashboards/event-logs/files/<uuid:upload_id>/discard/",
    "dashboards/goals/<str:kind>/<slug:slug>/remove/",
    "dashboards/goals/baselines/<slug:slug>/approve/", "dashboards/goals/baselines/<slug:slug>/decline/",
    "inbox/<uuid:escalation_id>/claim/", "inbox/drills/<slug:queue>/end/", "inbox/standing/<uuid:approval_id>/end/",
    "inbox/views/<uuid:view_id>/delete/", "policies/<slug:slug>/publish/",
    "policies/simulations/<uuid:simulation_id>/cancel/", "settings/notifications/browsers/<uuid:browser_id>/remove/",
    "settings/notifications/browsers/<uuid:browser_id>/test/", "settings/notifications/browsers/add/",
    "settings/sessions/<uuid:ref>/end/", "settings/sessions/end-others/", "settings/tokens/<uuid:token_id>/revoke/",
    "waivers/<uuid:waiver_id>/approve/",
}  # fmt: skip
"""A button alone: the walk meets each and finds nothing to fill in."""
NOT_WALKED = {
    "accounts/2fa/authenticate/": "a step of sign-in by allauth, in access/test_signing_in.py",
    "accounts/2fa/reauthenticate/": "a step of sign-in by allauth, as the next",
    "accounts/reauthenticate/": "a step of sign-in by allauth, in access/test_second_factor.py",
    "accounts/2fa/totp/activate/": "a step of sign-in by allauth, in access/test_second_factor.py",
    "accounts/2fa/webauthn/add/": "what a passkey says, in access/test_second_factor.py",
    "accounts/2fa/webauthn/keys/<int:pk>/edit/": "what a passkey is called, by allauth: no scene has one",
    "accounts/2fa/webauthn/login/": "what a passkey says, written by a script",
    "accounts/2fa/webauthn/reauthenticate/": "what a passkey says, written by a script",
    "accounts/emergency/": "a step of sign-in, in access/test_emergencies.py",
    "accounts/login/": "a step of sign-in by allauth, in access/test_passwords.py",
    "accounts/password/change/": "a step of sign-in by allauth, in access/test_passwords.py",
    "connectors/<slug:slug>/inside/": "two buttons alone, each with its answer",
    "connectors/<slug:slug>/operations/<str:operation>/review/": "ticks alone, in connectors/test_confirming.py",
    "connectors/<slug:slug>/review/": "ticks alone, in connectors/test_confirming.py",
    "connectors/<slug:slug>/secret/": "a secret never comes back, in connectors/test_rotation.py",
    "dashboards/event-logs/": "a file, in kpis/test_event_log_wizard.py",
    "dashboards/unusual/<uuid:anomaly_id>/unmute/": "a button alone, in kpis/test_worth_a_look.py",
    "inbox/<uuid:escalation_id>/escalate/": "a reason as in the other moves, whose template it shares",
    "inbox/<uuid:escalation_id>/evidence/": "written by a script, in oversight/test_seen.py",
    "inbox/<uuid:escalation_id>/presence/": "written by a script, in oversight/test_presence.py",
    "inbox/<uuid:escalation_id>/release/": "a button alone, where one has claimed it",
    "inbox/<uuid:escalation_id>/skip/": "a button alone, in oversight/test_focus.py",
    "inbox/<uuid:escalation_id>/undo/": "a button alone, while a decision is held",
    "inbox/focus/end/": "a button alone, in oversight/test_focus.py",
    "inbox/focus/start/": "a button alone, in oversight/test_focus.py",
    "notifications/seen/": "a button alone, in notifications/test_in_app.py",
    "runs/failures/retry/": "ticks alone, in workflows/test_retrying.py",
}
"""What is not walked, and why. Where another test is named, it sends the form, not every fault of it."""
SCENES: list[Scene] = [
    *(offers.at(f"/{route}") for route in sorted(LISTS | set(IN_A_SENTENCE) | NO_LISTS)),
    *bare.OF_ONE.values(),
    *(offer.scene for offer in DESTRUCTIVE.values()),
    *(offer.scene for _route, offer in ALSO),
    *steps.AFTER,
]


def texts(form: html.HtmlElement) -> list[str]:
    """The names of the fields where people write."""
    return [str(one.get("name")) for one in form.xpath(TEXT)]


def filled(form: html.HtmlElement, kind: str) -> dict[str, list[str]]:
    """What a browser would send, with what is of this ``kind`` wherever people write or choose."""
    fields: dict[str, list[str]] = {}
    for name, value in form.form_values():
        fields.setdefault(name, []).append(value)
    for button in form.xpath(".//button[@name]")[:1]:
        fields[button.get("name")] = [button.get("value", "")]
    wrong = {"unknown": CHOICE, "nothing": "" if texts(form) else f"{CHOICE}|{OTHERS}"}.get(kind, OTHERS)
    said = UNKNOWN if kind == "unknown" else WRITTEN[kind]
    others = {one.get("name"): [said] for one in form.xpath(wrong)} if wrong else {}
    return fields | {name: [WRITTEN[kind]] for name in texts(form)} | others


def lost(page: html.HtmlElement, one: str) -> str:
    """What is wrong with where the summary leads: to a field that is marked as wrong, with its message tied to it."""
    field = page.get_element_by_id(one, None)
    if field is None:
        return f"#{one} leads nowhere"
    if not field.xpath("descendant-or-self::*[@aria-invalid='true']"):
        return f"#{one} is not marked"
    told = [page.get_element_by_id(name, None) for name in field.get("aria-describedby", "").split()]
    if None in told:
        return f"#{one} is described by nothing"
    return "" if [text for text in told if "error" in text.get("class", "").split()] else f"#{one} has no message"


def forgotten(page: html.HtmlElement, name: str, text: str) -> str:
    """That what was typed is gone, wherever the page asks for it again."""
    again = [field.value or "" for field in page.xpath(f"//*[self::input or self::textarea][@name='{name}']")]
    return "" if text in [value.removeprefix("\n") for value in again] else f"{name} is forgotten"


def faults(client: Client, action: str, sent: dict[str, list[str]], typed: dict[str, str], before: Counter[str]) -> str:
    """What is wrong with how a form that does not fit is answered; nothing where all is well."""
    answer = client.post(action, sent)
    if answer.status_code != 422:
        return f"taken: {answer.status_code}"
    page = html.fromstring(answer.content)
    moved = [line for line in differences(before, census()) if not NOTES.search(line)]
    said = [] if page.xpath(SUMMARY) else ["no summary"]
    links = dict.fromkeys(page.xpath(f"{SUMMARY}//a[starts-with(@href, '#')]/@href"))
    said += filter(None, [lost(page, link.removeprefix("#")) for link in links])
    said += filter(None, [forgotten(page, name, text) for name, text in typed.items()])
    return ", ".join([*said, *moved])


def walked() -> Iterator[tuple[str, str, str]]:
    """Each address with something to write, what was written, and what is wrong with the answer."""
    seen = set()
    for scene in SCENES:
        made = transaction.savepoint()
        client, path = scene()
        page = html.fromstring(client.get(path).content)
        assert "-----" not in page.text_content(), path  # what is chosen where nothing is has a name
        before = census()
        for form in page.xpath("//main//form[@method='post']"):
            action = form.get("action") or path
            route = resolve(urlsplit(action).path).route
            if route in seen or route in NOT_WALKED:
                continue
            if not form.xpath(f"{TEXT}|{OTHERS}|{CHOICE}"):
                yield route, "", ""
                continue
            seen.add(route)
            for kind, text in WRITTEN.items():
                if not form.xpath(CHOICE if kind == "unknown" else f"{TEXT}|{OTHERS}" if kind == "too long" else "."):
                    continue
                tried = transaction.savepoint()
                sent, typed = filled(form, kind), dict.fromkeys(texts(form), text)
                yield route, kind, faults(client, action, sent, typed, before)
                transaction.savepoint_rollback(tried)
        transaction.savepoint_rollback(made)


def test_what_does_not_fit_is_summed_up_and_changes_nothing():
    found = {(route, kind): wrong for route, kind, wrong in walked()}
    taken = {place for place, wrong in found.items() if wrong.startswith("taken")}
    assert {place: wrong for place, wrong in found.items() if wrong and place not in TAKEN} == {}
    assert taken == set(TAKEN)
    offered = {route for route, kind in found if kind}
    assert {route for route, kind in found if not kind} - offered == BUTTONS
    assert (HARMLESS | set(DESTRUCTIVE)) - offered - BUTTONS == set(NOT_WALKED)
