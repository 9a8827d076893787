"""Who is meant: SIP URIs (RFC 3261 section 19.1) and name-addr values (section 20.10).

Rules: `parse` refuses what can't be read, `read` takes what it can get from the same
text so that a defective request can still be judged and answered. Other schemes
(tel, urn:service) stay text. Not here: telephone numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from recorder.errors import PeerViolation
from recorder.sip.grammar import (
    PORT_MAX,
    QUOTED,
    Parameters,
    format_parameters,
    parameter,
    parse_parameters,
    unquote,
)

_SIP_URI = re.compile(
    r"(?P<scheme>sips?):(?:(?P<user>[^@]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.\-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<parameters>;[^?]*)?(?P<headers>\?.*)?",
    re.IGNORECASE | re.DOTALL,
)
_TAG = re.compile(r";\s*tag\s*=\s*([A-Za-z0-9\-.!%*_+`'~]+)", re.IGNORECASE)


class MalformedAddress(PeerViolation):
    """A URI or name-addr that RFC 3261 section 25 does not generate."""


@dataclass(frozen=True)
class SipUri:
    """A `sip:` or `sips:` URI; `host` of an IPv6 reference is without brackets."""

    scheme: str
    user: str | None
    host: str
    port: int | None
    parameters: Parameters = ()
    headers: str = ""

    @classmethod
    def parse(cls, text: str) -> SipUri:
        """Read a URI; raises MalformedAddress."""
        match = _SIP_URI.fullmatch(text.strip())
        port = int(match["port"]) if match and match["port"] else None
        if match is None or (port is not None and not 0 < port <= PORT_MAX):
            raise MalformedAddress("The peer sent something that is no SIP URI where one is needed.")
        return cls(
            scheme=match["scheme"].lower(),
            user=match["user"],
            host=match["host"].strip("[]").lower(),
            port=port,
            parameters=parse_parameters(match["parameters"] or ""),
            headers=(match["headers"] or "")[1:],
        )

    def parameter(self, name: str) -> str | None:
        """Return a URI parameter: None when absent, "" for a flag such as `lr`."""
        return parameter(self.parameters, name)

    def __str__(self) -> str:
        """Write the URI as it stands in a Request-URI or Route."""
        user = "" if self.user is None else f"{self.user}@"
        port = "" if self.port is None else f":{self.port}"
        headers = f"?{self.headers}" if self.headers else ""
        return (
            f"{self.scheme}:{user}{bracketed(self.host)}{port}{format_parameters(self.parameters)}{headers}"
        )


@dataclass(frozen=True)
class NameAddress:
    """A display name, the URI as text, and the header parameters of From, To, Contact or Route."""

    name: str
    uri: str
    parameters: Parameters = ()

    @classmethod
    def parse(cls, text: str) -> NameAddress:
        """Read `"name" <uri>;parameters` or `uri;parameters`; raises MalformedAddress."""
        text = text.strip()
        name, rest = "", text
        if text.startswith('"'):
            match = QUOTED.match(text)
            if match is None:
                raise MalformedAddress("The peer sent a display name whose quotation mark is never closed.")
            name, rest = unquote(match.group()), text[match.end() :].lstrip()
            if not rest.startswith("<"):
                raise MalformedAddress(
                    "The peer sent a display name that no address in angle brackets follows."
                )
        before, opening, after = rest.partition("<")
        if not opening:
            uri, _, parameters = rest.partition(";")
            return cls._checked("", uri, parameters)
        uri, closing, parameters = after.partition(">")
        if not closing:
            raise MalformedAddress("The peer sent an address whose angle bracket is never closed.")
        return cls._checked(name or before.strip(), uri, parameters.strip().removeprefix(";"))

    @classmethod
    def _checked(cls, name: str, uri: str, parameters: str) -> NameAddress:
        uri = uri.strip()
        if uri != "*" and not re.match(r"[A-Za-z][A-Za-z0-9+.\-]*:\S", uri):
            raise MalformedAddress("The peer sent an address without a URI.")
        return cls(name, uri, parse_parameters(parameters))

    @classmethod
    def read(cls, text: str) -> NameAddress:
        """Read as much as can be read: at worst the whole text as URI, with the tag if one shows."""
        try:
            return cls.parse(text)
        except MalformedAddress:
            match = _TAG.search(text)
            return cls("", text.strip(), (("tag", match[1]),) if match else ())

    @property
    def tag(self) -> str:
        """The dialog tag; "" when there is none, as RFC 2543 peers leave it out."""
        return parameter(self.parameters, "tag") or ""

    @property
    def sip_uri(self) -> SipUri | None:
        """The URI when it is a readable SIP URI."""
        try:
            return SipUri.parse(self.uri)
        except MalformedAddress:
            return None

    def parameter(self, name: str) -> str | None:
        """Return a header parameter or feature tag: None when absent, "" for a flag."""
        return parameter(self.parameters, name)


def is_sips(uri: str) -> bool:
    """Return whether a URI asks for TLS on every hop (RFC 3261 section 26.2.2)."""
    return uri.partition(":")[0].lower() == "sips"


def bracketed(host: str) -> str:
    """Return a host as it stands in a URI: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host
