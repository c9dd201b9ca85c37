"""No form of any page fails in silence: what does not fit is summed up where the focus goes, and changes nothing.

Every form of the pages that test_empty_states.py, bare.py and test_destructive_acts.py open is sent empty, and with far
too long a text. An address that none of them offers with something to write in is listed here, or a test fails.
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

from tests.console import bare, offers
from tests.console.offers import Scene
from tests.console.test_destructive_acts import ALSO, DESTRUCTIVE, HARMLESS
from tests.console.test_empty_states import IN_A_SENTENCE, LISTS, NO_LISTS
from tests.oversight.edge_cases.census import census, differences

pytestmark = pytest.mark.django_db
WRITTEN = {"too long": "x" * 20_000, "nothing": ""}
TEXT = ".//textarea[@name]|.//input[@name and (not(@type) or @type='text' or @type='search')]"
"""Where people write."""
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
    ("policies/<slug:slug>/edit/", "nothing"): "its first button only looks, and what it finds stands beside the rules",
    (
        "policies/<slug:slug>/edit/",
        "too long",
    ): "its first button only looks, and what it finds stands beside the rules",
}
"""What is taken as it is, and why."""
NOT_WALKED = {
    "absences/<uuid:absence_id>/end/", "access/calendars/<slug:slug>/remove/", "access/chats/<slug:slug>/remove/",
    "access/emergency/<str:username>/arm/", "access/emergency/<str:username>/withdraw/",
    "access/groups/<slug:slug>/end/", "access/people/<str:username>/absences/",
    "access/people/<str:username>/roles/", "access/people/<str:username>/sessions/end/",
    "access/reviews/<uuid:review_id>/close/", "access/rotas/<slug:slug>/remove/",
    "access/rotas/<slug:slug>/swaps/", "access/rotas/<slug:slug>/swaps/end/", "accounts/2fa/authenticate/",
    "accounts/2fa/reauthenticate/", "accounts/2fa/recovery-codes/generate/", "accounts/2fa/totp/activate/",
    "accounts/2fa/totp/deactivate/", "accounts/2fa/webauthn/add/", "accounts/2fa/webauthn/keys/<int:pk>/edit/",
    "accounts/2fa/webauthn/keys/<int:pk>/remove/", "accounts/2fa/webauthn/login/",
    "accounts/2fa/webauthn/reauthenticate/", "accounts/emergency/", "accounts/login/", "accounts/logout/",
    "accounts/password/change/", "accounts/reauthenticate/", "agents/<slug:slug>/changes/<uuid:change_id>/agree/",
    "agents/<slug:slug>/keys/<uuid:credential_id>/revoke/", "agents/<slug:slug>/levels/<str:operation>/",
    "agents/<slug:slug>/right-size/<uuid:sizing_id>/undo/", "agents/<slug:slug>/tests/remove/",
    "agents/<slug:slug>/tokens/<uuid:access_token_id>/revoke/", "audit/trails/<uuid:trail_id>/erase/agree/",
    "breakers/<slug:slug>/changes/<uuid:change_id>/release/",
    "budgets/<slug:slug>/actions/<uuid:action_id>/return/",
    "budgets/<slug:slug>/changes/<uuid:change_id>/release/", "connectors/<slug:slug>/inside/",
    "connectors/<slug:slug>/operations/<str:operation>/review/", "connectors/<slug:slug>/probe/",
    "connectors/<slug:slug>/review/", "connectors/<slug:slug>/secret/", "connectors/<slug:slug>/secret/older/",
    "dashboards/event-logs/", "dashboards/event-logs/<uuid:log_id>/remove/",
    "dashboards/event-logs/files/<uuid:upload_id>/discard/", "dashboards/goals/<str:kind>/<slug:slug>/remove/",
    "dashboards/goals/baselines/<slug:slug>/approve/", "dashboards/goals/baselines/<slug:slug>/decline/",
    "inbox/<uuid:escalation_id>/claim/", "inbox/<uuid:escalation_id>/escalate/",
    "inbox/<uuid:escalation_id>/evidence/", "inbox/<uuid:escalation_id>/presence/",
    "inbox/<uuid:escalation_id>/release/", "inbox/<uuid:escalation_id>/skip/",
    "inbox/<uuid:escalation_id>/snooze/", "inbox/<uuid:escalation_id>/standing/",
    "inbox/<uuid:escalation_id>/undo/", "inbox/drills/<slug:queue>/end/", "inbox/focus/end/", "inbox/focus/start/",
    "inbox/standing/<uuid:approval_id>/end/", "inbox/views/", "inbox/views/<uuid:view_id>/delete/", "new-waiver/",
    "notifications/seen/", "policies/<slug:slug>/publish/", "policies/<slug:slug>/simulate/",
    "policies/simulations/<uuid:simulation_id>/cancel/", "policies/simulations/<uuid:simulation_id>/propose/",
    "runs/<uuid:run_id>/resume/", "runs/failures/retry/", "settings/", "settings/absences/",
    "settings/notifications/browsers/<uuid:browser_id>/remove/",
    "settings/notifications/browsers/<uuid:browser_id>/test/", "settings/notifications/browsers/add/",
    "settings/sessions/<uuid:ref>/end/", "settings/sessions/end-others/",
    "settings/tokens/<uuid:token_id>/revoke/", "waivers/<uuid:waiver_id>/approve/",
}  # fmt: skip
"""No scene offers them with a text to write: most are a button, a tick or a choice alone, and some have tests of their
own. The summary of the latter is not tried here."""
SCENES: list[Scene] = [
    *(offers.at(f"/{route}") for route in sorted(LISTS | set(IN_A_SENTENCE) | NO_LISTS)),
    *bare.OF_ONE.values(),
    *(offer.scene for offer in DESTRUCTIVE.values()),
    *(offer.scene for _route, offer in ALSO),
]


def texts(form: html.HtmlElement) -> list[str]:
    """The names of the fields where people write."""
    return [str(one.get("name")) for one in form.xpath(TEXT)]


def filled(form: html.HtmlElement, text: str) -> dict[str, list[str]]:
    """What a browser would send, with ``text`` wherever people write."""
    fields: dict[str, list[str]] = {}
    for name, value in form.form_values():
        fields.setdefault(name, []).append(value)
    for button in form.xpath(".//button[@name]")[:1]:
        fields[button.get("name")] = [button.get("value", "")]
    return fields | {name: [text] for name in texts(form)}


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
        before = census()
        for form in page.xpath("//main//form[@method='post']"):
            action = form.get("action") or path
            route = resolve(urlsplit(action).path).route
            if route in seen or not form.xpath(TEXT):
                continue
            seen.add(route)
            for name, text in WRITTEN.items():
                tried = transaction.savepoint()
                yield route, name, faults(client, action, filled(form, text), dict.fromkeys(texts(form), text), before)
                transaction.savepoint_rollback(tried)
        transaction.savepoint_rollback(made)


def test_what_does_not_fit_is_summed_up_and_changes_nothing():
    found = {(route, text): wrong for route, text, wrong in walked()}
    taken = {place for place, wrong in found.items() if wrong.startswith("taken")}
    assert {place: wrong for place, wrong in found.items() if wrong and place not in TAKEN} == {}
    assert taken == set(TAKEN)
    assert (HARMLESS | set(DESTRUCTIVE)) - {route for route, _text in found} == NOT_WALKED
