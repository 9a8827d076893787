"""Clear text stays on this machine, or goes to the proxy that was named."""

import ipaddress

import pytest

from archive.errors import Refused
from archive.settings import Settings
from playback_portal.exposure import Exposure, exposure_of, own_address

PROXY = ipaddress.ip_network("10.1.0.0/24")


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "127.9.9.9:1", "[::1]:8080", "localhost:8080"])
def test_loopback_needs_nothing_more(address: str) -> None:
    assert exposure_of(Settings(portal_listen=address)) == Exposure()


@pytest.mark.parametrize("address", ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:80", "portal.example:80", ":80"])
def test_a_network_needs_tls_or_a_proxy(address: str) -> None:
    with pytest.raises(Refused, match="PORTAL_TLS_CERT and _KEY, or EARWITNESS_PORTAL_PROXY"):
        exposure_of(Settings(portal_listen=address))
    assert exposure_of(Settings(portal_listen=address, portal_tls_cert="c", portal_tls_key="k")).tls
    assert exposure_of(Settings(portal_listen=address, portal_proxy="10.1.0.0/24")).proxy == PROXY


def test_half_a_certificate_is_refused() -> None:
    with pytest.raises(Refused, match="belong together"):
        exposure_of(Settings(portal_tls_cert="c"))


@pytest.mark.parametrize(
    ("remote", "admitted"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.1.0.9", True),
        ("::ffff:10.1.0.9", True),
        ("10.1.1.9", False),
        (None, False),
        ("", False),
        ("fe80::1%eth0", False),
    ],
)
def test_behind_a_proxy_only_the_proxy_and_this_machine_are_answered(
    remote: str | None, admitted: bool
) -> None:
    assert Exposure(proxy=PROXY).admits(remote) is admitted
    assert Exposure(tls=True).admits(remote)


def test_the_forwarded_address_is_believed_from_the_proxy_alone() -> None:
    exposure = Exposure(proxy=PROXY)
    assert exposure.client_address("10.1.0.9", "203.0.113.1, 198.51.100.2") == "198.51.100.2"
    assert exposure.client_address("127.0.0.1", "203.0.113.1") == "127.0.0.1"
    assert exposure.client_address("10.1.0.9", "<script>") == "10.1.0.9"
    assert exposure.client_address(None, None) == "unknown"


@pytest.mark.parametrize(
    ("url", "asked", "own"),
    [
        (
            "http://localhost:8080",
            "http://127.0.0.1:8080/sign-in?next=/x",
            "http://localhost:8080/sign-in?next=/x",
        ),
        ("http://localhost:8080", "http://[::1]:8080/sign-in", "http://localhost:8080/sign-in"),
        ("http://localhost:8080", "http://localhost:8080/sign-in", None),
        ("http://localhost:8080", "http://127.0.0.1:9090/sign-in", None),
        ("http://localhost:8080", "http://evil.example:8080/sign-in", None),
        ("https://portal.example", "https://127.0.0.1/sign-in", None),
    ],
)
def test_this_machine_by_another_name_is_led_to_the_name_passkeys_know(
    url: str, asked: str, own: str | None
) -> None:
    assert own_address(url, asked) == own
