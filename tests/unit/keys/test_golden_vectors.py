"""What an earlier release sealed and wrapped opens in this one (C3).

The files in `golden` were written once, by the release of 2026-11. They are never made anew: a
test that fails here says that archives of customers would not open.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from keys import kek, node_key
from keys.binding import Binding
from keys.envelope import unwrap_key
from keys.errors import SealBroken
from keys.kek import KekVault
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring
from keys.recovery import Share
from keys.streaming_aead import SealPin, ciphertext_length, open_sealed, seal

GOLDEN = Path(__file__).parent / "golden"
VECTORS: dict[str, Any] = json.loads((GOLDEN / "keys-and-seals.json").read_text())
BINDING = Binding(VECTORS["tenant_id"], VECTORS["recording_id"], "audio").associated_data()
LONG = bytes(range(256)) * 800


def octets(name: str) -> bytes:
    return bytes.fromhex(VECTORS[name])


def test_c3_keyrings_of_both_forms_open_and_unwrap() -> None:
    """C3, with the real scrypt."""
    passphrase = VECTORS["passphrase"].encode()
    for form, names in (("1", ("1",)), ("2", ("1", "2"))):
        keyring = LocalKeyring.open(GOLDEN / f"keyring-{form}.json", passphrase)
        for name in names:
            wrapped = octets(f"wrapped_kek_by_root_{name}")
            assert keyring.unwrap(wrapped, kek.context_of(VECTORS["kek_id"])) == octets("kek")


def test_c3_recovery_shares_open_the_keyring(tmp_path: Path) -> None:
    """C3."""
    shutil.copy(GOLDEN / "keyring-2.json", tmp_path / "keyring")
    shares = [Share.parse(text) for text in VECTORS["shares"]]
    keyring = LocalKeyring.recover(tmp_path / "keyring", shares[1:], b"new passphrase")
    assert keyring.versions == (1, 2)


def test_c3_the_chain_from_the_keyring_to_the_words_said(tmp_path: Path) -> None:
    """C3: key store, KEK, data key, object, and the node key of a recorder."""
    root = LocalKeyring.open(GOLDEN / "keyring-2.json", VECTORS["passphrase"].encode())
    (tmp_path / "keys").mkdir()
    store = DirectoryKeyStore(tmp_path / "keys")
    store.put(VECTORS["kek_id"], octets("wrapped_kek_by_root_1"))
    opened = KekVault(root, store).get(VECTORS["kek_id"])
    context = Binding(VECTORS["tenant_id"], VECTORS["recording_id"], "data-key").associated_data()
    data_key = unwrap_key(opened.key, octets("wrapped_data_key"), context)
    assert data_key == octets("data_key")
    plaintext = VECTORS["plaintext"].encode()
    pin = SealPin(len(plaintext), ciphertext_length(len(plaintext)), 1, VECTORS["object_commitment"])
    assert open_sealed(data_key, BINDING, octets("object"), pin) == plaintext
    (tmp_path / "node.key").write_bytes(octets("wrapped_node_key"))
    assert node_key.load_or_create(tmp_path / "node.key", root) == octets("node_key")


def test_c3_an_object_of_many_segments_is_sealed_octet_for_octet_as_then() -> None:
    """C3: with the salt and nonce prefix of then, so that the file here can be short."""
    sealed = seal(octets("data_key"), BINDING, LONG, random=lambda count: b"\x07" * count)
    assert len(sealed.ciphertext) == VECTORS["long_object_octets"]
    assert sealed.pin.segments == VECTORS["long_object_segments"] == 4
    assert hashlib.sha256(sealed.ciphertext).hexdigest() == VECTORS["long_object_sha256"]
    assert open_sealed(octets("data_key"), BINDING, sealed.ciphertext, sealed.pin) == LONG


def test_c6_no_golden_wrapping_opens_for_another_recording_or_tenant() -> None:
    """C6."""
    for tenant, recording in (
        (VECTORS["tenant_id"], "0192f3a1-7c00-7000-8000-0000000000ab"),
        ("0192f3a1-7c00-7000-8000-000000000002", VECTORS["recording_id"]),
    ):
        context = Binding(tenant, recording, "data-key").associated_data()
        with pytest.raises(SealBroken):
            unwrap_key(octets("kek"), octets("wrapped_data_key"), context)
