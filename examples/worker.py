"""Take tasks of a workflow: here, check expense declarations. Ctrl-C ends it.

ACP_KEY=acp_agt_... python examples/worker.py [how many tasks]     (needs httpx, and a key of the agent expense-checker)
"""

import os
import sys
from itertools import count

import httpx

most = int(sys.argv[1]) if len(sys.argv) > 1 else None
plane = httpx.Client(
    base_url=os.environ.get("ACP_URL", "http://127.0.0.1:8000") + "/api/v1",
    headers={"Authorization": f"Bearer {os.environ['ACP_KEY']}"},
    timeout=60,
)
for done in count():
    if done == most:
        break
    tasks = []
    print("Waiting for a task of the workflow expense-declaration ...", flush=True)
    while not tasks:  # the plane holds the answer until there is a task, for at most 20 seconds
        tasks = plane.post("/tasks/claim/", json={"limit": 1, "wait": 20}).raise_for_status().json()["tasks"]
    task = tasks[0]
    given = task["input"]
    output = {"verdict": "fine" if given["amount_minor"] < 100_000 else "doubt", "note": "Looked at the amount."}
    answer = plane.post(f"/tasks/{task['id']}/complete/", json={"lease": task["lease"]["token"], "output": output})
    if answer.status_code == 409:  # lease_lost: too slow, the task is another's now
        print(f"{given['declaration_id']}: {answer.json()['code']}, dropped")
        continue
    print(f"{given['declaration_id']}: {output['verdict']}, the run is {answer.raise_for_status().json()['state']}")
