"""The ERP: vendors, prices, budgets and reservations, orders, invoices, declarations, payments, refunds."""

import zlib
from http import HTTPStatus
from typing import Any

from apps.demo.systems.rest import Call, System, conflict, the, unfit
from apps.demo.systems.storage import Document, Storage, now

erp = System(
    "erp",
    "ERP",
    {
        "order": ("number", "status", "vendor", "item", "amount_minor", "reference", "at"),
        "payment": ("number", "for", "payee", "amount_minor", "at"),
        "invoice": ("number", "status", "vendor", "amount_minor", "due", "at"),
        "refund": ("number", "customer", "amount_minor", "reason", "at"),
        "reservation": ("id", "status", "cost_center", "amount_minor", "reference", "at"),
        "declaration": ("id", "status", "purpose", "amount_minor", "at"),
        "budget": ("cost_center", "name", "amount_minor", "reserved_minor", "spent_minor"),
        "vendor": ("id", "name", "country", "status", "iban"),
    },
)


@erp.on("GET", "/vendors/{id}")
def vendor(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """One vendor, with what a validator looks at."""
    return HTTPStatus.OK, the("vendor", storage, call.path["id"])


@erp.on("GET", "/prices/{supplier}")
def price(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """What a supplier asks for so many pieces of an item: always the same answer to the same question."""
    supplier = the("vendor", storage, call.path["supplier"])
    item, pieces = call.query.get("item", ""), call.query.get("quantity", "")
    if not item or not pieces.isdigit() or not int(pieces):
        raise unfit("item and quantity", "must say what and how many")
    base_minor = 2_000 + zlib.crc32(item.encode()) % 60_000
    margin_percent = 95 + zlib.crc32(f"{supplier['id']}{item}".encode()) % 25
    amount_minor = base_minor * margin_percent * int(pieces) // 100
    days = 2 + zlib.crc32(supplier["id"].encode()) % 12
    return HTTPStatus.OK, {
        "supplier": supplier["id"],
        "name": supplier["name"],
        "item": item,
        "quantity": int(pieces),
        "amount_minor": amount_minor,
        "currency": "EUR",
        "delivery_days": days,
    }


@erp.on("GET", "/budgets/{cost_center}")
def budget(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """A budget and what is left of it."""
    found = the("budget", storage, call.path["cost_center"])
    return HTTPStatus.OK, {**found, "available_minor": _left(found)}


@erp.on("POST", "/reservations")
def reserve(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """Set money aside; refused when the budget does not hold it."""
    call.only("cost_center", "amount_minor", "currency", "reference")
    found, amount_minor = the("budget", storage, call.text("cost_center")), call.amount()
    if amount_minor > _left(found):
        raise conflict("budget_exceeded", f"{found['cost_center']} has {_left(found)} minor units left.")
    storage.put("budget", found["cost_center"], {**found, "reserved_minor": found["reserved_minor"] + amount_minor})
    made = {
        "id": storage.next_number("reservation", "RES"),
        "status": "reserved",
        "cost_center": found["cost_center"],
        "amount_minor": amount_minor,
        "currency": "EUR",
        "reference": call.text("reference", default=""),
        "at": now(),
    }
    return HTTPStatus.CREATED, storage.put("reservation", made["id"], made)


@erp.on("POST", "/reservations/{id}/release")
def release(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """Give reserved money back; a second release changes nothing."""
    held = the("reservation", storage, call.path["id"])
    if held["status"] == "reserved":
        found = the("budget", storage, held["cost_center"])
        left = {**found, "reserved_minor": found["reserved_minor"] - held["amount_minor"]}
        storage.put("budget", found["cost_center"], left)
        storage.put("reservation", held["id"], {**held, "status": "released"})
    return HTTPStatus.OK, the("reservation", storage, held["id"])


@erp.on("POST", "/purchase-orders")
def order(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """Order from a vendor. The reference is the natural key: one open order per reference, whoever asks how often."""
    call.only("vendor", "amount_minor", "currency", "item", "quantity", "reference", "draft")
    supplier, reference = the("vendor", storage, call.text("vendor")), call.text("reference")
    if supplier["status"] == "blocked":
        raise conflict("vendor_blocked", f"{supplier['name']} is blocked.")
    wanted = {
        "vendor": supplier["id"],
        "name": supplier["name"],
        "item": call.text("item", default=""),
        "quantity": call.body.get("quantity", 1),
        "amount_minor": call.amount(),
        "currency": call.text("currency", default="EUR"),
        "reference": reference,
    }
    if there := _same(storage, "order", reference, wanted):
        return HTTPStatus.OK, there
    status = "draft" if call.body.get("draft") is True else "ordered"
    made = {"number": storage.next_number("order", "PO"), "status": status, **wanted, "at": now()}
    return HTTPStatus.CREATED, storage.put("order", made["number"], made, natural_key=reference)


@erp.on("GET", "/purchase-orders/{number}")
def one_order(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """One order."""
    return HTTPStatus.OK, the("order", storage, call.path["number"])


@erp.on("POST", "/purchase-orders/{number}/approve")
def approve_order(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """Turn a draft into an order."""
    return HTTPStatus.OK, _move(storage, "order", call.path["number"], frm="draft", to="ordered")


@erp.on("POST", "/purchase-orders/{number}/cancel")
def cancel_order(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """Cancel an order or a draft; its reference may be used again."""
    found = the("order", storage, call.path["number"])
    return HTTPStatus.OK, storage.put("order", found["number"], {**found, "status": "cancelled"})


@erp.on("GET", "/invoices")
def invoices(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """Invoices, newest first; `?status=open` for those that wait to be paid."""
    wanted = call.query.get("status")
    found = storage.newest("invoice", limit=500)
    return HTTPStatus.OK, {"invoices": [each for each in found if wanted in (None, each["status"])][:50]}


@erp.on("GET", "/invoices/{number}")
def invoice(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """One invoice, as it was filed."""
    return HTTPStatus.OK, the("invoice", storage, call.path["number"])


@erp.on("POST", "/invoices")
def file_invoice(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """File a vendor's invoice. Its number is the natural key."""
    call.only("number", "vendor", "amount_minor", "currency", "text", "due")
    supplier, number = the("vendor", storage, call.text("vendor")), call.text("number")
    wanted = {
        "number": number,
        "vendor": supplier["id"],
        "name": supplier["name"],
        "iban": supplier["iban"],
        "amount_minor": call.amount(),
        "currency": call.text("currency", default="EUR"),
        "text": call.text("text", default=""),
        "due": call.text("due", default=""),
    }
    if there := _same(storage, "invoice", number, wanted):
        return HTTPStatus.OK, there
    made = {**wanted, "status": "open", "at": now()}
    return HTTPStatus.CREATED, storage.put("invoice", number, made, natural_key=number)


@erp.on("POST", "/invoices/{number}/dispute")
def dispute_invoice(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """Set an open invoice aside: it is not paid until somebody has spoken with the vendor."""
    return HTTPStatus.OK, _move(storage, "invoice", call.path["number"], frm="open", to="disputed")


@erp.on("POST", "/invoices/{number}/pay")
def pay_invoice(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """Pay an invoice, exactly its amount, exactly to its vendor's account."""
    call.only("vendor", "iban", "amount_minor", "currency")
    found = the("invoice", storage, call.path["number"])
    if found["status"] == "disputed":
        raise conflict("invalid_state", f"{found['number']} is disputed.")
    asked = {**call.body, "name": call.text("vendor")}
    if any(asked.get(name) != found[name] for name in ("name", "iban", "amount_minor", "currency")):
        raise conflict("invoice_differs", "Vendor, account or amount are not those of the invoice.")
    paid = _pay(storage, f"invoice {found['number']}", found["name"], call)
    storage.put("invoice", found["number"], {**found, "status": "paid"}, natural_key=found["number"])
    return HTTPStatus.CREATED, paid


@erp.on("POST", "/declarations")
def register_declaration(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """Register an expense declaration. Its id is the natural key."""
    call.only("declaration_id", "amount_minor", "currency", "purpose")
    identity, amount_minor = call.text("declaration_id"), call.body.get("amount_minor")
    if type(amount_minor) is not int or amount_minor < 0:
        raise unfit("amount_minor", "must be an integer, zero or more")
    wanted = {
        "id": identity,
        "amount_minor": amount_minor,
        "currency": call.text("currency", default="EUR"),
        "purpose": call.text("purpose", default=""),
    }
    if there := _same(storage, "declaration", identity, wanted):
        return HTTPStatus.OK, there
    made = {**wanted, "status": "registered", "at": now()}
    return HTTPStatus.CREATED, storage.put("declaration", identity, made, natural_key=identity)


@erp.on("GET", "/declarations/{id}")
def declaration(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """One declaration."""
    return HTTPStatus.OK, the("declaration", storage, call.path["id"])


@erp.on("POST", "/declarations/{id}/withdraw")
def withdraw_declaration(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """Take a declaration back, as long as it is not paid; it may be registered again."""
    found = the("declaration", storage, call.path["id"])
    if found["status"] == "paid":
        raise conflict("invalid_state", f"{found['id']} is paid.")
    return HTTPStatus.OK, storage.put("declaration", found["id"], {**found, "status": "withdrawn"})


@erp.on("POST", "/declarations/{id}/pay")
def pay_declaration(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """Pay a declaration to the employee, once."""
    call.only("amount_minor", "currency")
    found = the("declaration", storage, call.path["id"])
    if found["status"] == "withdrawn" or call.amount() != found["amount_minor"]:
        raise conflict("declaration_differs", "It is withdrawn, or has another amount.")
    paid = _pay(storage, f"declaration {found['id']}", "employee", call)
    storage.put("declaration", found["id"], {**found, "status": "paid"}, natural_key=found["id"])
    return HTTPStatus.CREATED, paid


@erp.on("POST", "/refunds")
def refund(storage: Storage, call: Call) -> tuple[HTTPStatus, Any]:
    """Pay money back to a customer. The reference is the natural key."""
    call.only("customer", "amount_minor", "currency", "reason", "reference")
    reference = call.text("reference")
    wanted = {
        "customer": call.text("customer"),
        "amount_minor": call.amount(),
        "currency": call.text("currency", default="EUR"),
        "reason": call.text("reason", default=""),
        "reference": reference,
    }
    if there := _same(storage, "refund", reference, wanted):
        return HTTPStatus.OK, there
    made: Document = {"number": storage.next_number("refund", "REF"), **wanted, "at": now()}
    return HTTPStatus.CREATED, storage.put("refund", made["number"], made, natural_key=reference)


def _pay(storage: Storage, what: str, payee: str, call: Call) -> Document:
    """One payment per thing to be paid: the second time, the first payment is the answer."""
    if there := storage.find("payment", what):
        return there
    made: Document = {
        "number": storage.next_number("payment", "PAY"),
        "for": what,
        "payee": payee,
        "iban": call.text("iban", default=""),
        "amount_minor": call.amount(),
        "currency": call.text("currency", default="EUR"),
        "at": now(),
    }
    return storage.put("payment", made["number"], made, natural_key=what)


def _same(storage: Storage, kind: str, natural_key: str, wanted: Document) -> Document | None:
    """What holds this key already, if it says the same; 409 if it says something else."""
    there = storage.find(kind, natural_key)
    if there is not None and any(there[name] != value for name, value in wanted.items()):
        raise conflict("reference_taken", f"{natural_key} is already used for something else.")
    return there


def _move(storage: Storage, kind: str, identity: str, *, frm: str, to: str) -> Document:
    found = the(kind, storage, identity)
    if found["status"] not in (frm, to):
        raise conflict("invalid_state", f"{identity} is {found['status']}.")
    natural_key = found.get("reference") or identity
    return storage.put(kind, identity, {**found, "status": to}, natural_key=natural_key)


def _left(budget: Document) -> int:
    return int(budget["amount_minor"] - budget["reserved_minor"] - budget["spent_minor"])
