"""A small package, its signatory, and an authority of time made by openssl."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from archive.evidence.bag import Bag
from archive.evidence.folder import FolderShelf
from archive.evidence.seal import seal_bag
from archive.evidence.verification import STAMP_REQUIRED, Trust
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring
from keys.signatory import Signatory, load_or_create

TSA_SETTINGS = """
[tsa]
default_tsa = here
[here]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ordering = yes
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
[usage]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
"""


def openssl(folder: Path, *arguments: str) -> bytes:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, f"openssl {' '.join(arguments)} failed: {done.stderr.decode()}"
    return done.stdout


@dataclass(frozen=True)
class OpenSslTimestampAuthority:
    """Stamps by `openssl ts`, with a certificate of an authority of its own."""

    folder: Path

    def stamp(self, data: bytes) -> bytes:
        (self.folder / "data").write_bytes(data)
        openssl(self.folder, "ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "query")
        openssl(self.folder, "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply")
        return (self.folder / "reply").read_bytes()

    def root(self) -> bytes:
        return (self.folder / "root.pem").read_bytes()


@pytest.fixture(scope="session")
def timestamp_authority(tmp_path_factory: pytest.TempPathFactory) -> OpenSslTimestampAuthority:
    folder = tmp_path_factory.mktemp("tsa")
    (folder / "tsa.cnf").write_text(TSA_SETTINGS)
    (folder / "serial").write_text("01\n")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(
        folder, "req", "-x509", *curve, "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=Time root"
    )
    openssl(folder, "req", *curve, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=Time")
    extensions = ("-extfile", "tsa.cnf", "-extensions", "usage", "-days", "3650")
    openssl(
        folder, "x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", *extensions,
        "-out", "tsa.pem",
    )  # fmt: skip
    return OpenSslTimestampAuthority(folder)


@pytest.fixture(scope="session")
def signatory(tmp_path_factory: pytest.TempPathFactory) -> Signatory:
    store = DirectoryKeyStore(tmp_path_factory.mktemp("keys"))
    return load_or_create(store, LocalKeyring(bytes(32)), "Voorbeeld BV", datetime.now(UTC))


@pytest.fixture(scope="session")
def trust(signatory: Signatory, timestamp_authority: OpenSslTimestampAuthority) -> Trust:
    root = x509.load_pem_x509_certificate(timestamp_authority.root())
    return Trust(signatory.authority, (root,))


def lay_down(
    folder: Path,
    signatory: Signatory,
    authority: OpenSslTimestampAuthority,
    *,
    stamped: bool = True,
    asic: bool = False,
    more: Mapping[str, bytes] | None = None,
) -> Path:
    """Make a package with two recordings, and `more` files, in `folder`, and return it."""
    bag = Bag(FolderShelf(folder))
    bag.add("data/report.html", (b"<!doctype html><title>Report</title>\n",))
    for number in (1, 2):
        bag.add(f"data/recordings/r{number}/audio.flac", (b"fLaC", bytes([number]) * 4096))
        bag.add(f"data/recordings/r{number}/metadata.json", (b'{"id": "r%d"}\n' % number,))
    for name, content in (more or {}).items():
        bag.add(name, (content,))
    bag.add("verify/authority.pem", (signatory.authority_pem(),))
    bag.add("verify/timestamp-authority.pem", (authority.root(),))
    tags = bag.close({"External-Identifier": "case-1", STAMP_REQUIRED: "yes" if stamped else "no"})
    seal_bag(bag, tags, signatory, authority if stamped else None, datetime.now(UTC), asic=asic)
    return folder


@pytest.fixture(scope="session")
def package(
    tmp_path_factory: pytest.TempPathFactory,
    signatory: Signatory,
    timestamp_authority: OpenSslTimestampAuthority,
) -> Path:
    """A package nobody changes: copy it."""
    return lay_down(tmp_path_factory.mktemp("package") / "bag", signatory, timestamp_authority)


@pytest.fixture(scope="session")
def container(
    tmp_path_factory: pytest.TempPathFactory,
    signatory: Signatory,
    timestamp_authority: OpenSslTimestampAuthority,
) -> Path:
    """The same as an ASiC-E container, unpacked, nobody changes either."""
    folder = tmp_path_factory.mktemp("container") / "bag"
    return lay_down(folder, signatory, timestamp_authority, asic=True)
