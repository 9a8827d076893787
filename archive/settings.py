"""The settings of every role: environment `EARWITNESS_*`, secret files, one TOML file.

Order, the first that says something wins: environment variable, `..._FILE` variable
naming a file with the secret, systemd credential with the variable's name, TOML file
given by `--config`, default. An empty value means "not set". Values are checked when
they are loaded, so that a wrong one stops the start with the name of the setting and
never a call.

Rules: no other module reads the environment for a setting. Secrets don't show in
`repr` and may come from files. `docs/settings.md` is `settings_page()`; a test
compares them.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import tomllib
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from archive.errors import Refused

PREFIX = "EARWITNESS_"
SECRET_FILE_SIZE_BYTES_MAX = 64 * 1024  # a credential is short; anything larger is the wrong file
TOML_FILE_SIZE_BYTES_MAX = 1024 * 1024  # a settings file has some forty lines
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"  # systemd.exec(5): where a unit's credentials are
PORT_MAX = 65535
DEFAULT_PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}  # RFC 3261 section 19.1.2


def parse_address(text: str) -> tuple[str, int]:
    """Split `HOST:PORT` or `[V6]:PORT`; raises ValueError with what was expected."""
    host, colon, port = text.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > PORT_MAX:
        raise ValueError(f"{text!r} is not HOST:PORT, for instance 127.0.0.1:5060")
    if ":" in host and not bracketed:
        raise ValueError(f"{text!r}: write an IPv6 address in brackets, for instance [::1]:5060")
    return (host[1:-1] if bracketed else host), int(port)


def parse_listeners(text: str) -> tuple[tuple[str, str, int], ...]:
    """Read `[TRANSPORT:]HOST:PORT, ...`; without a transport `udp` and `tcp` listen; raises ValueError.

    Behind a transport the port may be left out: 5061 for `tls`, else 5060.
    """
    listeners: list[tuple[str, str, int]] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        named, _, rest = item.partition(":")
        if (transport := named.lower()) in DEFAULT_PORTS:
            listeners.append((transport, *_named_address(transport, rest)))
        else:
            host, port = parse_address(item)
            listeners += [("udp", host, port), ("tcp", host, port)]
    if not listeners:
        raise ValueError(f"{text!r} names no address to listen on, for instance 127.0.0.1:5060")
    return tuple(listeners)


def _named_address(transport: str, text: str) -> tuple[str, int]:
    if not text or text.isdigit():
        raise ValueError(f"{transport}:{text} names no host, for instance {transport}:0.0.0.0")
    portless = text.endswith("]") or ":" not in text
    return parse_address(f"{text}:{DEFAULT_PORTS[transport]}" if portless else text)


def parse_ports(text: str) -> tuple[int, int]:
    """Read a port range `A-B`, both inclusive; raises ValueError when it holds no RTP/RTCP pair."""
    first, _, last = (part.strip() for part in text.partition("-"))
    if not (first.isdigit() and last.isdigit() and 0 < int(first) < int(last) <= PORT_MAX):
        raise ValueError(f"{text!r} is not a range of ports A-B with A below B, for instance 20000-29999")
    return int(first), int(last)


def _check_address(text: str) -> str:
    parse_address(text)
    return text


def _check_listeners(text: str) -> str:
    parse_listeners(text)
    return text


def _check_ports(text: str) -> str:
    parse_ports(text)
    return text


def _check_url(text: str) -> str:
    """Accept the address of the portal: `https`, or `http` on this machine, and nothing behind the port."""
    if not text:
        return text
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise ValueError("it is not an address such as https://portal.example")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("it ends behind the name and port; the portal is all there is at that address")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("passwords and recordings would cross a network in clear text; use https")
    return text


def is_loopback(host: str) -> bool:
    """Return whether a host name or address means this machine alone."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _check_network(text: str) -> str:
    if text:
        ipaddress.ip_network(text)
    return text


def _check_key_store(text: str) -> str:
    kind, _, place = text.partition(":")
    if text and (kind not in {"dir", "bucket"} or not place):
        raise ValueError(f"{text!r}: a key store has the form dir:PATH or bucket:NAME")
    return text


