"""The agents that take steps of workflows: they check, gather and compare, and decide nothing that is not theirs."""

from itertools import count

from apps.demo.agents.agent import Question, Worker, result_of
from apps.demo.agents.plane import Document

SEARCHES_EVERY = 3
UNCLEAR = {"dinner": ("with customers", "among ourselves"), "software": ("for a project", "for myself")}


def answer_in(task: Document) -> str | None:
    """What a person answered to our question; "" when nobody did in time; None when we have not asked yet."""
    answers = task["context"]["answers"]
    return (answers[-1]["answer"] or "") if answers else None


class VendorValidator(Worker):
    slug = "vendor-validator"

    def handle(self, task: Document) -> Document:
        """Valid is a vendor that the ERP holds as active. One that nobody has verified is a question, not a guess."""
        wanted = {"vendor": task["input"]["vendor_id"]}
        action = self.act("erp.get_vendor", wanted, task=task["id"], goal="Know the vendor before we buy.")
        if action["state"] == "failed":
            return {"valid": False, "why": "The ERP has no such vendor."}
        vendor = result_of(action)
        if vendor["status"] == "unverified":
            answer = answer_in(task)
            if answer is None:
                text = f"{vendor['name']} ({vendor['id']}) is not verified and resembles another vendor. Is it genuine?"
                raise Question(text, "genuine", "not genuine")
            return {
                "valid": answer == "genuine",
                "name": vendor["name"],
                "why": f"A person says: {answer or 'nothing'}.",
            }
        return {"valid": vendor["status"] == "active", "name": vendor["name"], "why": f"Status {vendor['status']}."}


class QuoteGatherer(Worker):
    slug = "quote-gatherer"
    hands = 2
    tries = "demo-preview"

    def handle(self, task: Document) -> Document:
        """One supplier's price. Which supplier it becomes, a person says."""
        wanted = {name: task["input"][name] for name in ("supplier", "item", "quantity")}
        quote = result_of(self.act("erp.get_price", wanted, task=task["id"], goal="Compare prices."))
        return {name: quote[name] for name in ("supplier", "name", "amount_minor", "delivery_days")}


class ExpenseChecker(Worker):
    slug = "expense-checker"
    hands = 4
    searched = count(1)

    def handle(self, task: Document) -> Document:
        """Fine, or doubt: whether the declaration is the one on file and its purpose is clear."""
        given = task["input"]
        wanted = {"declaration_id": given["declaration_id"]}
        filed = result_of(self.act("erp.get_declaration", wanted, task=task["id"], goal="See what is on file."))
        if filed["amount_minor"] != given["amount_minor"]:
            return {"verdict": "doubt", "note": f"The ERP has {filed['amount_minor'] / 100:,.2f} on file."}
        purpose = given.get("purpose", "")
        if next(self.searched) % SEARCHES_EVERY == 0:
            self.telling.called_outside("web_search")  # a tool of its own, of which it does not ask
        if purpose not in UNCLEAR:
            return {"verdict": "fine", "note": "Amount as on file."}
        answer = answer_in(task)
        if answer is None:
            raise Question(f"The purpose of {given['declaration_id']} says only '{purpose}'. Which?", *UNCLEAR[purpose])
        clear = answer in UNCLEAR[purpose] and answer != "for myself"
        return {"verdict": "fine" if clear else "doubt", "note": f"A person says: {purpose} {answer or 'nothing'}."}
