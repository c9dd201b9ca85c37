"""The CRM: customers, and changes to them field by field."""

from http import HTTPStatus
from typing import Any

from apps.demo.systems.rest import Call, System, the, unfit
from apps.demo.systems.storage import Storage, now

FIELDS = ("name", "email", "phone", "address", "credit_limit_minor")

crm = System("crm", "CRM", {"customer": ("id", "name", "email", "phone", "address", "credit_limit_minor", "at")})


@crm.on("GET", "/customers")
def customers(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """Customers, newest first; `?q=` looks into names and addresses."""
    wanted = call.query.get("q", "").lower()
    found = [each for each in storage.newest("customer") if wanted in f"{each['name']} {each['email']}".lower()]
    return HTTPStatus.OK, {"customers": found}


@crm.on("GET", "/customers/{id}")
def customer(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """One customer."""
    return HTTPStatus.OK, the("customer", storage, call.path["id"])


@crm.on("PATCH", "/customers/{id}")
def update_customer(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """Change the fields that are sent and no others."""
    call.only(*FIELDS)
    if not call.body:
        raise unfit("the body", "must name at least one field")
    found = the("customer", storage, call.path["id"])
    return HTTPStatus.OK, storage.put("customer", found["id"], {**found, **call.body, "at": now()})
