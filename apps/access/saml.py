"""Single sign-on by SAML 2.0: where a browser is sent, and whom an identity provider says came back.

The request goes by redirect, the response comes by POST. ``python3-saml`` checks it against the schema, and its
signature by the certificates of the settings, never by one that came along. What it lets pass is refused here first: an
assertion that is not itself signed as a whole, markup beside elements, weak algorithms, whatever does not say for whom,
where, in answer to what and until when. What is read comes from the one assertion of the response, which the signature
covers.
"""

import binascii
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from lxml import etree
from onelogin.saml2.authn_request import OneLogin_Saml2_Authn_Request
from onelogin.saml2.errors import OneLogin_Saml2_Error, OneLogin_Saml2_ValidationError
from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings

from apps.access.oidc import AGE_S, FRESH_S, LEEWAY_S, SUBJECT_MAX, SignedOn, SignOnError

TEXT_MAX = 200_000
"""How many characters a response may have in base 64."""
SKEW, OLDEST, FRESH = (timedelta(seconds=seconds) for seconds in (LEEWAY_S, AGE_S, FRESH_S))
"""As of OpenID Connect: how far clocks may differ, how old an assertion and how old a fresh sign-in may be."""
SAML, SAMLP, DS = (
    "{urn:oasis:names:tc:SAML:2.0:assertion}",
    "{urn:oasis:names:tc:SAML:2.0:protocol}",
    "{http://www.w3.org/2000/09/xmldsig#}",
)
BINDING, FORMAT = "urn:oasis:names:tc:SAML:2.0:bindings:", "urn:oasis:names:tc:SAML:"
SUCCESS, BEARER = "urn:oasis:names:tc:SAML:2.0:status:Success", "urn:oasis:names:tc:SAML:2.0:cm:bearer"
MAIL, TRANSIENT = f"{FORMAT}1.1:nameid-format:emailAddress", f"{FORMAT}2.0:nameid-format:transient"
MORE, ENC, EXC = (
    "http://www.w3.org/2001/04/xmldsig-more#",
    "http://www.w3.org/2001/04/xmlenc#",
    "http://www.w3.org/2001/10/xml-exc-c14n#",
)
SIGNED_BY = {f"{MORE}{kind}-sha{bits}" for kind in ("rsa", "ecdsa") for bits in (256, 384, 512)}
DIGESTED_BY = {f"{ENC}sha256", f"{MORE}sha384", f"{ENC}sha512"}
CHANGED_BY = {"http://www.w3.org/2000/09/xmldsig#enveloped-signature", EXC}
"""What a signature may be made with: no SHA-1, and nothing that computes (XSLT, XPath) or leaves parts out."""
CONDITIONS = {f"{SAML}{name}" for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction")}
DECLARATION = re.compile(r"\A\ufeff?\s*<\?xml\s[^<>?]*\?>")
UNREADABLE = (etree.LxmlError, OneLogin_Saml2_Error, OneLogin_Saml2_ValidationError, ValueError)


@dataclass(frozen=True)
class SamlProvider:
    """One identity provider. ``url``: where browsers are sent; ``certificates``: PEM, any of which may have signed.

    ``email``: the attribute with somebody's address; empty: the name itself, where it says that it is one. ``domains``:
    whose addresses it speaks for; ``strong``: classes of authentication contexts that are more than a password.
    """

    method: ClassVar = "saml"
    door: ClassVar = "saml-sign-on"

    slug: str
    name: str
    issuer: str
    url: str
    certificates: tuple[str, ...]
    email: str = ""
    domains: tuple[str, ...] = ()
    strong: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Who the plane is to one provider: its own name, which is the address of its metadata, and where answers go."""

    entity: str
    acs: str


@dataclass(frozen=True)
class Proven:
    """Whom an assertion names, which request it answers, its own id, and until when it would be taken."""

    who: SignedOn
    request: str
    assertion: str
    until: datetime


def saml_providers() -> dict[str, SamlProvider]:
    """Those of the settings, by slug, in their order."""
    return {slug: SamlProvider(slug=slug, **said) for slug, said in settings.SAML_PROVIDERS.items()}


def metadata_of(provider: SamlProvider, place: Place) -> bytes:
    """What the provider's administrators load: who the plane is, where answers go, and that it wants them signed."""
    found: str | bytes = _settings(provider, place).get_sp_metadata()
    return found.encode() if isinstance(found, str) else found


def begin_saml(provider: SamlProvider, place: Place, *, again: bool) -> tuple[str, str]:
    """The address that a browser is sent to, and the request's id. ``again``: the provider asks though it knows."""
    request = OneLogin_Saml2_Authn_Request(_settings(provider, place), force_authn=again, set_nameid_policy=False)
    asked = urlencode({"SAMLRequest": request.get_request()})
    return f"{provider.url}{'&' if '?' in provider.url else '?'}{asked}", request.get_id()


def read_saml(provider: SamlProvider, place: Place, text: str, *, now: datetime) -> Proven:
    """What a response in base 64 proves. Whether it answers this browser, and for the first time, is the caller's.

    Raises SignOnError.
    """
    xml = _plain(text)
    try:
        response = OneLogin_Saml2_Response(_settings(provider, place), b64encode(xml).decode())
    except UNREADABLE as error:
        raise SignOnError("not_xml") from error
    root = response.document
    if (code := root.find(f"{SAMLP}Status/{SAMLP}StatusCode")) is not None and code.get("Value") != SUCCESS:
        raise SignOnError("cancelled")
    assertion = _signed_assertion(root)
    proven = _proven(provider, place, root, assertion, now)
    at = urlsplit(place.acs)
    asked = {"http_host": at.netloc, "script_name": at.path, "https": "on" if at.scheme == "https" else "off"}
    if not response.is_valid(asked, request_id=proven.request):
        raise SignOnError("invalid")
    if response.get_nameid() != proven.who.subject:
        raise SignOnError("subject")
    return proven


def _settings(provider: SamlProvider, place: Place) -> OneLogin_Saml2_Settings:
    return OneLogin_Saml2_Settings(
        {
            "strict": True,
            "sp": {
                "entityId": place.entity,
                "assertionConsumerService": {"url": place.acs, "binding": f"{BINDING}HTTP-POST"},
                "NameIDFormat": f"{FORMAT}1.1:nameid-format:unspecified",
            },
            "idp": {
                "entityId": provider.issuer,
                "singleSignOnService": {"url": provider.url, "binding": f"{BINDING}HTTP-Redirect"},
                "x509certMulti": {"signing": list(provider.certificates)},
            },
            "security": {
                "wantAssertionsSigned": True,
                "wantAttributeStatement": False,
                "requestedAuthnContext": False,
                "rejectDeprecatedAlgorithm": True,
                "allowSingleLabelDomains": True,
                "metadataValidUntil": "",  # without an end: who the plane is changes by hand
            },
        }
    )


def _plain(text: str) -> bytes:
    """The response as UTF-8 with elements alone.

    Declared encodings are not believed, and a document type, entities, comments, instructions and CDATA are refused
    before anything reads them: what one reader skips another takes for a name's end.
    """
    if len(text) > TEXT_MAX:
        raise SignOnError("too_large")
    try:
        found = DECLARATION.sub("", b64decode("".join(text.split()), validate=True).decode(), count=1)
    except (binascii.Error, ValueError) as error:
        raise SignOnError("not_xml") from error
    if "<!" in found or "<?" in found:
        raise SignOnError("markup")
    return found.encode()


def _signed_assertion(root: Any) -> Any:
    """The one assertion of a response, right below it and signed as a whole: nothing can be wrapped around or beside.

    Another signature may be the whole response's, and no other is there.
    """
    everything = list(root.iter())
    assertions = [one for one in everything if one.tag == f"{SAML}Assertion"]
    if root.tag != f"{SAMLP}Response" or len(assertions) != 1 or assertions[0].getparent() is not root:
        raise SignOnError("shape")
    if any(one.tag in {f"{SAML}EncryptedID", f"{SAML}EncryptedAttribute", f"{DS}Object"} for one in everything):
        raise SignOnError("shape")
    ids = [value for one in everything for name, value in one.attrib.items() if _local(name) == "id"]
    if len(ids) != len(set(ids)):
        raise SignOnError("shape")
    signatures = [one for one in everything if one.tag == f"{DS}Signature"]
    holders = [one.getparent() for one in signatures]
    if assertions[0] not in holders:
        raise SignOnError("unsigned")
    if len(holders) != len(set(holders)) or not set(holders) <= {root, assertions[0]}:
        raise SignOnError("shape")
    for signature in signatures:
        _check_signature(signature)
    return assertions[0]


def _local(name: str) -> str:
    return name.rpartition("}")[2].lower()


def _check_signature(signature: Any) -> None:
    """It covers the element that holds it, all of it, by ways that are still worth something."""
    references = list(signature.iter(f"{DS}Reference"))
    if [one.get("URI") for one in references] != [f"#{signature.getparent().get('ID')}"]:
        raise SignOnError("shape")
    used = {
        name: {one.get("Algorithm") for one in signature.iter(f"{DS}{name}")}
        for name in ("SignatureMethod", "DigestMethod", "CanonicalizationMethod", "Transform")
    }
    if not (used["SignatureMethod"] <= SIGNED_BY and used["DigestMethod"] <= DIGESTED_BY):
        raise SignOnError("algorithm")
    if used["CanonicalizationMethod"] != {EXC} or used["Transform"] != CHANGED_BY:
        raise SignOnError("algorithm")


def _proven(provider: SamlProvider, place: Place, root: Any, assertion: Any, now: datetime) -> Proven:
    """What the assertion says, where it was made for us, here, lately, and in answer to one request."""
    if root.get("Destination") != place.acs:
        raise SignOnError("destination")
    said_by = [_text(one) for one in (*root.findall(f"{SAML}Issuer"), *assertion.findall(f"{SAML}Issuer"))]
    if not assertion.findall(f"{SAML}Issuer") or set(said_by) != {provider.issuer}:
        raise SignOnError("issuer")
    issued = _moment(assertion.get("IssueInstant"))
    if not now - OLDEST - SKEW < issued <= now + SKEW:
        raise SignOnError("old")
    _check_conditions(_one(assertion, "Conditions"), place, now)
    request = _answered(_one(assertion, "Subject"), root, place, now)
    who = _signed_on(provider, assertion, now)
    return Proven(who=who, request=request, assertion=assertion.get("ID"), until=issued + OLDEST + 2 * SKEW)


def _check_conditions(conditions: Any, place: Place, now: datetime) -> None:
    if {one.tag for one in conditions} - CONDITIONS:
        raise SignOnError("condition")
    restrictions = conditions.findall(f"{SAML}AudienceRestriction")
    for_whom = [{_text(one) for one in each.findall(f"{SAML}Audience")} for each in restrictions]
    if not for_whom or not all(place.entity in each for each in for_whom):
        raise SignOnError("audience")
    _check_times(conditions, now)


def _check_times(one: Any, now: datetime) -> None:
    """``NotBefore`` may be missing, the end never."""
    if one.get("NotBefore") is not None and _moment(one.get("NotBefore")) > now + SKEW:
        raise SignOnError("early")
    if _moment(one.get("NotOnOrAfter")) <= now - SKEW:
        raise SignOnError("old")


def _answered(subject: Any, root: Any, place: Place, now: datetime) -> str:
    """The id of the request that is answered: response and assertion name the same one, or they are unsolicited."""
    confirmation = _one(subject, "SubjectConfirmation")
    about = _one(confirmation, "SubjectConfirmationData")
    if confirmation.get("Method") != BEARER or about.get("Recipient") != place.acs:
        raise SignOnError("recipient")
    _check_times(about, now)
    request: str = about.get("InResponseTo") or ""
    if not request or root.get("InResponseTo") != request:
        raise SignOnError("unsolicited")
    return request


def _signed_on(provider: SamlProvider, assertion: Any, now: datetime) -> SignedOn:
    name = _one(_one(assertion, "Subject"), "NameID")
    subject = _text(name)
    if not 0 < len(subject) <= SUBJECT_MAX or subject != subject.strip() or name.get("Format") == TRANSIENT:
        raise SignOnError("subject")
    statement = _one(assertion, "AuthnStatement")
    context = statement.find(f"{SAML}AuthnContext/{SAML}AuthnContextClassRef")
    is_strong = context is not None and _text(context) in provider.strong
    is_fresh = is_strong and abs(now - _moment(statement.get("AuthnInstant"))) <= FRESH
    return SignedOn(subject=subject, email=_email(provider, assertion, name), is_strong=is_strong, is_fresh=is_fresh)


def _email(provider: SamlProvider, assertion: Any, name: Any) -> str:
    """An address that the provider may speak for, else empty."""
    if provider.email:
        kept = assertion.findall(f"{SAML}AttributeStatement/{SAML}Attribute")
        values = [
            one for each in kept if each.get("Name") == provider.email for one in each.findall(f"{SAML}AttributeValue")
        ]
    else:
        values = [name] if name.get("Format") == MAIL else []
    found = _text(values[0]) if len(values) == 1 else ""
    speaks_for = found.isascii() and found.count("@") == 1 and found.rpartition("@")[2].lower() in provider.domains
    return found if speaks_for else ""


def _one(parent: Any, name: str) -> Any:
    """The one child of this name."""
    found = parent.findall(f"{SAML}{name}")
    if len(found) != 1:
        raise SignOnError("shape")
    return found[0]


def _text(one: Any) -> str:
    """What an element says; one that holds elements says nothing."""
    return "" if len(one) else str(one.text or "")


def _moment(text: str | None) -> datetime:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError as error:
        raise SignOnError("time") from error
    if found.tzinfo is None:
        raise SignOnError("time")
    return found
