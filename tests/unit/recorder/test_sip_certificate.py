"""What is taken for the certificate of SIP, what is refused, and what is said then."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from archive.errors import Refused
from archive.settings import Settings
from recorder.sip_certificate import CertificateFiles, SipCertificate, certificate_of
from tests.certificates import Authority, Issued

NOW = datetime.now(UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def settings(issued: Issued | None = None, **given: object) -> Settings:
    own = {} if issued is None else {"sip_tls_cert": issued.chain, "sip_tls_key": issued.key}
    return Settings(**{"sip_listen": "127.0.0.1:5060,tls:127.0.0.1", **own, **given})


def refused_at(given: Settings, now: datetime) -> str:
    with pytest.raises(Refused) as refused:
        certificate_of(given, now)
    return str(refused.value)


def refusal(issued: Issued | None = None, **given: object) -> str:
    return refused_at(settings(issued, **given), NOW)


def test_a_pair_is_taken_and_its_end_known(authority: Authority) -> None:
    """The end is that of the certificate that ends first, and TLS is 1.2 at least."""
    issued = authority.issue("recorder")
    certificate = certificate_of(settings(issued), NOW)
    assert certificate is not None
    assert certificate.ends_at == issued.ends_at
    assert certificate.server.verify_mode is ssl.CERT_NONE
    assert certificate.server.minimum_version is ssl.TLSVersion.TLSv1_2
    assert certificate.server.num_tickets == 0


def test_authorities_of_clients_make_both_sides_show_one(authority: Authority) -> None:
    """Ours too, in a connection we open; there no host name is compared, for an address has none."""
    certificate = certificate_of(settings(authority.issue("recorder"), sip_tls_client_ca=authority.file), NOW)
    assert certificate is not None
    assert certificate.server.verify_mode is ssl.CERT_REQUIRED
    assert certificate.client.verify_mode is ssl.CERT_REQUIRED


def test_no_cipher_without_forward_secrecy_is_offered(authority: Authority) -> None:
    certificate = certificate_of(settings(authority.issue("recorder")), NOW)
    assert certificate is not None
    names = {each["name"] for each in certificate.server.get_ciphers()}
    assert names
    assert all(name.startswith(("TLS_", "ECDHE-")) and "CBC" not in name for name in names)
    assert not any(name.endswith("SHA") for name in names)


def test_without_a_tls_listener_there_is_no_certificate_and_who_set_one_is_told(authority: Authority) -> None:
    """Nothing listens then, and a certificate that is there looks as if it did."""
    assert certificate_of(settings(sip_listen="127.0.0.1:5060"), NOW) is None
    with capture_logs() as logs:
        assert certificate_of(settings(authority.issue("recorder"), sip_listen="127.0.0.1:5060"), NOW) is None
    assert "no tls listener" in logs[0]["event"]


def test_settings_that_belong_together_are_missed_by_name(authority: Authority) -> None:
    issued = authority.issue("recorder")
    assert "EARWITNESS_SIP_TLS_CERT and EARWITNESS_SIP_TLS_KEY belong together" in refusal(
        issued, sip_tls_key=None
    )
    assert "belong together" in refusal(issued, sip_tls_cert=None)
    assert "EARWITNESS_SIP_LISTEN names a tls listener" in refusal()
    assert "EARWITNESS_SIP_TLS_CLIENT_CA" in refusal(
        sip_listen="127.0.0.1:5060", sip_tls_client_ca=authority.file
    )


def test_files_that_cannot_be_used_are_refused_by_name_and_with_what_to_do(
    authority: Authority, tmp_path: Path
) -> None:
    """No answer is an exception of OpenSSL, and nobody is asked for a passphrase."""
    issued, other = authority.issue("recorder"), authority.issue("other")
    noise, missing = tmp_path / "noise", tmp_path / "missing"
    noise.write_bytes(b"\x00\xff" * 1000)
    told = refusal(issued, sip_tls_cert=missing)
    assert told.startswith(f"EARWITNESS_SIP_TLS_CERT: {missing} can't be read (No such file")
    assert refusal(issued, sip_tls_key=tmp_path).startswith("EARWITNESS_SIP_TLS_KEY: ")
    assert "holds no certificates in PEM" in refusal(issued, sip_tls_cert=noise)
    assert "holds no certificates in PEM" in refusal(issued, sip_tls_cert=issued.key)
    assert "holds no private key in PEM" in refusal(issued, sip_tls_key=noise)
    assert "holds no private key in PEM" in refusal(issued, sip_tls_key=issued.chain)
    assert "are no pair" in refusal(issued, sip_tls_key=other.key)
    assert refusal(issued, sip_tls_client_ca=noise).startswith("EARWITNESS_SIP_TLS_CLIENT_CA: ")
    assert "is sealed by a passphrase" in refusal(authority.issue("sealed", passphrase=b"secret"))


def test_a_certificate_that_ended_is_refused_with_the_day(authority: Authority) -> None:
    ended = authority.issue("recorder", begins=-timedelta(days=9), ends=-timedelta(days=2))
    told = refusal(ended)
    assert f"ended on {(NOW - timedelta(days=2)).date()}" in told
    assert "Put a renewed one there" in told


def test_a_recorder_starts_again_with_the_certificate_it_ran_with_after_its_end(
    authority: Authority, tmp_path: Path
) -> None:
    """Calls by UDP, and those that run, must not be lost for it; it is an alarm, and a new one is taken."""
    issued, later = authority.issue("recorder"), NOW + timedelta(days=40)
    (tmp_path / "journal").mkdir()
    given = settings(issued, journal_dir=tmp_path / "journal")
    running = certificate_of(given, NOW)
    assert running is not None
    assert "ended on" in refused_at(given, later)
    running.remember()
    with capture_logs() as logs:
        again = certificate_of(given, later)
    assert "ALARM: the certificate of SIP ended" in logs[0]["event"]
    authority.issue("recorder", ends=timedelta(days=39))
    assert "ended on" in refused_at(given, later)
    assert again is not None
    again.renew(later)
    with pytest.raises(Refused, match="ended on"):
        again.renew(later)
    authority.issue("recorder", ends=timedelta(days=60))
    assert [again.renew(later) for _ in range(2)] == [False, True]
    with capture_logs() as logs:
        assert certificate_of(given, NOW + timedelta(days=70)) is not None
    assert logs[0]["log_level"] == "error"


def test_what_cannot_be_noted_stops_nothing(authority: Authority, tmp_path: Path) -> None:
    running = certificate_of(settings(authority.issue("recorder"), journal_dir=tmp_path / "none"), NOW)
    assert running is not None
    with capture_logs() as logs:
        running.remember()
    assert "can't be noted" in logs[0]["event"]


def test_one_that_is_not_valid_yet_is_taken_and_complained_of(authority: Authority) -> None:
    """A machine that started without a network may be behind; its clock comes right, and calls go on."""
    early = authority.issue("recorder", begins=timedelta(hours=1))
    with capture_logs() as logs:
        assert certificate_of(settings(early), NOW) is not None
    assert "not valid yet" in logs[0]["event"]


def test_a_renewed_pair_is_taken_once_it_rests(authority: Authority) -> None:
    """At the second look that finds it, and never again."""
    issued = authority.issue("recorder")
    certificate = SipCertificate(CertificateFiles(issued.chain, issued.key), NOW)
    before = certificate.server
    assert not certificate.renew(NOW)
    renewed = authority.issue("recorder", ends=timedelta(days=60))
    assert [certificate.renew(NOW) for _ in range(3)] == [False, True, False]
    assert certificate.ends_at == renewed.ends_at
    assert certificate.server is not before


def test_a_pair_of_which_one_half_is_written_changes_nothing(authority: Authority) -> None:
    """It is told once, and the other half is waited for."""
    issued, other = authority.issue("recorder"), authority.issue("other", ends=timedelta(days=60))
    files = CertificateFiles(issued.chain, issued.key, authority.file)
    certificate = SipCertificate(files, NOW)
    before = certificate.server, certificate.client, certificate.ends_at
    issued.chain.write_bytes(other.chain.read_bytes())
    assert not certificate.renew(NOW)
    with pytest.raises(Refused, match="no pair"):
        certificate.renew(NOW)
    assert not certificate.renew(NOW)
    assert (certificate.server, certificate.client, certificate.ends_at) == before
    issued.key.write_bytes(other.key.read_bytes())
    assert [certificate.renew(NOW) for _ in range(2)] == [False, True]
    assert certificate.ends_at == other.ends_at


def test_what_is_worse_than_what_is_in_use_is_not_taken(authority: Authority) -> None:
    """One that ended already, and no file at all."""
    issued = authority.issue("recorder")
    certificate = SipCertificate(CertificateFiles(issued.chain, issued.key), NOW)
    authority.issue("recorder", begins=-timedelta(days=9), ends=-timedelta(days=1))
    certificate.renew(NOW)
    with pytest.raises(Refused, match="ended on"):
        certificate.renew(NOW)
    issued.chain.unlink()
    certificate.renew(NOW)
    with pytest.raises(Refused, match="can't be read"):
        certificate.renew(NOW)
    assert certificate.ends_at == issued.ends_at


def test_authorities_that_changed_are_taken_too(authority: Authority, tmp_path: Path) -> None:
    issued, other = authority.issue("recorder"), Authority(tmp_path, "other")
    certificate = SipCertificate(CertificateFiles(issued.chain, issued.key, authority.file), NOW)
    authority.file.write_bytes(other.file.read_bytes())
    assert [certificate.renew(NOW) for _ in range(2)] == [False, True]
    (known,) = certificate.server.get_ca_certs()
    assert dict(pair[0] for pair in known["subject"])["commonName"] == "other"
