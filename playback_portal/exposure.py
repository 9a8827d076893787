"""Who may reach the portal in clear text: this machine, and the proxy it was told of.

Audio and API keys never cross a network unencrypted. The portal speaks TLS itself,
or sits behind a proxy named in the settings; else it listens on loopback only.

Rules: pure. Forwarding headers are believed from the proxy's addresses alone.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from archive.errors import Refused
from archive.settings import Settings, is_loopback

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Exposure:
    """How the portal is reached: by TLS, through a proxy, or on loopback alone."""

    tls: bool = False
    proxy: Network | None = None

    def admits(self, remote: str | None) -> bool:
        """Return whether a connection from the address `remote` may speak to us."""
        return self.tls or is_loopback(remote or "") or self._is_proxy(remote)

    def came_by_tls(self, remote: str | None, forwarded_proto: str | None) -> bool:
        """Return whether a browser's request came by TLS: to us, or to the proxy, which says so."""
        told = (forwarded_proto or "").rpartition(",")[2].strip().lower()
        return self.tls or (self._is_proxy(remote) and told == "https")

    def client_address(self, remote: str | None, forwarded_for: str | None) -> str:
        """Return the address of who asks: the last one the proxy added, or the connection's own."""
        if forwarded_for is not None and self._is_proxy(remote):
            last = forwarded_for.rpartition(",")[2].strip()
            if _address(last) is not None:
                return last
        return remote or "unknown"

    def _is_proxy(self, remote: str | None) -> bool:
        address = _address(remote or "")
        return self.proxy is not None and address is not None and address in self.proxy


def exposure_of(settings: Settings) -> Exposure:
    """Return how the portal may be reached; raises Refused when it would serve clear text to a network."""
    host, _ = settings.portal_address
    if (settings.portal_tls_cert is None) != (settings.portal_tls_key is None):
        raise Refused("EARWITNESS_PORTAL_TLS_CERT and EARWITNESS_PORTAL_TLS_KEY belong together: set both.")
    tls = settings.portal_tls_cert is not None
    proxy = ipaddress.ip_network(settings.portal_proxy) if settings.portal_proxy else None
    if not (tls or proxy or is_loopback(host)):
        raise Refused(
            f"EARWITNESS_PORTAL_LISTEN is {settings.portal_listen}: not loopback, and there is no TLS. "
            "Set EARWITNESS_PORTAL_TLS_CERT and _KEY, or EARWITNESS_PORTAL_PROXY for a proxy that speaks TLS."
        )
    return Exposure(tls, proxy)


def own_address(url: str, asked: str) -> str | None:
    """Return the same page at the portal's own address when `asked` names this machine in another way.

    Passkeys are bound to a name: who opened 127.0.0.1 goes on at localhost.
    """
    own, here = urlsplit(url), urlsplit(asked)
    other_name = own.hostname != here.hostname and (own.scheme, own.port) == (here.scheme, here.port)
    if not (other_name and is_loopback(own.hostname or "") and is_loopback(here.hostname or "")):
        return None
    return here._replace(netloc=own.netloc).geturl()


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
