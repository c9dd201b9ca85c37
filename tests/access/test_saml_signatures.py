"""What a signature of SAML covers and what it does not: forged, wrapped, weakened and disguised answers."""

from base64 import b64encode
from copy import deepcopy
from datetime import UTC, datetime

import pytest
import xmlsec
from lxml import etree

from apps.access.oidc import SignOnError
from apps.access.saml import TEXT_MAX, Place, SamlProvider, begin_saml, read_saml
from tests.factories.saml_provider import NS, SamlIdp, keys_of, packed, sign

PLACE = Place(entity="https://plane.example/metadata/", acs="https://plane.example/acs/")
EXTENSIONS, EVIL = f"{{{NS['samlp']}}}Extensions", "0666"


def provider(**fields):
    return SamlProvider(slug="house", **{**SamlIdp().about(), "domains": ("example.com",), "email": "mail", **fields})


def answered(idp=None):
    """An answer's tree, as an honest provider signed it."""
    idp = idp or SamlIdp()
    return idp.tree(idp.asked(begin_saml(provider(), PLACE, again=False)[0]))


def read(answer, **fields):
    return read_saml(provider(**fields), PLACE, packed(answer), now=datetime.now(UTC))


def why(answer, **fields):
    with pytest.raises(SignOnError) as refused:
        read(answer, **fields)
    return refused.value.why


def of(root, path):
    return root.find(path, NS)


def assertion_of(root):
    return of(root, "saml:Assertion")


def forged(root):
    """The assertion again, unsigned, of somebody else and with an id of its own."""
    evil = deepcopy(assertion_of(root))
    evil.remove(of(evil, "ds:Signature"))
    of(evil, "saml:Subject/saml:NameID").text = EVIL
    evil.set("ID", "_evil")
    return evil


def test_what_is_honest_is_read():
    assert read(answered()).who.subject == "0001"
    assert read(answered(SamlIdp(signs=("Assertion", "Response")))).who.email == "ada@example.com"


class TestWhoSigned:
    def test_nobody(self):
        assert why(answered(SamlIdp(signs=()))) == "unsigned"

    def test_the_response_alone_is_not_enough(self):
        assert why(answered(SamlIdp(signs=("Response",)))) == "unsigned"

    def test_somebody_else_whose_certificate_comes_along(self):
        root = answered(SamlIdp(signer="evil"))
        assert of(root, ".//ds:X509Certificate") is not None
        assert why(root) == "invalid"

    def test_an_honest_assertion_in_a_response_that_somebody_else_signed(self):
        root = answered()
        sign(root, signer="evil")
        assert why(root) == "invalid"

    def test_one_of_several_certificates_while_keys_change(self):
        both = tuple(keys_of(name)[1] for name in ("next", "idp"))
        assert read(answered(), certificates=both).who.subject == "0001"
        assert why(answered(), certificates=both[:1]) == "invalid"

    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("saml:Subject/saml:NameID", None),
            ("saml:AttributeStatement/saml:Attribute/saml:AttributeValue", None),
            ("saml:AuthnStatement/saml:AuthnContext/saml:AuthnContextClassRef", None),
            ("saml:AuthnStatement", "SessionIndex"),
        ],
    )
    def test_what_was_changed_afterwards(self, path, name):
        root = answered()
        found = of(assertion_of(root), path)
        if name:
            found.set(name, "x")
        else:
            found.text = EVIL
        assert why(root) == "invalid"

    def test_the_public_key_as_a_shared_secret(self):
        root = answered()
        of(root, ".//ds:SignatureMethod").set("Algorithm", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")
        assert why(root) == "algorithm"


class TestWeakened:
    @pytest.mark.parametrize(
        ("name", "algorithm"),
        [
            ("SignatureMethod", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
            ("SignatureMethod", "http://www.w3.org/2000/09/xmldsig#dsa-sha1"),
            ("SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#rsa-md5"),
            ("DigestMethod", "http://www.w3.org/2000/09/xmldsig#sha1"),
            ("CanonicalizationMethod", "http://www.w3.org/2001/10/xml-exc-c14n#WithComments"),
            ("Transform", "http://www.w3.org/TR/1999/REC-xslt-19991116"),
            ("Transform", "http://www.w3.org/TR/1999/REC-xpath-19991116"),
            ("Transform", "http://www.w3.org/2002/06/xmldsig-filter2"),
        ],
    )
    def test_by_what_it_is_made_with(self, name, algorithm):
        root = answered()
        of(root, f".//ds:{name}").set("Algorithm", algorithm)
        assert why(root) == "algorithm"

    def test_by_sha_1_though_the_signature_holds(self):
        root = answered(SamlIdp(signs=()))
        holder = assertion_of(root)
        signature = xmlsec.template.create(holder, xmlsec.Transform.EXCL_C14N, xmlsec.Transform.RSA_SHA256, ns="ds")
        holder.insert(1, signature)
        reference = xmlsec.template.add_reference(signature, xmlsec.Transform.SHA1, uri=f"#{holder.get('ID')}")
        for each in (xmlsec.Transform.ENVELOPED, xmlsec.Transform.EXCL_C14N):
            xmlsec.template.add_transform(reference, each)
        assert why(root) == "algorithm"

    @pytest.mark.parametrize("uri", ["", "#_evil", "http://elsewhere.example/", "#xpointer(/)", None])
    def test_by_what_it_refers_to(self, uri):
        root = answered()
        reference = of(root, ".//ds:Reference")
        if uri is None:
            del reference.attrib["URI"]
        else:
            reference.set("URI", uri)
        assert why(root) == "shape"

    def test_by_a_second_reference(self):
        root = answered()
        reference = of(root, ".//ds:Reference")
        reference.addnext(deepcopy(reference))
        assert why(root) == "shape"


class TestWrapped:
    """The signed assertion stays somewhere and another one is read: there is nowhere to put it."""

    def test_beside_it(self):
        root = answered()
        assertion_of(root).addprevious(forged(root))
        assert why(root) == "shape"
        root = answered()
        assertion_of(root).addnext(forged(root))
        assert why(root) == "shape"

    @pytest.mark.parametrize("where", ["Extensions", "Object", "inside", "Subject"])
    def test_in_another_place(self, where):
        root = answered()
        signed, evil = assertion_of(root), forged(root)
        root.replace(signed, evil)
        if where == "Extensions":
            etree.SubElement(root, EXTENSIONS).append(signed)
        elif where == "Object":
            signature = of(signed, "ds:Signature")
            evil.insert(1, signature)
            etree.SubElement(signature, f"{{{NS['ds']}}}Object").append(signed)
        elif where == "inside":
            evil.append(signed)
        else:
            of(evil, "saml:Subject").append(signed)
        assert why(root) == "shape"

    def test_a_signature_that_refers_to_something_else(self):
        root = answered()
        signed, evil = assertion_of(root), forged(root)
        evil.insert(1, of(signed, "ds:Signature"))
        root.replace(signed, evil)
        extensions = etree.SubElement(root, EXTENSIONS)
        etree.SubElement(extensions, "kept", ID=signed.get("ID"))
        assert why(root) == "shape"

    def test_two_of_one_id(self):
        root = answered()
        etree.SubElement(etree.SubElement(root, EXTENSIONS), "kept", ID=assertion_of(root).get("ID"))
        assert why(root) == "shape"
        root = answered()
        etree.SubElement(etree.SubElement(root, EXTENSIONS), "kept", Id=assertion_of(root).get("ID"))
        assert why(root) == "shape"

    def test_a_response_in_another_root(self):
        outer = etree.Element("wrapped")
        outer.append(answered())
        assert why(outer) == "shape"

    def test_two_signatures_on_one(self):
        root = answered()
        signature = of(root, ".//ds:Signature")
        signature.addnext(deepcopy(signature))
        assert why(root) == "shape"

    def test_an_assertion_that_is_encrypted(self):
        root = answered()
        etree.SubElement(root, f"{{{NS['saml']}}}EncryptedAssertion")
        assert why(root) in {"not_xml", "shape", "invalid"}

    def test_what_the_schema_does_not_know(self):
        root = answered()
        etree.SubElement(root, "more")
        assert why(root) == "invalid"


class TestDisguised:
    def test_a_comment_that_cuts_a_name_short(self):
        root = answered(SamlIdp(lies={"name": "admin@example.com.evil.example"}))
        text = etree.tostring(root).decode().replace("admin@example.com.evil", "admin@example.com<!-- -->.evil")
        assert why(text) == "markup"

    @pytest.mark.parametrize(
        "before",
        [
            '<!DOCTYPE a [<!ENTITY e "0666">]>',
            '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
            '<!DOCTYPE a [<!ENTITY % e SYSTEM "http://elsewhere.example/e.dtd"> %e;]>',
            '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e "0666">]>',
            '<?xml version="1.0" encoding="UTF-8"?><?xml-stylesheet href="a"?>',
        ],
    )
    def test_a_document_type_entities_and_instructions(self, before):
        assert why(before + etree.tostring(answered()).decode()) == "markup"

    def test_character_data(self):
        text = etree.tostring(answered()).decode()
        assert why(text.replace("0001</saml:NameID>", "<![CDATA[0001]]></saml:NameID>")) == "markup"

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-7", "utf-32"])
    def test_another_encoding_hides_nothing(self, encoding):
        text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a>' + etree.tostring(answered()).decode()
        with pytest.raises(SignOnError):
            read_saml(provider(), PLACE, b64encode(text.encode(encoding)).decode(), now=datetime.now(UTC))

    def test_a_declaration_is_taken_and_not_believed(self):
        text = etree.tostring(answered()).decode()
        assert read(f'<?xml version="1.0" encoding="UTF-8"?>\n{text}').who.subject == "0001"
        assert read(f'<?xml version="1.0" encoding="utf-7"?>{text}').who.subject == "0001"

    def test_an_entity_that_nobody_declared(self):
        assert why(etree.tostring(answered()).decode().replace("0001</saml", "&e;</saml")) == "not_xml"

    @pytest.mark.parametrize("text", ["", "%%%", "PGE+", b64encode(b"\xff\xfe").decode(), "ä", "<a/>"])
    def test_what_is_no_answer_at_all(self, text):
        with pytest.raises(SignOnError):
            read_saml(provider(), PLACE, text, now=datetime.now(UTC))

    def test_what_is_too_large_is_not_looked_at(self):
        with pytest.raises(SignOnError, match="too_large"):
            read_saml(provider(), PLACE, "A" * (TEXT_MAX + 1), now=datetime.now(UTC))

    def test_what_is_nested_deeply(self):
        assert why("<a>" * 20_000 + "</a>" * 20_000) == "not_xml"

    def test_an_element_in_a_name(self):
        root = answered(SamlIdp(lies={"name": "00<b>0</b>1"}))
        assert why(root) == "subject"
