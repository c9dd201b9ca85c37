"""Take what a LangGraph or LangChain agent interrupts with to the plane; bring back what it resumes with. Needs httpx.

``Plane().answers(interrupts)`` asks for every call, waits until people and rules have spoken, and hands over their
answers by the interrupt's id, for ``Command(resume=...)``. ``report`` says afterwards what came of a call.
"""

import os
import time
import uuid

import httpx


class Plane:
    """The plane as one agent sees it. ``operations``: tool -> operation, where their names differ."""

    def __init__(self, operations, url=None, key=None):
        self.operations = operations
        self.http = httpx.Client(
            base_url=(url or os.environ.get("ACP_URL", "http://127.0.0.1:8000")) + "/api/v1",
            headers={"Authorization": f"Bearer {key or os.environ['ACP_KEY']}"},
            transport=httpx.HTTPTransport(retries=3),
            timeout=60,
        )

    def answers(self, interrupts):
        asked = {one.id: self._ask(one) for one in interrupts}  # all first, so that people see them together
        return {interrupt_id: self._decided(found) for interrupt_id, found in asked.items()}

    def _ask(self, interrupt):
        body = {"interrupt": interrupt.value, "operations": self.operations, "reference": interrupt.id}
        if interrupt.response_schema:  # of interrupts per call: it says what the tool takes
            body["response_schema"] = interrupt.response_schema
        headers = {"Idempotency-Key": interrupt.id}  # it stays the same when the graph starts again from its checkpoint
        return _json(self.http.post("/interrupts/", json=body, headers=headers))

    def _decided(self, asked):
        path = f"/interrupts/{asked['id']}/"
        while True:
            while asked["state"] == "waiting":
                asked = _json(self.http.get(path, params={"wait": 30, "state": "waiting"}))
            answer = self.http.post(f"{path}resume/", json={}, headers={"Idempotency-Key": str(uuid.uuid4())})
            if answer.status_code == 423 or (answer.status_code == 409 and answer.json()["code"] == "invalid_state"):
                time.sleep(2)  # halted, or judged again meanwhile: nothing was handed over, look again
                asked = _json(self.http.get(path))
                continue
            return _json(answer)  # 409 already_consumed: handed over before a crash; it may have run, so never again

    def report(self, call, result, succeeded=True):
        """What came of a call that ran. Report nothing where you do not know: then people find out."""
        if call["decision"] != "refuse":
            said = {"succeeded": True, "result": result} if succeeded else {"succeeded": False, "error": result}
            _json(self.http.post(f"/actions/{call['action']}/outcome/", json=said))


def _json(answer):
    if answer.is_error:
        raise RuntimeError(f"{answer.status_code}: {answer.text}")
    return answer.json()
