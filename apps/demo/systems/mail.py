"""The mail sink: takes every message, shows it, delivers none."""

from http import HTTPStatus
from typing import Any

from apps.demo.systems.rest import Call, System, the, unfit
from apps.demo.systems.storage import Storage, now

TEMPLATES = {
    "vendor-refused": ("Your purchase request was refused", "The vendor you asked for did not pass our checks."),
    "order-created": ("Your order is on its way", "What you asked for has been ordered."),
    "declaration-paid": ("Your declaration was paid", "The amount you declared is on its way to your account."),
    "declaration-refused": ("Your declaration was refused", "Please talk to your finance team."),
}

mail = System("mail", "Mail sink", {"message": ("id", "to", "subject", "text", "at")})


@mail.on("POST", "/messages")
def send(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """Take a message: either a template, or a subject and a text."""
    call.only("to", "template", "subject", "text", "about")
    template = call.text("template", default="")
    if template and template not in TEMPLATES:
        raise unfit("template", f"must be one of {', '.join(TEMPLATES)}")
    subject, text = TEMPLATES.get(template) or (call.text("subject"), call.text("text", default=""))
    about = call.text("about", default="")
    made = {
        "id": storage.next_number("message", "M"),
        "to": call.text("to"),
        "subject": f"{subject}: {about}" if about else subject,
        "text": text,
        "at": now(),
    }
    return HTTPStatus.CREATED, storage.put("message", made["id"], made)


@mail.on("GET", "/messages/{id}")
def message(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """One message."""
    return HTTPStatus.OK, the("message", storage, call.path["id"])
