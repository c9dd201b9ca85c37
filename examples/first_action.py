"""Ask for one action and wait for what becomes of it.

ACP_KEY=acp_agt_... python examples/first_action.py [amount in cents]     (needs httpx)
"""

import os
import sys
import uuid

import httpx

amount_minor = int(sys.argv[1]) if len(sys.argv) > 1 else 1250
plane = httpx.Client(
    base_url=os.environ.get("ACP_URL", "http://127.0.0.1:8000") + "/api/v1",
    headers={"Authorization": f"Bearer {os.environ['ACP_KEY']}"},
    timeout=60,
)
reference = str(uuid.uuid4())  # ours for this piece of work; sending it again is a retry, not a second refund
money = {"amount_minor": amount_minor, "currency": "EUR"}
wanted = {
    "operation": "erp.refund",
    "parameters": {"customer": "hallam-sons", **money, "reason": "Broken on arrival", "reference": reference},
    "reference": reference,
    "goal": "Make it good with the customer.",
}
answer = plane.post("/actions/", json=wanted, headers={"Idempotency-Key": reference})
while answer.is_success and answer.json()["state"] in ("proposed", "pending_approval", "approved", "executing"):
    action = answer.json()
    print(action["state"], (action["escalation"] or {}).get("url", ""))  # where a person decides it, if one must
    answer = plane.get(f"/actions/{action['id']}/?wait=30")
if not answer.is_success:
    sys.exit(f"{answer.status_code} {answer.json()['code']}: {answer.json()['detail']}")
print(answer.json()["state"], answer.json()["result"] or answer.json()["verdict"]["rules"])
