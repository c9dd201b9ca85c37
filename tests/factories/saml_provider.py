"""An identity provider that speaks SAML: it answers what it was asked, signs by its own key, and can be made to lie."""

import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape, quoteattr

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from lxml import etree

ISSUER, URL = "https://idp.example/saml", "https://idp.example/sso?tenant=7"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
PASSWORD, STRONG = (
    f"urn:oasis:names:tc:SAML:2.0:ac:classes:{name}" for name in ("PasswordProtectedTransport", "MobileTwoFactor")
)
NS = {
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}


@cache
def keys_of(name: str) -> tuple[rsa.RSAPrivateKey, str]:
    """A key and a certificate that it signed itself, made once."""
    key = rsa.generate_private_key(65537, 2048)
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    return key, made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class Asked:
    """What a browser was sent with."""

    id: str
    acs: str
    entity: str
    again: bool


@dataclass
class SamlIdp:
    """Whoever comes is ``name``; ``mail`` is said of them; ``lies`` goes over what an honest answer says."""

    name: str = "0001"
    mail: list[str] = field(default_factory=lambda: ["ada@example.com"])
    context: str = PASSWORD
    url: str = URL
    signer: str = "idp"
    signs: tuple[str, ...] = ("Assertion",)
    lies: dict[str, Any] = field(default_factory=dict)

    def about(self) -> dict[str, Any]:
        """What the plane's settings say of it."""
        return {"name": "House ID", "issuer": ISSUER, "url": self.url, "certificates": (keys_of("idp")[1],)}

    def asked(self, address: str) -> Asked:
        """Read the request in an address that a browser was sent to."""
        assert address.startswith(f"{self.url}&SAMLRequest=")
        (packed,) = parse_qs(urlsplit(address).query)["SAMLRequest"]
        root = etree.fromstring(zlib.decompress(b64decode(packed), -15))
        assert root.tag == f"{{{NS['samlp']}}}AuthnRequest"
        assert root.get("Destination") == self.url
        entity = root.findtext("saml:Issuer", namespaces=NS)
        return Asked(
            root.get("ID"), root.get("AssertionConsumerServiceURL"), entity, root.get("ForceAuthn", "false") == "true"
        )

    def tree(self, asked: Asked) -> Any:
        """The signed answer."""
        root = etree.fromstring(self.xml(asked))
        for name in self.signs:
            element = root if name == "Response" else root.find("saml:Assertion", NS)
            sign(element, signer=self.signer)
        return root

    def answer(self, asked: Asked) -> str:
        """The signed answer as a browser posts it."""
        return packed(self.tree(asked))

    def xml(self, asked: Asked) -> str:
        """The answer, unsigned. A value of None leaves its attribute or element out."""
        told: dict[str, Any] = {
            "ID": "_r1", "IssueInstant": in_seconds(0), "Destination": asked.acs, "InResponseTo": asked.id,
            "response_issuer": ISSUER, "issuer": ISSUER, "assertion_id": f"_a{asked.id}", "issued": in_seconds(0),
            "status": "urn:oasis:names:tc:SAML:2.0:status:Success",
            "name": self.name, "format": PERSISTENT, "Recipient": asked.acs, "answers": asked.id,
            "method": "urn:oasis:names:tc:SAML:2.0:cm:bearer", "confirmed_from": None, "confirmed_to": in_seconds(300),
            "from": in_seconds(-5), "to": in_seconds(300), "audiences": [asked.entity], "condition": "",
            "at": in_seconds(0), "context": self.context, "mail": self.mail, "subject": "", **self.lies,
        }  # fmt: skip
        restrictions = "".join(
            f"<saml:AudienceRestriction><saml:Audience>{escape(one)}</saml:Audience></saml:AudienceRestriction>"
            for one in told["audiences"]
        )
        values = "".join(f"<saml:AttributeValue>{escape(one)}</saml:AttributeValue>" for one in told["mail"])
        return (
            f"<samlp:Response xmlns:samlp={quoteattr(NS['samlp'])} xmlns:saml={quoteattr(NS['saml'])} Version='2.0'"
            f"{attributes(told, 'ID', 'IssueInstant', 'Destination', 'InResponseTo')}>"
            f"{element('saml:Issuer', told['response_issuer'])}"
            f"<samlp:Status><samlp:StatusCode Value={quoteattr(told['status'])}/></samlp:Status>"
            f"<saml:Assertion Version='2.0'{attribute('ID', told['assertion_id'])}"
            f"{attribute('IssueInstant', told['issued'])}>{element('saml:Issuer', told['issuer'])}"
            f"<saml:Subject><saml:NameID{attribute('Format', told['format'])}>{told['name']}</saml:NameID>"
            f"<saml:SubjectConfirmation{attribute('Method', told['method'])}><saml:SubjectConfirmationData"
            f"{attribute('InResponseTo', told['answers'])}{attribute('NotBefore', told['confirmed_from'])}"
            f"{attribute('NotOnOrAfter', told['confirmed_to'])}{attributes(told, 'Recipient')}/>"
            f"</saml:SubjectConfirmation>{told['subject']}</saml:Subject>"
            f"<saml:Conditions{attribute('NotBefore', told['from'])}{attribute('NotOnOrAfter', told['to'])}>"
            f"{restrictions}{told['condition']}</saml:Conditions>"
            f"<saml:AuthnStatement{attribute('AuthnInstant', told['at'])}><saml:AuthnContext>"
            f"{element('saml:AuthnContextClassRef', told['context'])}</saml:AuthnContext></saml:AuthnStatement>"
            f"<saml:AttributeStatement><saml:Attribute Name='mail'>{values}</saml:Attribute></saml:AttributeStatement>"
            "</saml:Assertion></samlp:Response>"
        )


def attributes(told: dict[str, Any], *names: str) -> str:
    return "".join(attribute(name, told[name]) for name in names)


def attribute(name: str, value: str | None) -> str:
    return "" if value is None else f" {name}={quoteattr(value)}"


def element(name: str, text: str | None) -> str:
    return "" if text is None else f"<{name}>{escape(text)}</{name}>"


def sign(holder: Any, *, signer: str = "idp") -> Any:
    """Sign one element as providers do: enveloped, in exclusive canonical form, with RSA and SHA-256."""
    signature = xmlsec.template.create(holder, xmlsec.Transform.EXCL_C14N, xmlsec.Transform.RSA_SHA256, ns="ds")
    holder.insert(1, signature)
    reference = xmlsec.template.add_reference(signature, xmlsec.Transform.SHA256, uri=f"#{holder.get('ID')}")
    xmlsec.template.add_transform(reference, xmlsec.Transform.ENVELOPED)
    xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
    xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    xmlsec.tree.add_ids(holder.getroottree().getroot(), ["ID"])
    key, certificate = keys_of(signer)
    context = xmlsec.SignatureContext()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    context.key = xmlsec.Key.from_memory(pem, xmlsec.KeyFormat.PEM)
    context.key.load_cert_from_memory(certificate.encode(), xmlsec.KeyFormat.PEM)
    context.sign(signature)
    return signature


def packed(answer: Any) -> str:
    """In base 64: a tree, or text."""
    return b64encode(answer.encode() if isinstance(answer, str) else etree.tostring(answer)).decode()
