"""Settings come from the environment, secret files and TOML, and wrong ones stop the start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archive import settings as settings_module
from archive.errors import Refused
from archive.settings import (
    SECRET_FILE_SIZE_BYTES_MAX,
    Settings,
    is_loopback,
    load_settings,
    parse_listeners,
    secret_names,
    settings_page,
    settings_table,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("EARWITNESS_"):
            monkeypatch.delenv(name)


def test_the_documented_table_is_what_the_program_knows() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == settings_page()


def test_every_setting_of_the_contract_exists() -> None:
    promised = """DATABASE_URL S3_ENDPOINT S3_BUCKET S3_ACCESS_KEY S3_SECRET_KEY S3_REGION KEYRING SIP_LISTEN
        SIP_TLS_CERT SIP_TLS_KEY SIP_TLS_CLIENT_CA RTP_ADDRESS RTP_PORTS PORTAL_LISTEN PORTAL_URL PORTAL_TLS_CERT
        PORTAL_TLS_KEY PORTAL_PROXY SMTP_URL JOURNAL_DIR TSA_URL LOG_LEVEL"""
    known = {name for name, _, _ in settings_table()}
    assert known.issuperset(f"EARWITNESS_{name}" for name in promised.split())
    assert all(help_text for _, _, help_text in settings_table())


def test_without_anything_set_the_defaults_hold() -> None:
    settings = load_settings()
    assert settings.sip_listeners == (("udp", "127.0.0.1", 5060), ("tcp", "127.0.0.1", 5060))
    assert settings.rtp_port_range == (20000, 29999)
    assert settings.portal_address == ("127.0.0.1", 8080)
    assert settings.capture_processes >= 1
    assert settings.s3_lock is True


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "earwitness.toml"
    config.write_text('s3_bucket = "from-file"\nlog_level = "DEBUG"\nhold_back_s = 1.5\n')
    monkeypatch.setenv("EARWITNESS_S3_BUCKET", "from-environment")
    settings = load_settings(config)
    assert (settings.s3_bucket, settings.log_level, settings.hold_back_s) == (
        "from-environment",
        "DEBUG",
        1.5,
    )


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARWITNESS_S3_BUCKET", "")
    assert load_settings().s3_bucket == "earwitness"


def test_a_secret_may_stand_in_a_file_and_wins_over_toml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(" geheim \r\n")
    config = tmp_path / "earwitness.toml"
    config.write_text('s3_secret_key = "other"\n')
    monkeypatch.setenv("EARWITNESS_S3_SECRET_KEY_FILE", str(secret))
    assert load_settings(config).s3_secret_key == " geheim "


def test_a_secret_given_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARWITNESS_S3_SECRET_KEY", "one")
    monkeypatch.setenv("EARWITNESS_S3_SECRET_KEY_FILE", str(tmp_path / "two"))
    with pytest.raises(Refused, match="leave out one"):
        load_settings()


@pytest.mark.parametrize("extra", [0, 1])
def test_a_secret_file_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: int) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"x" * (SECRET_FILE_SIZE_BYTES_MAX + extra))
    monkeypatch.setenv("EARWITNESS_KEYRING_PASSPHRASE_FILE", str(secret))
    if extra:
        with pytest.raises(Refused, match="larger than"):
            load_settings()
    else:
        assert len(load_settings().keyring_passphrase) == SECRET_FILE_SIZE_BYTES_MAX


def test_a_missing_secret_file_names_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARWITNESS_SMTP_URL_FILE", str(tmp_path / "absent"))
    with pytest.raises(Refused, match="EARWITNESS_SMTP_URL_FILE"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIP_LISTEN", "127.0.0.1"),
        ("SIP_LISTEN", "::1:5060"),
        ("SIP_LISTEN", "127.0.0.1:65536"),
        ("RTP_PORTS", "30000-20000"),
        ("RTP_PORTS", "20000"),
        ("PORTAL_LISTEN", "localhost"),
        ("PORTAL_PROXY", "10.0.0.300"),
        ("KEY_STORE", "postgresql://x"),
        ("LOG_LEVEL", "LOUD"),
        ("HOLD_BACK_S", "2.1"),
        ("CAPTURE_PROCESSES", "0"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_setting(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"EARWITNESS_{name}", value)
    with pytest.raises(Refused, match=f"EARWITNESS_{name}"):
        load_settings()


def test_an_unknown_name_in_the_file_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "earwitness.toml"
    config.write_text('s3_buckket = "x"\n')
    with pytest.raises(Refused, match="EARWITNESS_S3_BUCKKET: there is no such setting"):
        load_settings(config)


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "earwitness.toml"
    config.write_text("s3_bucket: x\n")
    with pytest.raises(Refused, match="not TOML"):
        load_settings(config)


def test_a_wrong_secret_is_not_repeated(tmp_path: Path) -> None:
    config = tmp_path / "earwitness.toml"
    config.write_text("s3_secret_key = 8472913\n")
    with pytest.raises(Refused) as refusal:
        load_settings(config)
    assert "8472913" not in str(refusal.value)


def test_secrets_do_not_show() -> None:
    settings = Settings(database_url="postgresql://u:hemelblauw@/d", s3_secret_key="hemelblauw")
    assert "hemelblauw" not in repr(settings)
    assert "hemelblauw" not in str(settings)
    assert set(secret_names()) >= {"database_url", "s3_secret_key", "keyring_passphrase"}


def test_listeners_name_transport_and_address_family() -> None:
    assert parse_listeners("udp:[::1]:5060, tls:10.0.0.1:5061,10.0.0.2:5062") == (
        ("udp", "::1", 5060),
        ("tls", "10.0.0.1", 5061),
        ("udp", "10.0.0.2", 5062),
        ("tcp", "10.0.0.2", 5062),
    )


def test_a_listener_that_names_its_transport_may_leave_the_port_out() -> None:
    """RFC 3261 section 19.1.2: 5061 for TLS, else 5060."""
    assert parse_listeners(
        "tls:192.0.2.1, TLS:[2001:db8::1],tcp:192.0.2.2,tls:[::1]:5071,udp:sip.example"
    ) == (
        ("tls", "192.0.2.1", 5061),
        ("tls", "2001:db8::1", 5061),
        ("tcp", "192.0.2.2", 5060),
        ("tls", "::1", 5071),
        ("udp", "sip.example", 5060),
    )


@pytest.mark.parametrize("text", ["tls:5061", "tls:", "tls", "tls:::1", "192.0.2.1", "tls:192.0.2.1:99999"])
def test_a_listener_without_a_host_or_with_half_an_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"names no host|HOST:PORT|brackets"):
        parse_listeners(text)


@pytest.mark.parametrize("text", ["", " ", ",", " , "])
def test_a_list_of_listeners_has_at_least_one(text: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        parse_listeners(text)


def test_what_a_role_needs_and_lacks_is_named() -> None:
    with pytest.raises(Refused, match="EARWITNESS_DATABASE_URL, EARWITNESS_S3_ENDPOINT"):
        Settings().require("database_url", "s3_endpoint", "s3_bucket")


def test_the_settings_module_says_what_a_too_large_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_module, "TOML_FILE_SIZE_BYTES_MAX", 10)
    config = tmp_path / "earwitness.toml"
    config.write_text('s3_bucket = "x"\n')
    with pytest.raises(Refused, match="larger than 10 bytes"):
        load_settings(config)


@pytest.mark.parametrize(
    ("listen", "shown"),
    [
        ("127.0.0.1:8080", "http://localhost:8080"),
        ("[::1]:80", "http://localhost:80"),
        ("localhost:1", "http://localhost:1"),
        ("192.0.2.1:8443", "http://192.0.2.1:8443"),
        ("[2001:db8::1]:8443", "http://[2001:db8::1]:8443"),
    ],
)
def test_browsers_find_the_portal_where_it_listens_unless_its_address_is_set(listen: str, shown: str) -> None:
    """This machine is `localhost`: browsers bind passkeys to names, and to no address."""
    assert Settings(portal_listen=listen).portal_address_shown == shown
    certificate = {"portal_tls_cert": Path("c"), "portal_tls_key": Path("k")}
    assert Settings(portal_listen=listen, **certificate).portal_address_shown == shown.replace(
        "http", "https"
    )
    assert (
        Settings(portal_listen=listen, portal_url="https://p.example/").portal_address_shown
        == "https://p.example"
    )


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://portal.example", "clear text"),
        ("http://192.0.2.1:8080", "clear text"),
        ("http://127.0.0.1.example", "clear text"),
        ("ftp://portal.example", "not an address"),
        ("portal.example", "not an address"),
        ("https://", "not an address"),
        ("https://me:secret@portal.example", "not an address"),
        ("https://portal.example/recordings", "ends behind"),
        ("https://portal.example?x=1", "ends behind"),
    ],
)
def test_an_address_in_clear_text_or_of_a_part_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str, fault: str
) -> None:
    """Links in mails and passkeys lead there; `http` only on this machine."""
    monkeypatch.setenv("EARWITNESS_PORTAL_URL", url)
    with pytest.raises(Refused, match=f"EARWITNESS_PORTAL_URL.*{fault}"):
        load_settings()
    for good in (
        "https://portal.example",
        "http://localhost:8080/",
        "http://127.0.0.1:8080",
        "http://[::1]:1",
    ):
        monkeypatch.setenv("EARWITNESS_PORTAL_URL", good)
        assert load_settings().portal_url == good


def test_a_name_that_only_looks_like_loopback_is_none() -> None:
    assert not is_loopback("127.0.0.1.example")
    assert not is_loopback("")
    assert is_loopback("::ffff:127.0.0.1")
