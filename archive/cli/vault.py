"""Keys and object store as roles and commands open them from the settings."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from archive.errors import Refused
from archive.evidence.authorities import Authorities
from archive.settings import Settings
from archive.store.key_bucket import BucketKeyStore
from archive.store.s3 import ObjectStore
from archive.timestamp import certificates_in
from keys.kek import KekVault, is_kek_id
from keys.key_store import DirectoryKeyStore, KeyStore
from keys.local_keyring import LocalKeyring
from keys.root import Moving, Root, RootWithKeyToMake, RotatingRoot, open_root
from keys.signatory import Signatory, load_authority
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


def open_keyring(settings: Settings) -> RotatingRoot:
    """Return the root of all keys; takes a third of a second. Raises Refused, KeyringLocked."""
    settings.require("keyring")
    root = open_root(settings.keyring, settings.keyring_passphrase.encode())
    if not settings.keyring_former:
        return root
    return Moving(root, open_root(settings.keyring_former, settings.keyring_former_passphrase.encode()))


def open_vault(settings: Settings, root: Root | None = None) -> KekVault:
    """Return the vault of the settings, under `root` if it is open; raises Refused, KeyringLocked."""
    settings.require("keyring", "key_store")
    return KekVault(root or open_keyring(settings), open_key_store(settings))


def open_key_store(settings: Settings) -> KeyStore:
    """Return the store of wrapped keys; nothing is connected yet. Raises Refused."""
    settings.require("key_store")
    kind, _, place = settings.key_store.partition(":")
    if kind == "dir":
        return DirectoryKeyStore(Path(place))
    return open_key_bucket(settings)


def open_key_bucket(settings: Settings) -> BucketKeyStore:
    """Return the bucket that is the key store of the settings; raises Refused."""
    settings.require("s3_endpoint", "s3_access_key", "s3_secret_key")
    name = settings.key_store.removeprefix("bucket:")
    if name == settings.s3_bucket:
        raise Refused("The keys need a bucket of their own: EARWITNESS_KEY_STORE names that of the objects.")
    return BucketKeyStore(
        settings.s3_endpoint, name, settings.s3_access_key, settings.s3_secret_key, settings.s3_region
    )


def root_since(settings: Settings) -> datetime | None:
    """Return when the keyring file last changed; None of a service, which tells its owner, and of no file."""
    kind, _, place = settings.keyring.partition(":")
    if kind != "file":
        return None
    try:
        return datetime.fromtimestamp(Path(place).stat().st_mtime, UTC)
    except OSError:
        return None


def kek_days(store: KeyStore) -> list[datetime]:
    """Return the days of expiry of the keys of a key store, oldest first; raises KeyStoreUnavailable."""
    days = (name.split("/")[1] for name in store.list("") if is_kek_id(name))
    return [datetime.fromisoformat(day).replace(tzinfo=UTC) for day in sorted(days)]


def ensure_keys(settings: Settings) -> None:
    """Make what is missing of key store and root; what is there is never replaced.

    A root is made for an empty key store alone: a second root beside the keys of a first
    one would open none of them. Raises Refused, KeysError.
    """
    kind, _, place = settings.key_store.partition(":")
    if kind == "dir":
        Path(place).mkdir(parents=True, exist_ok=True, mode=0o700)
    else:
        bucket = open_key_bucket(settings)
        try:
            bucket.ensure()
        finally:
            bucket.close()
    if not open_key_store(settings).list(""):
        _ensure_root(settings)
    open_keyring(settings)


def _ensure_root(settings: Settings) -> None:
    kind, _, place = settings.keyring.partition(":")
    if kind == "file" and not Path(place).exists():
        Path(place).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        LocalKeyring.create(Path(place), settings.keyring_passphrase.encode())
    root = open_keyring(settings)
    if isinstance(root, RootWithKeyToMake):
        root.ensure_key()


def open_signing_key(settings: Settings, root: Root) -> SigningKey:
    """Return the key that signs checkpoints of the audit log, made at first; raises Refused, KeysError."""
    return load_or_create(open_key_store(settings), root, SIGNING_KEY_NAME)


def open_signatory(settings: Settings, now: datetime) -> Signatory:
    """Return who signs what leaves this archive, made at first; raises Refused, KeysError."""
    return load_signatory(open_key_store(settings), open_keyring(settings), ORGANISATION, now)


def open_authority(settings: Settings, now: datetime) -> Certificate:
    """Return the certificate that vouches for what this archive signs; raises as `open_signatory`."""
    return load_authority(open_key_store(settings), open_keyring(settings), ORGANISATION, now)


def open_authorities(settings: Settings, now: datetime) -> Authorities:
    """Return whom others trust who check packages of this archive; raises Refused, KeysError."""
    authority = open_authority(settings, now)
    if not settings.tsa_url or settings.tsa_certificates is None:
        return Authorities(authority)
    stamping = certificates_in(settings.tsa_certificates)
    return Authorities(authority, b"".join(each.public_bytes(Encoding.PEM) for each in stamping))
