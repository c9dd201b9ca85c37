"""The plane as an agent sees it: one key, a few verbs, and answers that say what to do next."""

import threading
import uuid
from typing import Any

import httpx

type Document = dict[str, Any]

UNDER_WAY = ("proposed", "approved", "executing")
LONGEST_PAUSE_S = 30.0


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """The plane says no. `code` is stable and says why; `members` are what else the problem document tells."""

    def __init__(self, status: int, problem: Document) -> None:
        self.status, self.members = status, problem
        self.code = str(problem.get("code", status))
        super().__init__(str(problem.get("detail") or problem.get("title") or self.code))


class Halted(Refused):
    """423: somebody has stopped this. Wait; it says what and why."""


class LeaseLost(Refused):
    """409 lease_lost: the task is another's now. Drop it; what was done under its key is not done twice."""


class KeyIsDead(Refused):
    """401: the key is expired, revoked or wrong. Only a person can help."""


class Plane:
    """The REST API by verbs. Waits out what passes by itself: lost connections, 429, 503."""

    def __init__(self, url: str, key: str, stopping: threading.Event) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=f"{url.rstrip('/')}/api/v1", headers=headers, timeout=60)
        self._stopping = stopping

    # Acting

    def act(self, operation: str, parameters: Document, *, key: str = "", **words: Any) -> Document:
        """Ask for an action and wait until it is done or waits for a person.

        The same `key` is the same request for ever, so it may be sent again after any failure. `words`: reference,
        task, goal, reasoning, confidence, sources, evidence.
        """
        body = {"operation": operation, "parameters": parameters, **words}
        action = self._send("POST", "/actions/", body, key=key or str(uuid.uuid4()))
        while action["state"] in UNDER_WAY and not self._stopping.is_set():
            action = self.action(action["id"], wait_s=10, while_state=action["state"])
        return action

    def action(self, action_id: str, *, wait_s: int = 0, while_state: str = "") -> Document:
        """The action as it is now; with `wait_s`, as soon as it has left `while_state`."""
        query = f"?wait={wait_s}&state={while_state}" if wait_s else ""
        return self._send("GET", f"/actions/{action_id}/{query}")

    # Tasks

    def claim(self, *, wait_s: int = 20) -> list[Document]:
        """At most one task that this agent may take; waits for one so long."""
        tasks: list[Document] = self._send("POST", "/tasks/claim/", {"limit": 1, "wait": wait_s})["tasks"]
        return tasks

    def heartbeat(self, task: Document) -> Document:
        """Keep the lease."""
        return self._on_task(task, "heartbeat", {})

    def complete(self, task: Document, output: Document, **words: Any) -> Document:
        """Hand in the output; the run goes on."""
        return self._on_task(task, "complete", {"output": output, **words})

    def fail(self, task: Document, code: str, message: str, *, retryable: bool) -> Document:
        """Say that it did not work, and whether another try makes sense."""
        return self._on_task(task, "fail", {"error": {"code": code, "message": message}, "retryable": retryable})

    def release(self, task: Document) -> Document:
        """Put the task back for somebody else."""
        return self._on_task(task, "release", {})

    def ask(self, task: Document, question: str, **form: Any) -> Document:
        """Ask a person instead of guessing. The task comes back with the answer."""
        return self._on_task(task, "ask", {"question": question, **form})

    # The rest

    def me(self) -> Document:
        """Who I am, what I may, what of it is left, what is halted."""
        return self._send("GET", "/me/")

    def start_run(self, workflow: str, given: Document) -> Document:
        """Start a workflow; 409 duplicate_key when it runs already."""
        return self._send("POST", "/runs/", {"workflow": workflow, "input": given}, key=str(uuid.uuid4()))

    def open_runs(self, workflow: str) -> int:
        """How many runs of a workflow wait for something; at most 50 are counted."""
        waiting: list[Document] = self._send("GET", f"/runs/?workflow={workflow}&state=waiting&limit=50")["results"]
        return len(waiting)

    def _on_task(self, task: Document, verb: str, body: Document) -> Document:
        return self._send("POST", f"/tasks/{task['id']}/{verb}/", {"lease": task["lease"]["token"], **body})

    def _send(self, method: str, path: str, body: Document | None = None, *, key: str = "") -> Document:
        """Send until there is an answer. Sending the same again is safe: the key says that it is the same."""
        headers = {"Idempotency-Key": key} if key else {}
        pause_s = 0.5
        while True:
            try:
                answer = self._http.request(method, path, json=body, headers=headers)
            except httpx.TransportError:
                if self._stopping.wait(pause_s):
                    raise
            else:
                if answer.status_code not in (429, 502, 503):
                    return _read(answer)
                if self._stopping.wait(max(pause_s, float(answer.headers.get("Retry-After", 0)))):
                    return _read(answer)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _read(answer: httpx.Response) -> Document:
    """The document, or the exception that says what kind of no this is."""
    is_json = answer.headers.get("Content-Type", "").endswith("json")
    document: Document = answer.json() if is_json and answer.content else {}
    if answer.is_success:
        return document
    kinds = {401: KeyIsDead, 423: Halted}
    kind = LeaseLost if document.get("code") == "lease_lost" else kinds.get(answer.status_code, Refused)
    raise kind(answer.status_code, document)
