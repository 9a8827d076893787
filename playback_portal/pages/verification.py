"""Checking a package of evidence in the browser, and what others trust to do so: open to everyone.

Who receives a package has no account here. The page takes the file and reads it where it
is: nothing of it is sent, to nobody. The certificate it trusts comes with the page and not
from the package; another one can be chosen for packages of another archive.

Rules: nothing here depends on who asks. The checks themselves are `web/verify.ts` and the
modules it imports; what they found they say in the words below.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from archive.data_key import translated_key_errors
from archive.errors import NotFound
from archive.evidence import authorities
from archive.evidence.authorities import Authorities
from playback_portal.language import mark
from playback_portal.page import PAGE_HEADERS, recognise, render
from playback_portal.route import Route
from playback_portal.services import SERVICES

PAGE = "/verify"
PEM_TYPE = "application/x-pem-file"

CHECKS: Mapping[str, str] = {
    "container": mark("The file is a package"),
    "files": mark("Nothing was added, nothing is missing"),
    "signature": mark("The signature is of this archive"),
    "stamp": mark("The time-stamp is of this signature"),
    "hashes": mark("No file was changed"),
    "asic": mark("The ASiC-E container is of these files"),
    "log": mark("The custody stands in the sealed audit log"),
}

STATES: Mapping[str, str] = {
    "waits": mark("Waits"),
    "runs": mark("Being checked"),
    "ok": mark("Right"),
    "failed": mark("Wrong"),
    "none": mark("Does not apply"),
    "unknown": mark("Can't be checked here"),
}

WORDS: Mapping[str, str] = {
    "sound": mark("This package is untouched."),
    "broken": mark("This package is not as it was signed."),
    "partly": mark("Nothing wrong was found, but not everything could be checked."),
    "progress": mark("{done} of {total}"),
    "more": mark("and {count} more"),
    "no-zip": mark("This is no zip, or a damaged one."),
    "too-many": mark("It holds more than a package does."),
    "bad-name": mark("{name} is a name no package has."),
    "twice": mark("{name} is there twice."),
    "no-file": mark("{name} is neither a file nor a folder."),
    "unreadable": mark("{name} can't be read."),
    "not-first": mark("{name} is not the first file of the container."),
    "missing": mark("{name} is missing."),
    "not-listed": mark("{name} is not listed."),
    "no-evidence": mark("{name} is listed as evidence and is none."),
    "unexplained": mark("{name} does not explain itself."),
    "bad-list": mark("{name} is no list as we write it."),
    "no-requirement": mark("{name} does not say whether a time-stamp belongs to the package."),
    "changed": mark("{name} was changed."),
    "too-large": mark("{name} is too large for a browser; use the script."),
    "not-signed": mark("{name} is not the signature of this package."),
    "stranger": mark("{name} is of nobody the trusted authority vouched for at that time."),
    "not-stamped": mark("{name} is not of this signature, or of nobody who is trusted."),
    "not-of-files": mark("{name} is not of the files that are there."),
    "not-proved": mark("{name}, line {line}: the entry is not proved."),
    "not-custody": mark("{name}, line {line}: the entry is not in the custody."),
    "no-ed25519": mark("This browser knows no Ed25519. Use a newer one, or the script in the package."),
    "signer": mark("Signed by {name}."),
    "stamped": mark("Signed before {name}."),
    "stamper-inside": mark("By the certificate in the package: the archive published none."),
    "not-required": mark("No time-stamp belongs to this package."),
    "plain-zip": mark("This package is a plain zip."),
    "proved": mark("{count} of {total} entries are proved; newer ones were not sealed yet."),
    "no-proofs": mark("The log was not sealed yet when this package was made."),
    "counted": mark("{count} files"),
    "authority-other": mark("Trusting the certificate you chose: {name}"),
    "authority-none": mark("This file holds no certificate."),
}


async def get_verify(request: web.Request) -> web.StreamResponse:
    """Show the page that checks a package where it is."""
    await recognise(request)
    known = await _authorities(request)
    return render(
        request,
        "verification/page.html",
        authority=_plain(known.authority_pem()),
        stamping=_plain(known.stamping_pem),
        fingerprint=spelled(known.fingerprint()),
        script_sha256=authorities.script_sha256(),
        checks=CHECKS,
        states=STATES,
        words={**WORDS, **STATES},
    )


async def get_authority(request: web.Request) -> web.StreamResponse:
    """Answer with the certificate of the authority."""
    return _file((await _authorities(request)).authority_pem(), "authority.pem", PEM_TYPE)


async def get_timestamp_authority(request: web.Request) -> web.StreamResponse:
    """Answer with the certificates of who stamps time; NotFound where none is set."""
    pem = (await _authorities(request)).stamping_pem
    if not pem:
        raise NotFound("No time-stamping authority is set here.")
    return _file(pem, "timestamp-authority.pem", PEM_TYPE)


async def get_script(request: web.Request) -> web.StreamResponse:
    """Answer with the script that checks a package with standard tools."""
    del request
    return _file(authorities.script(), "verify.sh", "application/x-sh")


def spelled(fingerprint: str) -> str:
    """Return a fingerprint as openssl prints it: pairs in capitals with colons."""
    return bytes.fromhex(fingerprint).hex(":").upper()


def _plain(pem: bytes) -> str:
    """Return the certificates of a PEM as base64 with blanks between, for an attribute of the page."""
    found = x509.load_pem_x509_certificates(pem) if pem else []
    return " ".join(base64.b64encode(each.public_bytes(Encoding.DER)).decode() for each in found)


async def _authorities(request: web.Request) -> Authorities:
    services = request.app[SERVICES]

    def known() -> Authorities:
        with translated_key_errors():
            return services.authorities()

    return await asyncio.to_thread(known)


def _file(content: bytes, name: str, media_type: str) -> web.Response:
    disposition = f'attachment; filename="{name}"'
    headers = {**PAGE_HEADERS, "Content-Disposition": disposition}
    return web.Response(body=content, content_type=media_type, headers=headers)


VERIFICATION_ROUTES = (
    Route("GET", PAGE, get_verify, None, None, page=True),
    Route("GET", f"{PAGE}/authority.pem", get_authority, None, None, page=True),
    Route("GET", f"{PAGE}/timestamp-authority.pem", get_timestamp_authority, None, None, page=True),
    Route("GET", f"{PAGE}/verify.sh", get_script, None, None, page=True),
)
