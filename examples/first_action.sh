#!/bin/sh
# Ask for one action with curl and follow it to its end:  ACP_KEY=acp_agt_... sh examples/first_action.sh
set -eu
plane="${ACP_URL:-http://127.0.0.1:8000}/api/v1"
reference="refund-$(date +%s)-$$"

answer=$(curl --silent --show-error --fail-with-body --request POST "$plane/actions/" \
  --header "Authorization: Bearer $ACP_KEY" \
  --header "Idempotency-Key: $reference" \
  --header "Content-Type: application/json" \
  --data '{"operation": "erp.refund", "reference": "'"$reference"'", "goal": "Make it good with the customer.",
           "parameters": {"customer": "hallam-sons", "amount_minor": 1250, "currency": "EUR",
                          "reason": "Broken on arrival", "reference": "'"$reference"'"}}')
id=$(echo "$answer" | sed 's/^{"id": *"\([^"]*\)".*/\1/')

until echo "$answer" | grep -q '"final": *true'; do # each answer is held until the state changes, for at most 10 s
  answer=$(curl --silent --show-error --fail-with-body "$plane/actions/$id/?wait=10" --header "Authorization: Bearer $ACP_KEY")
done
echo "$answer"
