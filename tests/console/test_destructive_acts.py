"""What takes something away says what follows, before the button: on every page, for every address that does.

The addresses come from the URL configuration: a new one that takes a form is sorted here, or a test fails.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.urls import Resolver404, resolve
from lxml import html

from tests.console import offers
from tests.console.offers import Scene
from tests.security.test_pages import FOR_PROGRAMS
from tests.test_house import every_address, example_of

pytestmark = pytest.mark.django_db
NO_FORMS = ("api/", "admin/", "csp-report/", "healthz", "readyz", "live/", "favicon.ico", *FOR_PROGRAMS)
"""Endpoints, windows that change nothing, and doors for programs."""
CLOSED = re.compile(r"accounts/(\^|email/|signup/|login/code/|password/(reset|set)/|saml/|2fa/recovery-codes/download)")
"""Allauth's, which this house does not use or which take no form of a page."""
HARMLESS = {
    "access/calendars/<slug:slug>/edit/", "access/chats/set/", "access/emergency/", "access/groups/<slug:slug>/",
    "access/new-calendar/", "access/new-group-mapping/", "access/new-person/", "access/new-review/",
    "access/new-rota/", "access/people/<str:username>/absences/", "access/people/<str:username>/return/",
    "access/people/<str:username>/roles/",
    "access/requests/<uuid:request_id>/grant/", "access/rotas/<slug:slug>/edit/", "access/rotas/<slug:slug>/swaps/",
    "accounts/2fa/authenticate/", "accounts/2fa/reauthenticate/", "accounts/2fa/totp/activate/",
    "accounts/2fa/webauthn/add/", "accounts/2fa/webauthn/keys/<int:pk>/edit/", "accounts/2fa/webauthn/login/",
    "accounts/2fa/webauthn/reauthenticate/", "accounts/emergency/", "accounts/login/", "accounts/logout/",
    "accounts/password/change/", "accounts/reauthenticate/", "agents/<slug:slug>/edit/", "agents/<slug:slug>/keys/",
    "agents/<slug:slug>/levels/<str:operation>/", "agents/<slug:slug>/public-keys/",
    "agents/<slug:slug>/right-size/<uuid:sizing_id>/undo/", "agents/<slug:slug>/tests/",
    "agents/<slug:slug>/versions/new/", "breakers/<slug:slug>/", "budgets/<slug:slug>/",
    "budgets/<slug:slug>/actions/<uuid:action_id>/return/", "connectors/<slug:slug>/address/",
    "connectors/<slug:slug>/edit/", "connectors/<slug:slug>/import/",
    "connectors/<slug:slug>/operations/<str:operation>/call/",
    "connectors/<slug:slug>/operations/<str:operation>/edit/",
    "connectors/<slug:slug>/operations/<str:operation>/review/", "connectors/<slug:slug>/probe/",
    "connectors/<slug:slug>/review/", "dashboards/event-logs/", "dashboards/event-logs/<uuid:log_id>/start/",
    "dashboards/event-logs/files/<uuid:upload_id>/",
    "dashboards/goals/baselines/", "dashboards/goals/targets/", "dashboards/prices/set/", "dashboards/rates/set/",
    "dashboards/unusual/<uuid:anomaly_id>/unmute/",
    "data-classes/<slug:slug>/", "halts/<uuid:halt_id>/lift/", "halts/drills/", "inbox/<uuid:escalation_id>/claim/",
    "inbox/<uuid:escalation_id>/comment/", "inbox/<uuid:escalation_id>/delegate/",
    "inbox/<uuid:escalation_id>/escalate/", "inbox/<uuid:escalation_id>/evidence/",
    "inbox/<uuid:escalation_id>/extend/", "inbox/<uuid:escalation_id>/presence/",
    "inbox/<uuid:escalation_id>/propose/", "inbox/<uuid:escalation_id>/reassign/",
    "inbox/<uuid:escalation_id>/release/", "inbox/<uuid:escalation_id>/skip/", "inbox/<uuid:escalation_id>/snooze/",
    "inbox/<uuid:escalation_id>/standing/", "inbox/<uuid:escalation_id>/undo/", "inbox/drills/<slug:queue>/",
    "inbox/focus/end/", "inbox/focus/start/", "inbox/views/", "new-agent/", "new-breaker/", "new-budget/",
    "new-connector/", "new-data-class/", "new-policy/", "new-waiver/", "notifications/seen/",
    "policies/<slug:slug>/edit/", "policies/<slug:slug>/simulate/",
    "policies/simulations/<uuid:simulation_id>/propose/", "reports/weekly/by-mail/", "runs/<uuid:run_id>/resume/",
    "runs/failures/retry/", "settings/", "settings/absences/", "settings/notifications/",
    "settings/notifications/browsers/<uuid:browser_id>/test/", "settings/notifications/browsers/add/",
    "settings/shortcuts/", "settings/tokens/", "waivers/<uuid:waiver_id>/approve/",
}  # fmt: skip
"""They make, change, allow or look at something, and show what follows where they are forms of several steps."""


