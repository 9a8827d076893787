"""`earwitness install`: makes ready what separate roles share, once, before they start.

`up` does the same by itself. Doing it again changes nothing that exists.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from archive.catalogue.migrate import ROLES, prepare
from archive.cli.outcome import DONE, parser
from archive.cli.service import add_data, settings_of
from archive.cli.vault import ensure_keys, open_store
from archive.embedded.private_file import write_private
from archive.errors import Refused

SECRET_BYTES_MAX = 4096  # a password or URL; more is a wrong file


def run_install(arguments: list[str]) -> int:
    """Make database roles and tables, bucket, keyring and key store from the settings."""
    made = parser(
        "install",
        "Prepare database, bucket, keyring and key store for roles that run separately. "
        "EARWITNESS_DATABASE_URL is here the one of an administrator of the server.",
        "earwitness install --role-password-file /run/secrets/database-role",
    )
    made.add_argument(
        "--role-password-file",
        type=Path,
        required=True,
        metavar="FILE",
        help="password of the database roles",
    )
    add_data(made)
    options = made.parse_args(arguments)
    settings = settings_of(options)
    settings.require("database_url", "keyring", "key_store")
    password = _secret(options.role_password_file)
    prepare(settings.database_url, dict.fromkeys(ROLES, password))
    print("database: ready", flush=True)
    store = open_store(settings)
    try:
        store.ensure_bucket()
    finally:
        store.close()
    print("bucket: ready", flush=True)
    ensure_keys(settings)
    print("keys: ready", flush=True)
    return DONE


def _secret(path: Path) -> str:
    """Return the secret in a file, made now when the file is missing."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, secrets.token_urlsafe(24).encode())
    content = path.read_bytes()
    if not 0 < len(content) <= SECRET_BYTES_MAX:
        raise Refused(f"{path} does not hold a password.")
    return content.decode().strip()
