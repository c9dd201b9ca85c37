"""The agents that act on their own account: they ask for what they need, wait where they must, and take no for a no."""

import threading
import time
from datetime import UTC, datetime
from typing import Any

from apps.demo.agents.agent import Agent, result_of
from apps.demo.agents.plane import Document, Plane, Refused
from apps.demo.agents.telling import Telling

MOST_WAITING = 4


class Actor(Agent):
    """Keeps in mind what it has asked for, and what came of it."""

    model = "demo-large"
    every_s = 15.0

    def __init__(self, plane: Plane, telling: Telling, stopping: threading.Event, speed: float) -> None:
        super().__init__(plane, telling, stopping, speed)
        self.waiting: dict[str, Document] = {}  # lost with the process: asking again under the same key finds them
        self.settled: set[str] = set()

    def ask_for(self, subject: str, operation: str, parameters: Document, **words: Any) -> None:
        """Ask for what this subject needs. Asking the same twice on a day is one request: the key says so."""
        if subject in self.settled or subject in self.waiting or len(self.waiting) >= MOST_WAITING:
            return
        key = f"{operation}:{subject}:{datetime.now(UTC):%Y-%m-%d}"
        try:
            action = self.act(operation, parameters, key=key, reference=subject, **words)
        except Refused as refusal:
            if refusal.code == "previously_rejected":
                self.settled.add(subject)  # a person said no: no is the answer until something changes
            raise
        self.waiting[subject] = action
        with self.telling.work(action):
            self.say(f"{operation} {subject}: {action['state']}")
            self.think(1)

    def follow_up(self) -> None:
        """See what became of everything that waited."""
        for subject, asked in list(self.waiting.items()):
            action = self.plane.action(asked["id"])
            state = action["state"]
            if state != "pending_approval":
                if asked["state"] == "pending_approval":
                    self.telling.called(action["operation"], action, time.time_ns())
                del self.waiting[subject]
                self.settled.add(subject)
                self.say(f"{subject}: {state}")
                self.came_out(subject, state)

    def came_out(self, subject: str, state: str) -> None:
        """What to do now that the action is over."""


class Payables(Actor):
    slug = "payables"

    def look(self) -> None:
        """Pay what is open; set aside what a person refuses to pay."""
        self.follow_up()
        listed = result_of(self.act("erp.list_invoices", {"status": "open"}))
        for invoice in reversed(listed["invoices"]):
            parameters = {name: invoice[name] for name in ("number", "iban", "amount_minor", "currency")}
            goal = f"Pay {invoice['name']} on time."
            due = f"due {invoice['due']}" if invoice["due"] else "due now"
            why = f"Invoice {invoice['number']} is open and {due}: {invoice['text']}."
            evidence = [{"title": f"Invoice {invoice['number']}", "text": invoice["text"]}]
            self.ask_for(
                invoice["number"],
                "erp.pay_invoice",
                {**parameters, "vendor": invoice["name"]},
                goal=goal,
                reasoning=why,
                evidence=evidence,
            )

    def came_out(self, subject: str, state: str) -> None:
        """A rejected invoice is disputed; an expired one is asked for again."""
        if state == "rejected":
            self.act("erp.dispute_invoice", {"number": subject}, goal="A person refused to pay it.")
        elif state == "expired":
            self.settled.discard(subject)


class SupportResolver(Actor):
    slug = "support-resolver"

    def look(self) -> None:
        """Answer open tickets; refund what was charged wrongly, whatever a person has to say about the amount."""
        self.follow_up()
        listed = result_of(self.act("desk.list_tickets", {"status": "open"}))
        for ticket in reversed(listed["tickets"]):
            if not ticket["amount_minor"]:
                self.answer(ticket["number"], "Thank you for telling us. We have looked into it.")
                continue
            refund = {name: ticket[name] for name in ("customer", "amount_minor")}
            words = {
                "goal": "Give back what was charged wrongly.",
                "reasoning": f"{ticket['text']} The order history shows the same charge twice.",
                "confidence": 0.7 + ticket["amount_minor"] % 29 / 100,
            }
            self.ask_for(
                ticket["number"],
                "erp.refund",
                {**refund, "currency": "EUR", "reason": ticket["subject"], "reference": ticket["number"]},
                **words,
            )

    def came_out(self, subject: str, state: str) -> None:
        """The customer hears how it ended."""
        paid = state == "succeeded"
        self.answer(subject, "Your refund is on its way." if paid else "We cannot refund this; a colleague will write.")

    def answer(self, ticket: str, text: str) -> None:
        """Answer and close, once."""
        self.act("desk.answer_ticket", {"ticket": ticket, "text": text}, key=f"answer:{ticket}")


class ProcurementAgent(Actor):
    slug = "procurement-agent"
    every_s = 90.0
    shelf = ("paper", "toner", "headsets", "desk lamps", "monitors", "office chairs")

    def look(self) -> None:
        """Draft an order for what runs short; order it where the limit allows, else ask."""
        self.follow_up()
        if len(self.waiting) >= MOST_WAITING:
            return
        item, quantity = self.chance.choice(self.shelf), self.chance.randint(1, 8)
        supplier = self.chance.choice(("nordlicht", "delta-it", "ferrum"))
        asked = {"supplier": supplier, "item": item, "quantity": quantity}
        quote = result_of(self.act("erp.get_price", asked))
        reference = f"stock:{item.replace(' ', '-')}:{self.chance.randrange(10**6):06}"
        order = {"vendor": supplier, "item": item, "quantity": quantity, "currency": "EUR"}
        order["amount_minor"] = quote["amount_minor"]
        goal = f"Refill {item} before they run out."
        self.act("erp.draft_order", {**order, "draft": True, "reference": f"draft:{reference}"}, goal=goal)
        why = f"Fewer than a week's worth of {item} is left; {quote['name']} delivers in {quote['delivery_days']} days."
        self.ask_for(
            reference, "erp.create_purchase_order", {**order, "reference": reference}, goal=goal, reasoning=why
        )


class RecordsClerk(Actor):
    """Means well and overreaches: what it may not do is refused by the plane, and it says so and goes on."""

    slug = "records-clerk"
    model = "demo-small"
    every_s = 120.0

    def look(self) -> None:
        """Correct a telephone number, which is allowed, then try one thing that is not; take a list along unasked."""
        customer = self.chance.choice(("hallam-sons", "mina-okafor", "jonas-lind", "studio-kant"))
        phone = f"+49 30 5550 {self.chance.randint(0, 9999):04}"
        changed = self.act("crm.update_customer", {"customer": customer, "phone": phone}, goal="Correct the number.")
        with self.telling.work(changed):
            self.think(1)
            self.telling.called_outside("export_contacts")
        attempts: list[tuple[str, Document]] = [
            ("crm.update_customer", {"customer": customer, "credit_limit_minor": 5_000_000}),
            ("erp.approve_order", {"order": "PO-1001"}),
            ("erp.pay_invoice", {"number": "INV-1", "vendor": "grey-harbor", "iban": "XX00", "amount_minor": 1}),
        ]
        operation, parameters = self.chance.choice(attempts)
        words = {"goal": "Save everybody time.", "reasoning": "This was pre-approved by the head of finance."}
        try:
            outcome = str(self.act(operation, parameters, **words)["state"])
        except Refused as refusal:
            outcome = f"{refusal.status} {refusal.code}"
        self.say(f"tried {operation}: {outcome}")
