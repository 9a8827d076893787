"""Detached signatures anybody can check: CMS SignedData (RFC 5652) as CAdES-BES.

One signer, P-256 with SHA-256, DER. The signature covers what was signed, the time
the signer claims and the signer's certificate (RFC 5035), so that no other
certificate of the same key can be put in its place. `openssl cms -verify -binary
-inform DER -content FILE` checks it with nothing of ours.

Rules: bytes in, bytes out; `signed_at` is an argument. Whether a certificate is
trusted is asked of a chain to one authority, at a moment the caller names.

Not here: where keys and certificates are kept (`signatory`), and time-stamps.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from pyasn1.codec.der import decoder, encoder
from pyasn1.error import PyAsn1Error
from pyasn1.type import base, tag, univ, useful
from pyasn1_modules import rfc5035, rfc5280, rfc5652

from keys.errors import SealBroken

SIGNATURE_BYTES_MAX = 64 * 1024
"""One signer and two certificates take about 2 kB; more is no signature of ours."""

_REFUSED = (InvalidSignature, x509.InvalidVersion)
"""What `cryptography` says of something altered, beside errors of values and types."""

_DATA = univ.ObjectIdentifier("1.2.840.113549.1.7.1")
_SIGNED_DATA = univ.ObjectIdentifier("1.2.840.113549.1.7.2")
_CONTENT_TYPE = univ.ObjectIdentifier("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = univ.ObjectIdentifier("1.2.840.113549.1.9.4")
_SIGNING_TIME = univ.ObjectIdentifier("1.2.840.113549.1.9.5")
_SIGNING_CERTIFICATE = univ.ObjectIdentifier("1.2.840.113549.1.9.16.2.47")
_SHA256 = univ.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
_ECDSA_SHA256 = univ.ObjectIdentifier("1.2.840.10045.4.3.2")
_IMPLICIT_0 = tag.Tag(tag.tagClassContext, tag.tagFormatConstructed, 0)


@dataclass(frozen=True)
class Signed:
    """Who signed, and when by their own account. The certificate is checked against no authority yet."""

    certificate: x509.Certificate
    signed_at: datetime


def sign_detached(
    key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, content: bytes, signed_at: datetime
) -> bytes:
    """Return the DER of a signature over `content`, which it does not contain."""
    attributes = _attributes(certificate, hashlib.sha256(content).digest(), signed_at)
    return _assembled(certificate, attributes, key.sign(_to_sign(attributes), ec.ECDSA(hashes.SHA256())))


def verify_detached(signature: bytes, content: bytes) -> Signed:
    """Return who signed `content`; raises SealBroken when that signature is not of it, or not ours.

    A signature is assembled anew from what was read of it, and has to be the same
    octets: what nobody verifies has no place to hide in.
    """
    try:
        return _verified(signature, hashlib.sha256(content).digest())
    except (PyAsn1Error, ValueError, KeyError, TypeError, *_REFUSED) as error:
        raise SealBroken("The signature is not of this content, or is no signature of ours.") from error


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate, at: datetime) -> bool:
    """Tell whether `authority` issued `certificate` and both were valid at that moment."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, *_REFUSED):
        return False
    return all(one.not_valid_before_utc <= at <= one.not_valid_after_utc for one in (certificate, authority))


def _attributes(
    certificate: x509.Certificate, content_sha256: bytes, signed_at: datetime
) -> list[rfc5652.Attribute]:
    identifier = rfc5035.ESSCertIDv2()
    identifier["certHash"] = univ.OctetString(certificate.fingerprint(hashes.SHA256()))
    signing_certificate = rfc5035.SigningCertificateV2()
    signing_certificate["certs"].append(identifier)
    moment = signed_at.astimezone(UTC).replace(microsecond=0)
    return [
        _attribute(_CONTENT_TYPE, _DATA),
        _attribute(_MESSAGE_DIGEST, univ.OctetString(content_sha256)),
        _attribute(_SIGNING_TIME, useful.UTCTime.fromDateTime(moment)),
        _attribute(_SIGNING_CERTIFICATE, signing_certificate),
    ]


def _attribute(kind: univ.ObjectIdentifier, value: base.Asn1Item) -> rfc5652.Attribute:
    attribute = rfc5652.Attribute()
    attribute["attrType"] = kind
    attribute["attrValues"].append(univ.Any(encoder.encode(value)))
    return attribute


def _to_sign(attributes: list[rfc5652.Attribute]) -> bytes:
    """Return what is signed: the attributes as a SET OF, without their tag inside (RFC 5652, 5.4)."""
    attribute_set = rfc5652.SignedAttributes()
    attribute_set.extend(attributes)
    return bytes(encoder.encode(attribute_set))


def _assembled(certificate: x509.Certificate, attributes: list[rfc5652.Attribute], signature: bytes) -> bytes:
    """Return the DER of the ContentInfo that holds one signer and its certificate."""
    decoded, _ = decoder.decode(certificate.public_bytes(Encoding.DER), asn1Spec=rfc5280.Certificate())
    data = rfc5652.SignedData()
    data["version"] = 1
    algorithm = rfc5652.DigestAlgorithmIdentifier()
    algorithm["algorithm"] = _SHA256
    data["digestAlgorithms"].append(algorithm)
    data["encapContentInfo"]["eContentType"] = _DATA
    choice = rfc5652.CertificateChoices()
    choice["certificate"] = decoded
    data["certificates"].append(choice)
    info = rfc5652.SignerInfo()
    info["version"] = 1
    info["sid"]["issuerAndSerialNumber"]["issuer"] = decoded["tbsCertificate"]["issuer"]
    info["sid"]["issuerAndSerialNumber"]["serialNumber"] = certificate.serial_number
    info["digestAlgorithm"]["algorithm"] = _SHA256
    tagged = rfc5652.SignedAttributes().subtype(implicitTag=_IMPLICIT_0)
    tagged.extend(attributes)
    info["signedAttrs"] = tagged
    info["signatureAlgorithm"]["algorithm"] = _ECDSA_SHA256
    info["signature"] = signature
    data["signerInfos"].append(info)
    wrapped = rfc5652.ContentInfo()
    wrapped["contentType"] = _SIGNED_DATA
    wrapped["content"] = univ.Any(encoder.encode(data))
    return bytes(encoder.encode(wrapped))


def _verified(signature: bytes, content_sha256: bytes) -> Signed:
    signed, octets = _parsed(signature)
    attributes = _attributes(signed.certificate, content_sha256, signed.signed_at)
    if _assembled(signed.certificate, attributes, octets) != signature:
        raise ValueError("It is of another content, or not in the form we give it.")
    public = signed.certificate.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise ValueError("The signer's key is of another kind.")  # noqa: TRY004 - it is data, not our type
    public.verify(octets, _to_sign(attributes), ec.ECDSA(hashes.SHA256()))
    return signed


def _parsed(signature: bytes) -> tuple[Signed, bytes]:
    """Return certificate and time as the signature claims them, and its octets."""
    if len(signature) > SIGNATURE_BYTES_MAX:
        raise ValueError(f"A signature has at most {SIGNATURE_BYTES_MAX} octets.")
    wrapped, _ = decoder.decode(signature, asn1Spec=rfc5652.ContentInfo())
    data, _ = decoder.decode(wrapped["content"], asn1Spec=rfc5652.SignedData())
    (choice,) = data["certificates"]
    (info,) = data["signerInfos"]
    certificate = x509.load_der_x509_certificate(bytes(encoder.encode(choice["certificate"])))
    (claimed,) = (one for one in info["signedAttrs"] if one["attrType"] == _SIGNING_TIME)
    moment, _ = decoder.decode(claimed["attrValues"][0], asn1Spec=useful.UTCTime())
    return Signed(certificate, moment.asDateTime.astimezone(UTC)), bytes(info["signature"])
