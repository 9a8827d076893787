"""One root of every kind, each with a second one beside it that is none of its own.

SoftHSM is a real security module in software. AWS KMS is moto's imitation and Vault is
a server of ours: docs/assurance.md says what that does not prove.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from keys import local_keyring
from keys.local_keyring import LocalKeyring
from keys.root import RotatingRoot, open_root
from keys.security_module import SecurityModule
from tests.conformance.keys import vault_server
from tests.conformance.keys.vault_server import TOKEN, VaultServer

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "567890"
KINDS = ("file", "kms", "vault", "pkcs11")


@dataclass(frozen=True)
class Custody:
    """A root as its setting names it, another of the same kind, and what takes the service away."""

    root: RotatingRoot
    other: RotatingRoot
    reopen: Callable[[], RotatingRoot]
    take_away: Callable[[], None] | None
    secrets: tuple[bytes, ...]


@pytest.fixture(scope="session")
def kms_server() -> Iterator[ThreadedMotoServer]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A token of SoftHSM in a folder of its own; the library reads its settings once a process."""
    assert Path(SOFTHSM).exists(), "SoftHSM is missing: sh tests/system_packages.sh installs it."
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    command = ["softhsm2-util", "--init-token", "--free", "--label", "earwitness", "--so-pin", "123456"]
    subprocess.run([*command, "--pin", PIN], check=True, capture_output=True)
    yield "earwitness"
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


@pytest.fixture(params=KINDS)
def custody(request: pytest.FixtureRequest) -> Custody:
    return request.getfixturevalue(f"{request.param}_custody")


@pytest.fixture
def file_custody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Custody:
    monkeypatch.setattr(local_keyring, "SCRYPT_N", 2**4)
    for name in ("keyring", "other"):
        LocalKeyring.create(tmp_path / name, b"correct horse")
    opened, other = (open_root(f"file:{tmp_path / name}", b"correct horse") for name in ("keyring", "other"))
    assert isinstance(opened, LocalKeyring)
    return Custody(
        opened,
        other,
        lambda: open_root(f"file:{tmp_path / 'keyring'}", b"correct horse"),
        None,
        (b"correct horse", opened._roots.keys[1], opened._file_key),
    )


@pytest.fixture
def kms_custody(kms_server: ThreadedMotoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Custody]:
    host, port = kms_server.get_host_and_port()
    for name, value in (
        ("AWS_ENDPOINT_URL_KMS", f"http://{host}:{port}"),
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "of the tests"),
        ("AWS_MAX_ATTEMPTS", "1"),
    ):
        monkeypatch.setenv(name, value)
    client = boto3.session.Session().client("kms", region_name="eu-west-1")
    arns = [client.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]

    def take_away() -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9")

    yield Custody(
        open_root(f"kms:{arns[0]}", None),
        open_root(f"kms:{arns[1]}", None),
        lambda: open_root(f"kms:{arns[0]}", None),
        take_away,
        (b"of the tests",),
    )
    client.close()


@pytest.fixture
def vault() -> Iterator[VaultServer]:
    with vault_server.running() as server:
        yield server


@pytest.fixture
def vault_custody(vault: VaultServer) -> Custody:
    urls = [vault.add_key(name) for name in ("earwitness", "other")]

    def take_away() -> None:
        vault.sealed = True

    return Custody(
        open_root(urls[0], TOKEN.encode()),
        open_root(urls[1], TOKEN.encode()),
        lambda: open_root(urls[0], TOKEN.encode()),
        take_away,
        (TOKEN.encode(),),
    )


@pytest.fixture
def pkcs11_custody(softhsm: str) -> Iterator[Custody]:
    uris = [f"pkcs11:token={softhsm};object={secrets.token_hex(4)}?module-path={SOFTHSM}" for _ in range(2)]
    roots = [open_root(uri, PIN.encode()) for uri in uris]
    for root in roots:
        assert isinstance(root, SecurityModule)
        root.ensure_key()
    yield Custody(roots[0], roots[1], lambda: open_root(uris[0], PIN.encode()), None, (PIN.encode(),))
    for root in roots:
        root.close()
