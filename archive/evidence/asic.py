"""A package in the container of ETSI EN 319 162-1: ASiC-E with CAdES, which e-signature software opens.

The container is the package with three files more: `mimetype`, first of all in the zip; a
manifest that names every file of the package with its hash; and a signature over that
manifest by the signatory of the archive. What the package proves by itself it proves as before.

Rules: pure. The manifest is written in one form, from names and hashes alone, so that
whoever checks writes it anew and compares octets; no XML is read.

Limits: the signature is CAdES baseline B (ETSI EN 319 122-1), advanced at most and not
qualified, for our certificates are those of the archive's own authority and of no trust
service provider. The time-stamp of the package (`seal`) stands among the files it names.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

MIMETYPE = "mimetype"
MEDIA_TYPE = "application/vnd.etsi.asic-e+zip"
ASIC_MANIFEST = "META-INF/ASiCManifest001.xml"
ASIC_SIGNATURE = "META-INF/signature001.p7s"
ASIC_FILES = (MIMETYPE, ASIC_MANIFEST, ASIC_SIGNATURE)
SUFFIX = ".asice"

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
    '<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#"'
    ' xmlns:ds="http://www.w3.org/2000/09/xmldsig#">\n'
    f'<asic:SigReference URI="{ASIC_SIGNATURE}" MimeType="application/x-pkcs7-signature"/>\n'
)
_METHOD = '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
_TAIL = "</asic:ASiCManifest>\n"


def asic_manifest(hashes: Iterable[tuple[str, str]]) -> bytes:
    """Return the ASiCManifest of `(name, SHA-256 in hexadecimal)`, sorted by name.

    Names of a bag (`bag.check_name`) hold nothing that XML would escape.
    """
    lines = (
        f'<asic:DataObjectReference URI="{name}">{_METHOD}'
        f"<ds:DigestValue>{base64.b64encode(bytes.fromhex(sha256)).decode()}</ds:DigestValue>"
        "</asic:DataObjectReference>\n"
        for name, sha256 in sorted(hashes)
    )
    return "".join((_HEAD, *lines, _TAIL)).encode()