def _half_the_cores() -> int:
    return max(1, (os.cpu_count() or 1) // 2)


def _secret(description: str) -> str:
    return Field(default="", repr=False, description=description, json_schema_extra={"secret": True})


class _SecretFiles(PydanticBaseSettingsSource):
    """Reads `EARWITNESS_<SECRET>_FILE`: one trailing line end is dropped, nothing else."""

    def get_field_value(self, field: object, field_name: str) -> tuple[str | None, str, bool]:  # noqa: ARG002
        """Return the content of the named file, or None when no file is named."""
        variable = f"{PREFIX}{field_name.upper()}"
        path = os.environ.get(f"{variable}_FILE", "")
        credential = Path(os.environ.get(CREDENTIALS_VARIABLE, "/nowhere")) / variable
        if not path and not os.environ.get(variable) and credential.is_file():
            path = str(credential)
        if not path:
            return None, field_name, False
        if os.environ.get(variable):
            raise Refused(f"Both {variable} and {variable}_FILE are set; leave out one of them.")
        return read_small_file(Path(path), SECRET_FILE_SIZE_BYTES_MAX, f"{variable}_FILE"), field_name, False

    def __call__(self) -> dict[str, object]:
        """Return all secrets that stand in files."""
        found = {name: self.get_field_value(None, name)[0] for name in secret_names()}
        return {name: value for name, value in found.items() if value is not None}


def read_small_file(path: Path, size_bytes_max: int, setting: str) -> str:
    """Return the text of a small file without the end of its last line; raises Refused with the setting."""
    try:
        with path.open("rb") as file:
            content = file.read(size_bytes_max + 1)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{setting}: the file {path} can't be read ({error}).") from error
    if len(content) > size_bytes_max:
        raise Refused(
            f"{setting}: the file {path} is larger than {size_bytes_max} bytes; is it the right one?"
        )
    return text.removesuffix("\n").removesuffix("\r")


class Settings(BaseSettings):
    """All settings; see `docs/settings.md` for the table."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    database_url: str = _secret(
        "PostgreSQL of this role, `postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`; `up` starts its own"
    )
    database_timeout_s: float = Field(
        5.0, gt=0, le=300, description="longest wait for a connection or statement"
    )
    s3_endpoint: str = Field("", description="object store, `http(s)://HOST:PORT`; `up` starts its own")
    s3_bucket: str = Field("earwitness", description="bucket of the sealed objects, with Object Lock")
    s3_access_key: str = _secret("access key of the object store")
    s3_secret_key: str = _secret("secret key of the object store")
    s3_region: str = Field("us-east-1", description="region named in requests to the object store")
    s3_sync_dir: Path | None = Field(
        None, description="directory of a store on this machine, synced before an object counts as kept"
    )
    s3_lock: bool = Field(True, description="put objects under Object Lock until their retention ends")
    keyring: str = Field(
        "",
        description="root of all keys: `file:PATH`, `kms:KEY-ARN`, `vault:https://HOST:PORT/MOUNT/KEY` "
        "or `pkcs11:token=NAME;object=KEY?module-path=FILE`",
    )
    keyring_passphrase: str = _secret(
        "opens the keyring: passphrase of a file, token of Vault, PIN of a security module"
    )
    keyring_former: str = Field(
        "", description="the root before this one, until `earwitness keys rotate` is done with it"
    )
    keyring_former_passphrase: str = _secret("opens the former keyring")
    key_store: Annotated[str, AfterValidator(_check_key_store)] = Field(
        "",
        description="where wrapped key-encryption keys are held, never the database: `dir:PATH`, "
        "or `bucket:NAME` in the object store, a bucket of its own without versions and lock",
    )
    journal_dir: Path = Field(
        Path("/var/lib/earwitness/journal"), description="directory of the sealed journal"
    )
    node_name: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        max_length=255,
        description="name of this machine in audit entries and logs",
        json_schema_extra={"shown": "the host name"},
    )
    sip_listen: Annotated[str, AfterValidator(_check_listeners)] = Field(
        "127.0.0.1:5060",
        description="`[TRANSPORT:]HOST:PORT`, comma-separated; without a transport both UDP and TCP. "
        "`tls:HOST` listens for SIP over TLS, on 5061 unless a port is named",
    )
    sip_tls_cert: Path | None = Field(
        None,
        description="certificate of the `tls` listener, PEM, its chain behind it; renewed without a restart",
    )
    sip_tls_key: Path | None = Field(
        None, description="private key of that certificate, PEM, without a passphrase"
    )
    sip_tls_client_ca: Path | None = Field(
        None,
        description="authorities, PEM: who connects by TLS must show a certificate of theirs; "
        "without it none is asked for",
    )
    trust_loopback: bool = Field(
        False, description="treat 127.0.0.0/8 as a peer when none is defined; `up` sets it"
    )
    rtp_address: str = Field("127.0.0.1", description="address written in SDP answers and bound for RTP")
    rtp_ports: Annotated[str, AfterValidator(_check_ports)] = Field(
        "20000-29999", description="ports for RTP and RTCP, both ends included"
    )
    capture_processes: int = Field(
        default_factory=_half_the_cores,
        ge=1,
        le=256,
        description="processes that receive media",
        json_schema_extra={"shown": "half the processor cores"},
    )
    finaliser_processes: int = Field(
        default_factory=_half_the_cores,
        ge=1,
        le=256,
        description="processes that turn journals into recordings",
        json_schema_extra={"shown": "half the processor cores"},
    )
    recorder_admin_listen: Annotated[str, AfterValidator(_check_address)] = Field(
        "127.0.0.1:8090", description="address of the recorder's `/livez`, `/readyz` and `/metrics`"
    )
    sessions_max: int = Field(
        2000, ge=1, le=100_000, description="recording sessions at once; more are answered 503"
    )
    media_silence_s: float = Field(
        60.0, gt=0, description="a call without media for so long is probed, then ended"
    )
    recovery_silence_s: float = Field(
        15.0, gt=0, description="after a restart, a call without media for so long is ended"
    )
    pause_reminder_s: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="a pause of so long is told to whose call it is, in case they forgot it",
    )
    hold_back_s: float = Field(
        2.0,
        ge=0,
        le=2.0,  # reference/compliance.md 1.1: an emergency call is known within two seconds
        description="longest time in which audio waits in memory for the first metadata",
    )
    portal_listen: Annotated[str, AfterValidator(_check_address)] = Field(
        "127.0.0.1:8080", description="address of the portal and the HTTP API"
    )
    portal_url: Annotated[str, AfterValidator(_check_url)] = Field(
        "",
        description="address of the portal as browsers see it; `https`, or `http` on this machine alone",
    )
    portal_tls_cert: Path | None = Field(None, description="certificate chain of the portal, PEM")
    portal_tls_key: Path | None = Field(None, description="private key of the portal, PEM")
    portal_proxy: Annotated[str, AfterValidator(_check_network)] = Field(
        "", description="address range of the proxy whose forwarding headers are believed"
    )
    smtp_url: str = _secret(
        "mail server, `smtp(s)://USER:PASSWORD@HOST:PORT`; a `%` in user or password is written `%25`"
    )
    smtp_from: str = Field(
        "", description="address mails come from; without it, `noreply@` the portal's host"
    )
    smtp_tls: str = Field(
        "auto",
        pattern="^(auto|starttls|none)$",
        description="protects `smtp://`: `starttls` always, `none` never, `auto` unless it is this machine",
    )
    smtp_ca: Path | None = Field(None, description="authorities of the mail server's certificate, PEM")
    oidc_issuer: str = Field("", description="OpenID Connect issuer people sign in with")
    oidc_client_id: str = Field("", description="our name at that issuer")
    oidc_client_secret: str = _secret("our secret at that issuer")
    audit_lock_mode: str = Field(
        "GOVERNANCE",
        pattern="^(GOVERNANCE|COMPLIANCE)$",
        description="lock of the audit log's leaves and checkpoints: `COMPLIANCE` where a law asks for it, "
        "and only once `storage verify-worm` proved the bucket",
    )
    audit_kept_days: int = Field(
        2922,
        ge=1,
        le=36_525,
        description="how long leaves and checkpoints are locked: a year beyond the longest retention",
    )
    audit_bodies_days: int = Field(
        2557,
        ge=365,
        le=36_525,
        description="how long the details of audit entries are kept that tell of no recording: as long as "
        "recordings are at most; those of a recording go with it, after a year at least",
    )
    requests_days: int = Field(
        1826,
        ge=365,
        le=36_525,
        description="how long privacy requests are kept once they are closed: by default the five years "
        "after which a claim about an answer lapses (article 3:310 of the Dutch civil code)",
    )
    scrub_days: int = Field(
        30,
        ge=1,
        le=90,  # what is promised: every object is read again within 90 days
        description="days after which the worker reads a stored object again",
    )
    tsa_url: str = Field("", description="RFC 3161 time-stamping authority")
    tsa_certificates: Path | None = Field(
        None, description="authorities whose time stamps count, PEM; without it any that fits is kept"
    )
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="least level that is logged"
    )
    log_dir: Path | None = Field(None, description="directory of log files; without it, standard error")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the arguments, the environment, then secret files; from nowhere else."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, _SecretFiles(settings_cls)

    @property
    def sip_listeners(self) -> tuple[tuple[str, str, int], ...]:
        """Return `(transport, host, port)` of each SIP listener."""
        return parse_listeners(self.sip_listen)

    @property
    def rtp_port_range(self) -> tuple[int, int]:
        """Return the first and last port for media, both inclusive."""
        return parse_ports(self.rtp_ports)

    @property
    def portal_address_shown(self) -> str:
        """Return the portal's address as browsers see it: as set, else where it listens; no slash at its end.

        This machine is `localhost` there, for browsers know passkeys by a name.
        """
        if self.portal_url:
            return self.portal_url.rstrip("/")
        host, port = self.portal_address
        name = "localhost" if is_loopback(host) else f"[{host}]" if ":" in host else host
        return f"{'https' if self.portal_tls_cert else 'http'}://{name}:{port}"

    @property
    def portal_address(self) -> tuple[str, int]:
        """Return host and port of the portal."""
        return parse_address(self.portal_listen)

    def require(self, *names: str) -> None:
        """Raise Refused naming every setting of `names` that is empty."""
        missing = [f"{PREFIX}{name.upper()}" for name in names if not getattr(self, name)]
        if missing:
            raise Refused(
                f"Not set: {', '.join(missing)}. Set them, or use `earwitness up`; see docs/settings.md."
            )


def secret_names() -> tuple[str, ...]:
    """Return the fields that are secrets and may be given as files."""
    return tuple(
        name
        for name, field in Settings.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("secret")
    )


def load_settings(config: Path | None = None) -> Settings:
    """Return the settings of the environment and the TOML file `config`.

    Raises Refused with one line a setting when a value is wrong, a name unknown, or
    a file unreadable; values of secrets are never repeated in it.
    """
    given = {} if config is None else _read_toml(config)
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        raise Refused(_explain(error)) from None


def _read_toml(config: Path) -> dict[str, object]:
    try:
        values: dict[str, object] = tomllib.loads(
            read_small_file(config, TOML_FILE_SIZE_BYTES_MAX, "--config")
        )
    except tomllib.TOMLDecodeError as error:
        raise Refused(f"--config: {config} is not TOML: {error}.") from error
    # The environment wins over the file, and arguments would win over both.
    names = {f"{PREFIX}{name.upper()}": name for name in values}
    overruled = {name for variable, name in names.items() if os.environ.get(variable)}
    overruled |= {name for variable, name in names.items() if os.environ.get(f"{variable}_FILE")}
    return {name: value for name, value in values.items() if name not in overruled}


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        name = str(problem["loc"][0]) if problem["loc"] else "settings"
        known = name in Settings.model_fields
        reason = "the value is not accepted" if name in secret_names() else problem["msg"]
        lines.append(f"{PREFIX}{name.upper()}: {reason if known else 'there is no such setting'}.")
    return " ".join(lines)


def settings_table() -> list[tuple[str, str, str]]:
    """Return `(environment variable, default, help)` of every setting, as documented."""
    rows = []
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        default = "" if field.default_factory is not None or field.default is None else str(field.default)
        if isinstance(field.default, bool):
            default = default.lower()
        help_text = field.description or ""
        if extra.get("secret"):
            help_text += f" (secret; or a file named by `{PREFIX}{name.upper()}_FILE`)"
        rows.append((f"{PREFIX}{name.upper()}", str(extra.get("shown", default)), help_text))
    return rows


def settings_page() -> str:
    """Return the text of `docs/settings.md`."""
    rows = [
        f"| `{name}` | {f'`{default}`' if default else 'not set'} | {text} |"
        for name, default, text in settings_table()
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "Every role reads the same settings: environment variables, or a TOML file given by `--config`",
            "with the names below in lower case and without the prefix. The environment wins over the file.",
            "This page is made by `archive.settings.settings_page()`; a test compares them.",
            "",
            "| Environment variable | Default | Meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )
