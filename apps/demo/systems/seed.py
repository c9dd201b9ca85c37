"""What the systems hold on the first day: invented names, reserved domains, IBANs that no bank has given out."""

from apps.demo.systems.desk import open_ticket
from apps.demo.systems.erp import file_invoice
from apps.demo.systems.rest import Call
from apps.demo.systems.storage import Storage, now

VENDORS = [
    ("nordlicht", "Nordlicht Office Supply", "DE", "active"),
    ("atelier-lumen", "Atelier Lumen", "FR", "active"),
    ("brightwater", "Brightwater Print", "IE", "active"),
    ("casa-verde", "Casa Verde Catering", "ES", "active"),
    ("delta-it", "Delta IT Hardware", "NL", "active"),
    ("eastgate", "Eastgate Logistics", "PL", "active"),
    ("ferrum", "Ferrum Workshop", "AT", "active"),
    ("grey-harbor", "Grey Harbor Trading", "XX", "blocked"),
    ("delta-i-t", "Delta I.T. Hardware", "NL", "unverified"),
]
CUSTOMERS = [
    ("hallam-sons", "Hallam & Sons", "accounts@hallam.example", "+44 20 5550 0100"),
    ("mina-okafor", "Mina Okafor", "mina.okafor@mail.example", "+49 30 5550 0101"),
    ("jonas-lind", "Jonas Lind", "jonas.lind@mail.example", "+46 8 5550 0102"),
    ("beatriz-campos", "Beatriz Campos", "b.campos@mail.example", "+34 91 5550 0103"),
    ("harbor-view", "Harbor View Hotel", "desk@harborview.example", "+353 1 5550 0104"),
    ("studio-kant", "Studio Kant", "hello@studiokant.example", "+43 1 5550 0105"),
]
BUDGETS = [
    ("office", "Office and supplies", 400_000_000),
    ("it", "IT equipment", 4_000_000_000),
    ("events", "Events and travel", 1_500_000_000),
]
INVOICES = [
    ("INV-1001", "casa-verde", 48_000, "Lunch for the spring meeting"),
    ("INV-1002", "nordlicht", 325_000, "Office chairs, 10 pieces"),
    ("INV-1003", "delta-it", 1_240_000, "Laptops, 8 pieces"),
    ("INV-1004", "eastgate", 3_180_000, "Freight, third quarter"),
]
TICKETS = [
    ("mina-okafor", "I was charged twice", "My card shows the same order two times.", 4_500),
    ("hallam-sons", "Twelve lamps arrived broken", "The parcel was crushed. Photographs are attached.", 18_400),
    ("harbor-view", "Thank you", "The new chairs are excellent.", 0),
]


def fill(storage: Storage) -> None:
    """Put the first day's documents where none are yet."""
    if storage.count("vendor"):
        return
    with storage.transaction():
        for place, (identity, name, country, status) in enumerate(VENDORS):
            iban = f"{country}00 7421 {3110 + 17 * place} 0048 {2205 + 31 * place} 00"
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