@dataclass
class Offer:
    """The page that offers an act, what it has to say before the button, and which form of the page is meant."""

    scene: Scene
    says: str
    form: str = ""


DESTRUCTIVE = {
    "agents/<slug:slug>/permissions/": Offer(offers.agent, "what goes beyond is refused from the next request on"),
    "settings/sessions/<uuid:ref>/end/": Offer(offers.sessions, "what was typed there and not sent is lost"),
    "settings/sessions/end-others/": Offer(offers.sessions, "what was typed there and not sent is lost"),
    "access/people/<str:username>/sessions/end/": Offer(offers.person, "what they typed and did not send is lost"),
    "access/people/<str:username>/leave/": Offer(offers.leaving, "no password, passkey or single sign-on lets them in"),
    "access/people/<str:username>/edit/": Offer(offers.renamed, "can set another password from then on"),
    "access/grants/<uuid:grant_id>/revoke/": Offer(offers.person, "gone from their next request on"),
    "settings/tokens/<uuid:token_id>/revoke/": Offer(offers.tokens, "It does not come back."),
    "absences/<uuid:absence_id>/end/": Offer(offers.absences, "nobody stands in from then on"),
    "accounts/2fa/totp/deactivate/": Offer(
        offers.second_factor("totp/deactivate/"), "Its codes are worth nothing from now on."
    ),
    "accounts/2fa/webauthn/keys/<int:pk>/remove/": Offer(
        offers.second_factor("webauthn/keys/KEY/remove/"), "It signs you in no more, from now on."
    ),
    "accounts/2fa/recovery-codes/generate/": Offer(
        offers.second_factor("recovery-codes/generate/"), "This action will invalidate your existing codes."
    ),
    "agents/<slug:slug>/permissions/<str:operation>/revoke/": Offer(offers.agent, "next request for it is refused"),
    "agents/<slug:slug>/keys/<uuid:credential_id>/revoke/": Offer(offers.agent, "dead from the next request on"),
    "agents/<slug:slug>/tokens/<uuid:access_token_id>/revoke/": Offer(
        offers.agent, "the next request with it is refused"
    ),
    "agents/<slug:slug>/state/": Offer(offers.agent, "what was approved and has not begun fails"),
    "agents/<slug:slug>/retire/": Offer(offers.agent, "what it asked people is cancelled"),
    "agents/<slug:slug>/unit/": Offer(offers.agent_page("unit/"), "and those of this one no more"),
    "agents/<slug:slug>/tests/remove/": Offer(offers.agent_tests, "a test is asked no more"),
    "agents/<slug:slug>/versions/<int:number>/": Offer(offers.older_version, "From its next request on it acts as"),
    "agents/<slug:slug>/changes/<uuid:change_id>/agree/": Offer(offers.asked_change(), "it happens at once"),
    "agents/<slug:slug>/changes/<uuid:change_id>/drop/": Offer(offers.asked_change(), "refused, nothing changes"),
    "agents/<slug:slug>/right-size/": Offer(offers.sizing, "what goes beyond is refused from the next request on"),
    "discovered-agents/<uuid:discovered_id>/": Offer(
        offers.discovered, "spans and logs under this name are not taken from the next request on"
    ),
    "flags/<uuid:flag_id>/dismiss/": Offer(offers.flags, "a flag stands no more"),
    "tool-findings/<uuid:finding_id>/dismiss/": Offer(offers.tool_findings, "a tool is open no more"),
    "access/emergency/<str:username>/arm/": Offer(offers.emergency, "the old one opens nothing any more"),
    "access/emergency/<str:username>/withdraw/": Offer(offers.emergency, "an account opens with nothing"),
    "access/requests/<uuid:request_id>/refuse/": Offer(
        offers.access_requests, "it cannot ask for the same again for a week"
    ),
    "access/groups/<slug:slug>/end/": Offer(offers.mapping, "Nobody loses anything now."),
    "access/rotas/<slug:slug>/remove/": Offer(offers.rota("remove/"), "its turns and its swaps are gone"),
    "access/rotas/<slug:slug>/swaps/end/": Offer(offers.rota(""), "a swap is gone"),
    "access/calendars/<slug:slug>/remove/": Offer(offers.calendar, "Its hours and its holidays are gone."),
    "breakers/<slug:slug>/end/": Offer(offers.breaker, "it stops nothing any more"),
    "breakers/<slug:slug>/changes/<uuid:change_id>/release/": Offer(offers.breaker_change, "it stops nothing any more"),
    "breakers/<slug:slug>/changes/<uuid:change_id>/decline/": Offer(offers.breaker_change, "nothing changes"),
    "budgets/<slug:slug>/end/": Offer(offers.budget, "it stops nothing any more"),
    "budgets/<slug:slug>/changes/<uuid:change_id>/release/": Offer(
        offers.budget_change, "Without it only rules and other budgets"
    ),
    "budgets/<slug:slug>/changes/<uuid:change_id>/decline/": Offer(offers.budget_change, "nothing changes"),
    "waivers/<uuid:waiver_id>/decline/": Offer(offers.waiver(approved=False), "the rule goes on as it is"),
    "waivers/<uuid:waiver_id>/end/": Offer(offers.waiver(approved=True), "the rule has its say again"),
    "halts/engage/": Offer(offers.halts, "nothing new begins until somebody else lifts the halt"),
    "policies/simulations/<uuid:simulation_id>/cancel/": Offer(offers.simulation, "it looks at no more actions"),
    "policies/<slug:slug>/retire/": Offer(offers.policy(), "its rules judge no more from the next request on"),
    "policies/<slug:slug>/publish/": Offer(
        offers.policy(rest="?version=2", retiring=True), "its rules judge no more from the next request on"
    ),
    "policies/<slug:slug>/decline/": Offer(offers.policy(rest="?version=2", retiring=True), "nothing changes"),
    "policies/<slug:slug>/roll-back/": Offer(
        offers.policy(rest="?version=1", versions=2), "It comes back as a new version"
    ),
    "audit/trails/<uuid:trail_id>/erase/": Offer(offers.erasure(asked=False), "Erases for ever what was written"),
    "audit/trails/<uuid:trail_id>/erase/agree/": Offer(offers.erasure(asked=True), "nobody can bring it back"),
    "audit/trails/<uuid:trail_id>/erase/drop/": Offer(offers.erasure(asked=True), "nothing is erased"),
    "actions/<uuid:action_id>/compensate/": Offer(offers.compensation, "That cannot be undone here."),
    "connectors/<slug:slug>/state/": Offer(offers.connector, "it refuses every call from the next request on"),
    "connectors/<slug:slug>/secret/": Offer(offers.connector, "then it is destroyed"),
    "connectors/<slug:slug>/secret/older/": Offer(offers.connector, "it cannot be brought back"),
    "connectors/<slug:slug>/inside/": Offer(offers.connector, "nothing inside is reached"),
    "connectors/<slug:slug>/operations/<str:operation>/state/": Offer(
        offers.connector, "every request for it is refused from the next one on"
    ),
    "dashboards/goals/<str:kind>/<slug:slug>/remove/": Offer(offers.goals, "The ledger keeps what it said."),
    "dashboards/goals/baselines/<slug:slug>/decline/": Offer(offers.goal_to_remove, "what was asked for is over"),
    "dashboards/goals/baselines/<slug:slug>/approve/": Offer(offers.goal_to_remove, "are then held against nothing"),
    "dashboards/event-logs/<uuid:log_id>/remove/": Offer(offers.event_log, "The log and its figures go."),
    "dashboards/event-logs/files/<uuid:upload_id>/cancel/": Offer(offers.log_import, "nothing of it is imported"),
    "dashboards/event-logs/files/<uuid:upload_id>/discard/": Offer(offers.log_upload, "the file is deleted"),
    "dashboards/unusual/<uuid:anomaly_id>/mute/": Offer(offers.anomalies, "Nobody is told of the like of it"),
    "settings/notifications/browsers/<uuid:browser_id>/remove/": Offer(
        offers.browsers, "a browser is told nothing more"
    ),
    "access/chats/<slug:slug>/remove/": Offer(offers.chats, "its address is destroyed"),
    "inbox/views/<uuid:view_id>/delete/": Offer(offers.views, "a view is gone"),
    "inbox/<uuid:escalation_id>/decision/": Offer(
        offers.item("?decide=reject"), "Once it is rejected, it does not run.", "reject"
    ),
    "inbox/bulk/": Offer(offers.bulk, "What is rejected does not run."),
    "inbox/standing/<uuid:approval_id>/end/": Offer(offers.standing, "it lets nothing more run"),
    "inbox/drills/<slug:queue>/end/": Offer(offers.drills, "those that wait are gone at once"),
    "access/reviews/<uuid:review_id>/close/": Offer(offers.review(), "Nobody can decide in this review afterwards."),
    "access/reviews/<uuid:review_id>/rights/<uuid:line_id>/": Offer(
        offers.review("rights/LINE/"), "gone from their next request on"
    ),
    "access/reviews/<uuid:review_id>/together/<str:act>/": Offer(
        offers.review("together/revoke_unused/"), "Each is gone from the holder's next request on."
    ),
    "runs/<uuid:run_id>/pause/": Offer(offers.run, "nothing more of it is offered"),
    "runs/<uuid:run_id>/cancel/": Offer(offers.run, "what is open stops"),
    "spans/<uuid:span_id>/link/": Offer(offers.span, "It cannot be undone."),
    "workflows/<slug:slug>/rollback/": Offer(offers.workflow, "Open runs keep the version with which they began."),
}  # fmt: skip
ALSO = [
    ("halts/engage/", Offer(offers.item("?decide=more"), "At once, for everything it does; somebody else lifts it.")),
    ("flags/<uuid:flag_id>/dismiss/", Offer(offers.flagged_agent, "it stands no more")),
    ("inbox/standing/<uuid:approval_id>/end/", Offer(offers.standing_item, "the like of it asks people again")),
    ("agents/<slug:slug>/changes/<uuid:change_id>/drop/", Offer(offers.asked_change(own=True), "nothing changes")),
    ("audit/trails/<uuid:trail_id>/erase/drop/", Offer(offers.erasure(asked=True, own=True), "nothing is erased")),
]
"""The same acts on other pages, and as others see them."""
BOUNDS = {"form", "section", "details", "article", "li"}
CARDS = {"card", "note"}


