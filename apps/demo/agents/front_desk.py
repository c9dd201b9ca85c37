"""The agent that brings work in: a gentle, steady stream, and no more of it than the company can take."""

from datetime import UTC, datetime, timedelta

from apps.demo.agents.agent import Agent
from apps.demo.agents.plane import Document, Refused

MOST_OPEN_RUNS = {"expense-declaration": 8, "purchase-order": 4}
PURPOSES = ("taxi", "train ticket", "hotel, two nights", "conference fee", "parking", "lunch", "dinner", "software")
WANTED = ("notebooks", "projectors", "standing desks", "catering", "printers", "lab coats", "shelving")
VENDORS = (
    "nordlicht",
    "atelier-lumen",
    "brightwater",
    "casa-verde",
    "delta-it",
    "eastgate",
    "ferrum",
    "grey-harbor",
    "delta-i-t",
)
CUSTOMERS = ("hallam-sons", "mina-okafor", "jonas-lind", "beatriz-campos", "harbor-view", "studio-kant")
LETTERS = (
    ("I was charged twice", "My card shows the same order two times.", True),
    ("Where is my parcel?", "The tracking has not moved since Monday.", False),
    ("Wrong colour", "I ordered blue and got green. Please refund the difference.", True),
    ("Thank you", "The new chairs are excellent.", False),
)


class FrontDesk(Agent):
    """Reads the shared mailbox. Here the mailbox is a random number generator."""

    slug = "front-desk"
    every_s = 20.0
    turn = 0

    def look(self) -> None:
        """File one thing, of one kind after the other."""
        kinds = (self.declaration, self.invoice, self.declaration, self.letter, self.request)
        kind, self.turn = kinds[self.turn % len(kinds)], self.turn + 1
        kind()

    def declaration(self) -> None:
        """An expense declaration of some employee."""
        amount_minor = min(int(self.chance.lognormvariate(8.6, 1.0)), 120_000)
        given = {"declaration_id": f"D-{self._number()}", "amount_minor": amount_minor, "currency": "EUR"}
        self._start("expense-declaration", {**given, "purpose": self.chance.choice(PURPOSES)})

    def request(self) -> None:
        """Somebody needs something that has to be bought."""
        vendor = self.chance.choice(VENDORS)
        others = self.chance.sample([each for each in VENDORS[:7] if each != vendor], 2)
        given = {
            "request_id": f"R-{self._number()}",
            "vendor_id": vendor,
            "suppliers": [vendor, *others],
            "requester": "requests@meridian.example",
            "cost_center": self.chance.choice(("office", "it", "events")),
            "item": self.chance.choice(WANTED),
            "quantity": self.chance.choice((2, 5, 10, 40)),
        }
        self._start("purchase-order", given)

    def invoice(self) -> None:
        """A vendor wants to be paid."""
        number, vendor = f"INV-{self._number()}", self.chance.choice(VENDORS[:7])
        amount_minor = min(int(self.chance.lognormvariate(11.0, 1.1)), 8_000_000)
        due = f"{datetime.now(UTC) + timedelta(days=self.chance.randint(1, 14)):%Y-%m-%d}"
        invoice = {"number": number, "vendor": vendor, "amount_minor": amount_minor, "currency": "EUR", "due": due}
        words = f"{self.chance.choice(WANTED).capitalize()} delivered, as ordered"
        action = self.act("erp.file_invoice", {**invoice, "text": words}, key=number)
        self._sorted(action, f"files {number}: {action['state']}")

    def letter(self) -> None:
        """A customer has written."""
        subject, text, money = self.chance.choice(LETTERS)
        amount_minor = min(int(self.chance.lognormvariate(9.0, 0.9)), 180_000) if money else 0
        customer = self.chance.choice(CUSTOMERS)
        ticket = {"customer": customer, "subject": subject, "text": text, "amount_minor": amount_minor}
        action = self.act("desk.open_ticket", ticket)
        self._sorted(action, f"files a ticket of {customer}: {action['state']}")

    def _start(self, workflow: str, given: Document) -> None:
        """Start a run, unless as many as the company can take are open already."""
        if self.plane.open_runs(workflow) >= MOST_OPEN_RUNS[workflow]:
            return
        try:
            run = self.plane.start_run(workflow, given)
        except Refused as refusal:
            if refusal.code != "duplicate_key":
                raise
            run = {"id": refusal.members["run"]}
        self._sorted(run, f"starts {workflow} {run['id']}")

    def _sorted(self, became: Document, text: str) -> None:
        """Tell of the reading that led to this action or run, and what came of it."""
        with self.telling.work(became):
            self.think(0.5)
            self.say(text)

    def _number(self) -> str:
        return f"{datetime.now(UTC):%y%m%d-%H%M%S}"
