"""What a data directory holds, and how it is made ready for the roles.

    DIR/lock                 held while a service runs on DIR
    DIR/service.json         how commands find it (`service_file`)
    DIR/keyring              root key, sealed by DIR/keyring-passphrase
    DIR/keys/                wrapped key-encryption keys
    DIR/journal/             sealed audio of running calls
    DIR/postgres/, seaweedfs/    the embedded services
    DIR/log/                 logs of the roles

Rules: every step can be repeated; nothing that exists is replaced. A database or
object store named in the settings is used instead of the embedded one.

Not here: running the roles (`supervisor`).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from archive.catalogue.migrate import DATABASE, ROLES, prepare
from archive.cli.vault import ensure_keys
from archive.embedded.ports import keep_ports
from archive.embedded.postgres import EmbeddedPostgres
from archive.embedded.private_file import write_private
from archive.embedded.seaweedfs import EmbeddedSeaweed
from archive.embedded.service_file import ServiceFile
from archive.errors import Refused
from archive.settings import PREFIX, Settings, parse_listeners
from archive.store.s3 import ObjectStore
from keys.local_keyring import LocalKeyring

PASSPHRASE_BYTES = 32


@dataclass(frozen=True)
class Listening:
    """The addresses asked for: `HOST:PORT`, `HOST:PORT` and `A-B`."""

    sip: str
    portal: str
    rtp_ports: str


class Installation:
    """A data directory, its services started and its settings worked out."""

    def __init__(self, directory: Path, settings: Settings, tell: Callable[[str], None]) -> None:
        """`settings` are those given from outside; `tell` shows progress to a human."""
        self.directory = directory.absolute()
        self.postgres = None if settings.database_url else EmbeddedPostgres(self.directory / "postgres")
        self.seaweed = None if settings.s3_endpoint else EmbeddedSeaweed(self.directory / "seaweedfs")
        self._settings = settings
        self._tell = tell

    def prepare(self, listening: Listening) -> ServiceFile:
        """Start the services, make what is missing and write `service.json`.

        Raises ArchiveError or KeysError with what to do.
        """
        for folder in ("journal", "keys", "log"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        database_urls = self._prepare_database()
        store = self._prepare_store()
        keys = self._prepare_keys(store)
        admin_port = keep_ports(self.directory / "ports.json", ["recorder-admin"])["recorder-admin"]
        url = self._settings.model_copy(update={"portal_listen": listening.portal}).portal_address_shown
        addresses = {
            "SIP_LISTEN": listening.sip,
            "RTP_ADDRESS": _rtp_address(self._settings, listening.sip),
            "RTP_PORTS": listening.rtp_ports,
            "PORTAL_LISTEN": listening.portal,
            "PORTAL_URL": url,
            "RECORDER_ADMIN_LISTEN": f"127.0.0.1:{admin_port}",
            "JOURNAL_DIR": str(self.directory / "journal"),
            "TRUST_LOOPBACK": "true",
        }
        settled = {**self._given(), **store, **keys, **addresses}
        environment = {f"{PREFIX}{name}": value for name, value in settled.items()}
        service = ServiceFile(
            sip=listening.sip,
            portal_url=url,
            recorder_admin=f"http://127.0.0.1:{admin_port}",
            environment=environment,
            database_urls=database_urls,
        )
        service.write(self.directory)
        return service

    def ground(self) -> tuple[str, dict[str, str], Settings]:
        """Start the services for a restore: no table, no root and no `service.json` is made.

        Returns the URL of the server's administrator, the passwords of the database roles, and the
        settings with which store and keys are found. Raises Refused without a keyring.
        """
        if not self._settings.keyring and not (self.directory / "keyring").exists():
            raise Refused(
                f"{self.directory} has no keyring: put the copies of keyring and keyring-passphrase there "
                "first, or name another root in EARWITNESS_KEYRING."
            )
        (self.directory / "keys").mkdir(parents=True, exist_ok=True, mode=0o700)
        store = self._prepare_store() if self._settings.key_store.startswith("bucket:") else {}
        keys = self._prepare_keys(store)
        if path := keys.pop("KEYRING_PASSPHRASE_FILE", ""):
            keys["KEYRING_PASSPHRASE"] = Path(path).read_text()
        settings = self._settings.model_copy(update=_fields(store) | _fields(keys))
        return self._start_database(), self._passwords(), settings

    def stop(self) -> None:
        """Stop the embedded services."""
        for each in (self.postgres, self.seaweed):
            if each is not None:
                each.stop()

    def _given(self) -> dict[str, str]:
        """Return what was set from outside, by `--config` too, but for the services and keys settled here."""
        names = self._settings.model_fields_set
        return {
            name.upper(): str(getattr(self._settings, name))
            for name in sorted(names)
            if not name.startswith(("database_url", "s3_", "key"))
        }

    def _prepare_database(self) -> dict[str, str]:
        """Return the database URL of each role."""
        admin_url = self._start_database()
        passwords = self._passwords()
        prepare(admin_url, passwords)
        base = make_url(admin_url).set(drivername="postgresql+psycopg", database=DATABASE)
        return {
            role.removeprefix("earwitness_"): base.set(
                username=role, password=passwords[role]
            ).render_as_string(hide_password=False)
            for role in ROLES
        }

    def _start_database(self) -> str:
        """Return the URL of the server's administrator."""
        if self.postgres is None:
            self._tell("PostgreSQL: the one of EARWITNESS_DATABASE_URL")
            return self._settings.database_url
        self._tell("PostgreSQL: starting the embedded server")
        return self.postgres.start()

    def _passwords(self) -> dict[str, str]:
        path = self.directory / "database-passwords.json"
        if path.exists():
            known: dict[str, str] = json.loads(path.read_text())
        else:
            known = {}
        passwords = {role: known.get(role) or secrets.token_urlsafe(24) for role in ROLES}
        if passwords != known:
            write_private(path, json.dumps(passwords).encode())
        return passwords

    def _prepare_store(self) -> dict[str, str]:
        """Return the settings of the object store, its bucket made."""
        given = self._settings
        if self.seaweed is None:
            self._tell("Object store: the one of EARWITNESS_S3_ENDPOINT")
            given.require("s3_access_key", "s3_secret_key")
            url, access_key, secret_key = given.s3_endpoint, given.s3_access_key, given.s3_secret_key
            sync_dir = "" if given.s3_sync_dir is None else str(given.s3_sync_dir)
        else:
            self._tell("Object store: starting the embedded server")
            endpoint = self.seaweed.start()
            url, access_key, secret_key = endpoint.url, endpoint.access_key, endpoint.secret_key
            sync_dir = str(self.seaweed.directory)
        store = ObjectStore(
            url,
            given.s3_bucket,
            access_key,
            secret_key,
            given.s3_region,
            sync_dir=Path(sync_dir) if sync_dir else None,
            lock=given.s3_lock,
        )
        try:
            store.ensure_bucket()
        finally:
            store.close()
        return {
            "S3_ENDPOINT": url,
            "S3_BUCKET": given.s3_bucket,
            "S3_ACCESS_KEY": access_key,
            "S3_SECRET_KEY": secret_key,
            "S3_REGION": given.s3_region,
            "S3_SYNC_DIR": sync_dir,
            "S3_LOCK": str(given.s3_lock).lower(),
        }

    def _prepare_keys(self, store: dict[str, str]) -> dict[str, str]:
        """Return the settings of keyring and key store, made if they are missing.

        `store` are the settings of the object store, which may hold the key store too.
        """
        key_store = self._settings.key_store or f"dir:{self.directory / 'keys'}"
        if self._settings.keyring:
            given = {
                "KEYRING": self._settings.keyring,
                "KEYRING_PASSPHRASE": self._settings.keyring_passphrase,
                "KEYRING_FORMER": self._settings.keyring_former,
                "KEYRING_FORMER_PASSPHRASE": self._settings.keyring_former_passphrase,
            }
            keys = {name: value for name, value in given.items() if value} | {"KEY_STORE": key_store}
            ensure_keys(self._settings.model_copy(update=_fields(store) | _fields(keys)))
            return keys
        keyring, passphrase = self.directory / "keyring", self.directory / "keyring-passphrase"
        if not passphrase.exists():
            if keyring.exists():
                raise Refused(f"{passphrase} is gone, and {keyring} opens with nothing else: restore it.")
            write_private(passphrase, secrets.token_urlsafe(PASSPHRASE_BYTES).encode())
        if not keyring.exists():
            LocalKeyring.create(keyring, passphrase.read_bytes())
        if key_store.startswith("bucket:"):
            changes = {"keyring": f"file:{keyring}", "keyring_passphrase": passphrase.read_text()}
            ensure_keys(self._settings.model_copy(update=_fields(store) | changes))
        return {
            "KEYRING": f"file:{keyring}",
            "KEYRING_PASSPHRASE_FILE": str(passphrase),
            "KEY_STORE": key_store,
        }


def _fields(settled: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in settled.items()}


def _rtp_address(settings: Settings, sip: str) -> str:
    """Return the address for media: the one set, else the host SIP listens on if it is one address."""
    if "rtp_address" in settings.model_fields_set:
        return settings.rtp_address
    host = parse_listeners(sip)[0][1]
    return settings.rtp_address if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 - compared, not bound
