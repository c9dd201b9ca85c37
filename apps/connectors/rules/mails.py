"""Mails that operations send: who may get them, and how parameters become a mail without leaving their place in it."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.agents.rules import EffectClass
from apps.connectors.rules.egress import HOST
from apps.connectors.rules.money import Money, money_of, value_at
from apps.connectors.rules.parameters import CALL, METHODS, SELECT, SEND
from apps.connectors.rules.queries import SQL
from apps.connectors.rules.states import ExecutedBy, Idempotency
from apps.connectors.rules.tools import MCP
from apps.connectors.rules.wording import PLACEHOLDER, template_problem
from apps.core.rules import ValueProblem

EMAIL = "email"
LOCAL = re.compile(r"[A-Za-z0-9_'+=~-]+(?:\.[A-Za-z0-9_'+=~-]+)*")
"""No “%” and no “!”: relays that read them would carry the mail on to somewhere else."""
ADDRESS_MAX, LOCAL_MAX, RECIPIENTS_MAX, DOMAINS_MAX = 254, 64, 20, 50
SUBJECT_MAX, BODY_MAX = 300, 50_000
BREAKS = frozenset({"Cc", "Cs", "Zl", "Zp"})
CONNECTOR_KEYS, OPERATION_KEYS = (
    frozenset({"from", "recipients", "reply_to", "tls"}),
    frozenset({"to", "subject", "body"}),
)
NO_TLS = "none"
NOT_A_MAIL_SERVER = "Only a connector with the adapter email sends mails."
MAILS_ARE: tuple[tuple[str, Any, str], ...] = (
    ("path", "/", "A mail has no address: “/”."),
    ("effect", EffectClass.IRREVERSIBLE, "A mail cannot be called back: irreversible."),
    ("idempotency", Idempotency.NONE, "A mail that is sent twice arrives twice: none."),
    ("execution", ExecutedBy.PLANE, "The plane sends mails: plane."),
    ("dry_run", None, "A mail cannot be tried without sending it."),
)
"""What an operation that sends mails has to say, and why."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One mail as it is going to be sent: checked addresses, a subject of one line, a plain text."""

    recipients: tuple[str, ...]
    subject: str
    body: str


def address_problem(text: object) -> str:
    """Why this is no plain e-mail address; empty when it is one."""
    if not isinstance(text, str) or len(text) > ADDRESS_MAX:
        return "An e-mail address, such as name@example.com."
    local, _at, domain = text.rpartition("@")
    if len(local) > LOCAL_MAX or not LOCAL.fullmatch(local) or "." not in domain or not HOST.fullmatch(domain.lower()):
        return "An e-mail address, such as name@example.com."
    return ""


def system_mail_errors(mail: object, *, adapter: str, auth: str) -> dict[str, list[str]]:
    """What does not fit in a mail server's ``{from, recipients, reply_to?, tls?}``, and in how it signs in."""
    if adapter != EMAIL:
        return {} if mail is None else {"mail": [NOT_A_MAIL_SERVER]}
    if not isinstance(mail, Mapping) or mail.keys() - CONNECTOR_KEYS or not {"from", "recipients"} <= mail.keys():
        return {"mail": ["An object with from, recipients (domains), and perhaps reply_to and tls."]}
    found: dict[str, list[str]] = {}
    for key in ("from", "reply_to"):
        if key in mail and (problem := address_problem(mail[key])):
            found[f"mail.{key}"] = [problem]
    domains = mail["recipients"]
    if not isinstance(domains, list) or not 1 <= len(domains) <= DOMAINS_MAX or not all(map(_is_domain, domains)):
        found["mail.recipients"] = [f"From 1 to {DOMAINS_MAX} domains in small letters, such as example.com."]
    if mail.get("tls", NO_TLS) != NO_TLS:
        found["mail.tls"] = ["“none”, for a relay inside that has no TLS; else leave it out: TLS is required."]
    if auth not in {"none", "basic"}:
        found["auth.type"] = ["A mail server takes none or basic."]
    return found


def _is_domain(text: object) -> bool:
    return isinstance(text, str) and "." in text and HOST.fullmatch(text) is not None


def mail_errors(mail: object, *, schema: Mapping[str, Any], has_amount: bool) -> dict[str, list[str]]:
    """What does not fit in an operation's ``{to, subject, body}``: a list of addresses, two templates."""
    if not isinstance(mail, Mapping) or set(mail) != OPERATION_KEYS:
        return {"mail": ["An object with to (a list), subject and body."]}
    problems = {
        "mail.subject": _text_problem(mail["subject"], SUBJECT_MAX, schema, has_amount=has_amount),
        "mail.body": _text_problem(mail["body"], BODY_MAX, schema, has_amount=has_amount),
    }
    if not problems["mail.subject"] and _has_break(mail["subject"]):
        problems["mail.subject"] = "One line."
    wanted = mail["to"]
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= RECIPIENTS_MAX:
        problems["mail.to"] = f"From 1 to {RECIPIENTS_MAX} addresses, or parameters such as {{email}}."
    else:
        problems |= {f"mail.to.{place}": _recipient_problem(one, schema) for place, one in enumerate(wanted)}
    return {name: [problem] for name, problem in problems.items() if problem}


