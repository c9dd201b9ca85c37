"""The ticket desk: what customers write, and what they were answered."""

from http import HTTPStatus
from typing import Any

from apps.demo.systems.rest import Call, System, the
from apps.demo.systems.storage import Storage, now

desk = System("desk", "Ticket desk", {"ticket": ("number", "status", "customer", "subject", "answer", "at")})


@desk.on("GET", "/tickets")
def tickets(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """Tickets, newest first; `?status=open` for those that wait for an answer."""
    wanted = call.query.get("status")
    found = storage.newest("ticket", limit=500)
    return HTTPStatus.OK, {"tickets": [each for each in found if wanted in (None, each["status"])][:50]}


@desk.on("POST", "/tickets")
def open_ticket(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """File what a customer wrote."""
    call.only("customer", "subject", "text", "amount_minor")
    made = {
        "number": storage.next_number("ticket", "T"),
        "status": "open",
        "customer": call.text("customer"),
        "subject": call.text("subject"),
        "text": call.text("text", default=""),
        "amount_minor": call.body.get("amount_minor", 0),
        "answer": "",
        "at": now(),
    }
    return HTTPStatus.CREATED, storage.put("ticket", made["number"], made)


@desk.on("GET", "/tickets/{number}")
def ticket(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """One ticket."""
    return HTTPStatus.OK, the("ticket", storage, call.path["number"])


@desk.on("POST", "/tickets/{number}/answer")
def answer_ticket(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """Answer a ticket and close it."""
    call.only("text")
    found = the("ticket", storage, call.path["number"])
    answered = {**found, "status": "closed", "answer": call.text("text")}
    return HTTPStatus.OK, storage.put("ticket", found["number"], answered)