def forms_to(page: html.HtmlElement, path: str, route: str) -> list[html.HtmlElement]:
    """The forms of a page that are sent to ``route``."""
    found = []
    for form in page.xpath("//form[@method='post']"):
        try:
            where = resolve(urlsplit(form.get("action") or path).path).route
        except Resolver404:
            continue
        if where == route:
            found.append(form)
    return found


def button_of(form: html.HtmlElement) -> html.HtmlElement:
    """What takes something away: the red one, or the last that sends the form."""
    buttons = form.xpath(".//button[not(@type) or @type='submit']")
    return next((one for one in buttons if "danger" in one.get("class", "")), buttons[-1])


def said_before(form: html.HtmlElement, *, is_own_page: bool) -> str:
    """What stands before the button in what holds it, and what describes it."""
    button = button_of(form)
    page = form.getroottree().getroot()
    told = [
        one.text_content()
        for name in button.get("aria-describedby", "").split()
        for one in page.xpath(f"//*[@id='{name}']")
    ]
    held = [one for one in button.iterancestors() if one.tag in BOUNDS or CARDS & set(one.get("class", "").split())]
    if is_own_page:
        held = page.xpath("//main")
    before = set(button.xpath("preceding::text()"))
    for place in held:
        told += [text for text in place.xpath(".//text()") if text in before]
    return re.sub(r"\s+", " ", " ".join(told))


def taking_forms() -> set[str]:
    """The addresses of pages that take a form: those that do not say that they take none."""
    client, found = offers.signed_in(), set()
    for route in sorted(set(every_address())):
        if route.startswith(NO_FORMS) or CLOSED.match(route):
            continue
        client = offers.signed_in() if "accounts" in route else client
        if client.post(f"/{example_of(route)}").status_code != 405:
            found.add(route)
    return found


def test_every_address_that_takes_a_form_is_sorted():
    taking = taking_forms()
    assert taking - HARMLESS - set(DESTRUCTIVE) == set()
    assert (HARMLESS | set(DESTRUCTIVE)) - taking == set()
    assert HARMLESS & set(DESTRUCTIVE) == set()


@pytest.mark.parametrize(("route", "offer"), [*DESTRUCTIVE.items(), *ALSO])
def test_what_follows_stands_before_the_button(route: str, offer: Offer):
    client, path = offer.scene()
    answer: Any = client.get(path)
    assert answer.status_code == 200, answer
    page = html.fromstring(answer.content)
    forms = [
        form
        for form in forms_to(page, path, route)
        if not offer.form or form.xpath(f".//input[@name='verdict' and @value='{offer.form}']")
    ]
    assert forms, "It is not offered there."
    for form in forms:
        is_own_page = resolve(urlsplit(path).path).route == route
        assert offer.says in said_before(form, is_own_page=is_own_page)
