"""What the systems hold on the first day: invented names, reserved domains, IBANs that no bank has given out."""

from apps.demo.systems.desk import open_ticket
from apps.demo.systems.erp import file_invoice
from apps.demo.systems.rest import Call
from apps.demo.systems.storage import Storage, now

VENDORS = [
    ("V-100", "Nordlicht Office Supply", "DE", "active"),
    ("V-101", "Atelier Lumen", "FR", "active"),
    ("V-102", "Brightwater Print", "IE", "active"),
    ("V-103", "Casa Verde Catering", "ES", "active"),
    ("V-104", "Delta IT Hardware", "NL", "active"),
    ("V-105", "Eastgate Logistics", "PL", "active"),
    ("V-106", "Ferrum Workshop", "AT", "active"),
    ("V-107", "Grey Harbor Trading", "XX", "blocked"),
    ("V-108", "Delta I.T. Hardware", "NL", "unverified"),
]
CUSTOMERS = [
    ("C-200", "Hallam & Sons", "accounts@hallam.example", "+44 20 5550 0100"),
    ("C-201", "Mina Okafor", "mina.okafor@mail.example", "+49 30 5550 0101"),
    ("C-202", "Jonas Lind", "jonas.lind@mail.example", "+46 8 5550 0102"),
    ("C-203", "Beatriz Campos", "b.campos@mail.example", "+34 91 5550 0103"),
    ("C-204", "Harbor View Hotel", "desk@harborview.example", "+353 1 5550 0104"),
    ("C-205", "Studio Kant", "hello@studiokant.example", "+43 1 5550 0105"),
]
BUDGETS = [
    ("office", "Office and supplies", 400_000_000),
    ("it", "IT equipment", 4_000_000_000),
    ("events", "Events and travel", 1_500_000_000),
]
INVOICES = [
    ("INV-1001", "V-103", 48_000, "Lunch for the spring meeting"),
    ("INV-1002", "V-100", 325_000, "Office chairs, 10 pieces"),
    ("INV-1003", "V-104", 1_240_000, "Laptops, 8 pieces"),
    ("INV-1004", "V-105", 3_180_000, "Freight, third quarter"),
]
TICKETS = [
    ("C-201", "I was charged twice", "My card shows the same order two times.", 4_500),
    ("C-200", "Twelve lamps arrived broken", "The parcel was crushed. Photographs are attached.", 18_400),
    ("C-204", "Thank you", "The new chairs are excellent.", 0),
]


def fill(storage: Storage) -> None:
    """Put the first day's documents where none are yet."""
    if storage.count("vendor"):
        return
    with storage.transaction():
        for place, (identity, name, country, status) in enumerate(VENDORS):
            iban = f"{country}00 0000 0000 0000 00{place:02}"
            vendor = {"id": identity, "name": name, "country": country, "status": status, "iban": iban}
            storage.put("vendor", identity, {**vendor, "vat_id": f"{country}{place:09}"})
        for identity, name, email, phone in CUSTOMERS:
            customer = {"id": identity, "name": name, "email": email, "phone": phone, "address": "1 Sample Street"}
            storage.put("customer", identity, {**customer, "credit_limit_minor": 500_000, "at": now()})
        _fill_desks(storage)
        for slug, name, amount_minor in BUDGETS:
            money = {"amount_minor": amount_minor, "reserved_minor": 0, "spent_minor": 0, "currency": "EUR"}
            storage.put("budget", slug, {"cost_center": slug, "name": name, **money})


def _fill_desks(storage: Storage) -> None:
    """What waits for the agents on their first day."""
    for number, vendor, amount_minor, text in INVOICES:
        filed = Call(
            body={"number": number, "vendor": vendor, "amount_minor": amount_minor, "currency": "EUR", "text": text}
        )
        file_invoice(storage, filed)
    for customer, subject, text, amount_minor in TICKETS:
        open_ticket(
            storage, Call(body={"customer": customer, "subject": subject, "text": text, "amount_minor": amount_minor})
        )
