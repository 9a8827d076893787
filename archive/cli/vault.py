"""Keys and object store as roles and commands open them from the settings."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from archive.settings import Settings
from archive.store.s3 import ObjectStore
from keys.kek import KekVault
from keys.key_store import DirectoryKeyStore
from keys.root import Root, open_root
from keys.signatory import Signatory
from keys.signatory import load_or_create as load_signatory
from keys.signing_key import SigningKey, load_or_create

SIGNING_KEY_NAME = "audit-log/signing-1"

ORGANISATION = "earwitness"
"""Who an auditor reads as the signer, where an organisation has no key of its own."""


def open_store(settings: Settings) -> ObjectStore:
    """Return the object store of the settings; nothing is connected yet. Raises Refused."""
    settings.require("s3_endpoint", "s3_access_key", "s3_secret_key")
    return ObjectStore(
        settings.s3_endpoint,
        settings.s3_bucket,
        settings.s3_access_key,
        settings.s3_secret_key,
        settings.s3_region,
        sync_dir=settings.s3_sync_dir,
        lock=settings.s3_lock,
    )


def open_keyring(settings: Settings) -> Root:
    """Return the root of all keys; takes a third of a second. Raises Refused, KeyringLocked."""
    settings.require("keyring", "keyring_passphrase")
    return open_root(settings.keyring, settings.keyring_passphrase.encode())


def open_vault(settings: Settings, root: Root | None = None) -> KekVault:
    """Return the vault of the settings, under `root` if it is open; raises Refused, KeyringLocked."""
    settings.require("keyring", "keyring_passphrase", "key_store")
    return KekVault(root or open_keyring(settings), open_key_store(settings))


def open_key_store(settings: Settings) -> DirectoryKeyStore:
    """Return the store of wrapped keys; raises Refused."""
    settings.require("key_store")
    return DirectoryKeyStore(Path(settings.key_store.removeprefix("dir:")))


def open_signing_key(settings: Settings, root: Root) -> SigningKey:
    """Return the key that signs checkpoints of the audit log, made at first; raises Refused, KeysError."""
    return load_or_create(open_key_store(settings), root, SIGNING_KEY_NAME)


def open_signatory(settings: Settings, now: datetime) -> Signatory:
    """Return who signs what leaves this archive, made at first; raises Refused, KeysError."""
    return load_signatory(open_key_store(settings), open_keyring(settings), ORGANISATION, now)