def _text_problem(text: object, most: int, schema: Mapping[str, Any], *, has_amount: bool) -> str:
    if not isinstance(text, str) or not 1 <= len(text.strip()) <= most:
        return f"A text from 1 to {most} characters."
    return template_problem(text, schema=schema, has_amount=has_amount)


def _recipient_problem(wanted: object, schema: Mapping[str, Any]) -> str:
    if isinstance(wanted, str) and PLACEHOLDER.fullmatch(wanted):
        return template_problem(wanted, schema=schema, has_amount=False)
    return address_problem(wanted)


def methods_of(adapter: str) -> tuple[str, ...]:
    """What an operation of a system can be: a method of HTTP, sending a mail, asking a database, calling a tool."""
    return {EMAIL: (SEND,), SQL: (SELECT,), MCP: (CALL,)}.get(adapter, METHODS)


def sending_errors(values: Mapping[str, Any], *, adapter: str) -> dict[str, list[str]]:
    """What of an operation does not fit with its system being a mail server, or not being one."""
    mail = values["mail"]
    if adapter != EMAIL:
        return {} if mail is None else {"mail": [NOT_A_MAIL_SERVER]}
    found = mail_errors(mail, schema=values["parameters"], has_amount=values["amount"] is not None)
    for name, wanted, why in MAILS_ARE:
        if values[name] != wanted:
            found[name] = [why]
    return found


def draft_of(
    mail: Mapping[str, Any], parameters: Mapping[str, Any], *, domains: Sequence[str], amount: Mapping[str, str] | None
) -> Draft:
    """The mail of an operation with these parameters. Raises ValueProblem at the parameter that does not fit.

    A parameter fills a recipient whole or is refused; in the subject a line break is refused; the text is plain, so
    nothing in it is anything but text.
    """
    money = money_of(parameters, amount)
    recipients = list(dict.fromkeys(one for wanted in mail["to"] for one in _recipients(wanted, parameters, domains)))
    if len(recipients) > RECIPIENTS_MAX:
        raise ValueProblem(f"At most {RECIPIENTS_MAX} recipients.", _first_name(mail["to"]))
    subject = _filled(mail["subject"], parameters, money, is_line=True).strip()
    if not 1 <= len(subject) <= SUBJECT_MAX:
        raise ValueProblem(f"The subject has from 1 to {SUBJECT_MAX} characters.", _first_name([mail["subject"]]))
    body = _filled(mail["body"], parameters, money, is_line=False)
    if len(body) > BODY_MAX:
        raise ValueProblem(f"The mail has at most {BODY_MAX} characters.", _first_name([mail["body"]]))
    return Draft(tuple(recipients), subject, body)


def _recipients(wanted: str, parameters: Mapping[str, Any], domains: Sequence[str]) -> list[str]:
    match = PLACEHOLDER.fullmatch(wanted)
    name = match.group(1) if match else ""
    value = value_at(parameters, name) if match else wanted
    given = value if isinstance(value, list) else [value]
    for one in given:
        if problem := address_problem(one):
            raise ValueProblem(problem, name)
        if one.rpartition("@")[2].lower() not in domains:
            raise ValueProblem(f"Mails go to these domains only: {', '.join(domains)}.", name)
    if not given:
        raise ValueProblem("There is nobody to send it to.", name)
    return given


def _first_name(texts: Sequence[str]) -> str:
    return next((name for text in texts for name in PLACEHOLDER.findall(text) if name != "amount"), "")


def _filled(template: str, parameters: Mapping[str, Any], money: Money | None, *, is_line: bool) -> str:
    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name == "amount" and money is not None:
            return str(money)
        value = value_at(parameters, name)
        if isinstance(value, dict | list):
            raise ValueProblem("It stands in the text of a mail: give a text or a number.", name)
        text = "" if value is None else str(value)
        plain = text if is_line else text.replace("\r\n", " ").replace("\n", " ").replace("\t", " ")
        if _has_break(plain):
            raise ValueProblem("It stands in a mail: no control characters, and in the subject one line.", name)
        return text

    return PLACEHOLDER.sub(fill, template).replace("\r\n", "\n")


def _has_break(text: str) -> bool:
    return any(unicodedata.category(char) in BREAKS for char in text)
