"""Sign for a token instead of sending a key: nothing that the plane keeps can be used in the agent's place.

python examples/signed_token.py new agent.pem               makes a key here, prints the half that an admin registers
python examples/signed_token.py ask agent.pem newcomer      asks for a token and says who one is

Needs httpx, pyjwt and cryptography.
"""

import os
import sys
import time
import uuid
from pathlib import Path

import httpx
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

what, file, *rest = sys.argv[1:]
if what == "new":
    key = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    with open(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as private:
        private.write(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    print(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode(), end="")
    sys.exit()

agent, plane = rest[0], os.environ.get("ACP_URL", "http://127.0.0.1:8000")
server = httpx.get(f"{plane}/.well-known/oauth-authorization-server").json()
now = int(time.time())
claims = {"iss": agent, "sub": agent, "aud": server["issuer"], "exp": now + 60, "jti": str(uuid.uuid4())}
form = {
    "grant_type": "client_credentials",
    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    "client_assertion": jwt.encode(claims, Path(file).read_text(), algorithm="ES256"),
}
answer = httpx.post(server["token_endpoint"], data=form)
if not answer.is_success:
    sys.exit(f"{answer.status_code} {answer.json()['error']}: {answer.json()['error_description']}")
me = httpx.get(f"{plane}/api/v1/me/", headers={"Authorization": f"Bearer {answer.json()['access_token']}"}).json()
print(me["username"], "for", answer.json()["expires_in"], "seconds")
