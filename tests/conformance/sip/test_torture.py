"""Messages in the spirit of RFC 4475, each with who must refuse it, and how: written here, none left out.

Every message goes through a whole `UserAgentServer`. `None` as expected status means
that the transaction user decides; a number is what the agent answers or objects with;
`SILENCE` is a message nobody may answer. The names are those of the RFC's sections.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from recorder.sip.capability import Identity
from recorder.sip.event import CapabilitiesAsked, InvitationReceived
from recorder.sip.message import Flow, Response
from recorder.sip.parser import parse
from recorder.sip.user_agent import UserAgentServer

UDP = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.2", 5060))
SILENCE = -1


@dataclass(frozen=True)
class Torture:
    """One message, and the status it deserves."""

    name: str
    text: str
    status: int | None

    @property
    def data(self) -> bytes:
        return self.text.lstrip("\n").replace("\n", "\r\n").encode("utf-8", "surrogateescape")


def plain(
    method: str = "OPTIONS",
    uri: str = "sip:srs@192.0.2.1",
    *,
    version: str = "SIP/2.0",
    via: str = "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKt",
    sender: str = "<sip:src@example.com>;tag=1",
    to: str = "<sip:srs@example.com>",
    cseq: str | None = None,
    more: str = "",
    body: str = "",
    length: str | None = None,
) -> str:
    return (
        f"{method} {uri} {version}\nVia: {via}\nMax-Forwards: 70\nFrom: {sender}\nTo: {to}\nCall-ID: torture\n"
        f"CSeq: {cseq or f'1 {method}'}\nContact: <sip:src@192.0.2.2>\n{more}"
        f"Content-Length: {length if length is not None else len(body.replace(chr(10), '  '))}\n\n{body}"
    )


VALID = [
    Torture(
        "a short tortuous INVITE",
        """
INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
TO :
 sip:vivekg@chair-dnrc.example.com
From   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: wsinv.ndaksdj@192.0.2.1
Content-Length   : 8
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.2;branch=z9hG4bKwsinv-1
s :
NewFangledHeader:   newfangled value
 continued newfangled value
UnknownHeaderWithUnusualValue: ;;,,;;,;
Content-Type: application/sdp
Route:
 <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
v:  SIP  / 2.0  / TCP     spindle.example.com   ;
  branch  =   z9hG4bK9ikj8  ,
 SIP  /    2.0   / UDP  192.168.255.111   ; branch=
 z9hG4bK30239
m:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =
      newvalue ;
  secondparam ; q = 0.33

v=0
o=m""",
        None,
    ),
    Torture(
        "wide range of valid characters",
        plain(
            "!interesting-Method0123456789_*+`.%indeed'~",
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com",
        ),
        501,
    ),
    Torture("valid use of the % escape", plain("INVITE", "sip:sips%3Auser%40example.com@example.net"), None),
    Torture("escaped nulls in URIs", plain("INVITE", "sip:null-%00-null@example.com"), None),
    Torture("use of % when it is not an escape", plain("RE%47IST%45R"), 501),
    Torture(
        "message with no space between display name and <",
        plain(sender="caller<sip:caller@example.com>;tag=323"),
        None,
    ),
    Torture(
        "long values in header fields",
        plain(
            "INVITE",
            sender='"' + "long name " * 60 + '" <sip:' + "user" * 100 + f"@example.com>;tag={'t' * 300}",
            more="".join(f"Via: SIP/2.0/TCP sip{n}.example.com;branch=z9hG4bK{n}\n" for n in range(1, 40)),
        ),
        None,
    ),
    Torture(
        "extra trailing octets in a UDP datagram", plain(length="0") + "INVITE sip:second SIP/2.0\n\n", None
    ),
    Torture(
        "semicolon-separated parameters in user part", plain(uri="sip:user;par=u%40example.net@x.com"), None
    ),
    Torture("varied transport types", plain(via="SIP/2.0/UNKNOWN t5.example.com;branch=z9hG4bKx"), None),
    Torture(
        "multipart MIME message",
        plain(
            "INVITE",
            more="Content-Type: multipart/mixed;boundary=7a9cbec02ceef655\n",
            body="--7a9cbec02ceef655\nContent-Type: text/plain\n\nHello\n--7a9cbec02ceef655--\n",
        ),
        None,
    ),
    Torture(
        "unusual reason phrase",
        "SIP/2.0 200 = 2**3 * 5**2 \u043d\u043e\n" + plain().partition("\n")[2],
        SILENCE,
    ),
    Torture("empty reason phrase", "SIP/2.0 100 \n" + plain().partition("\n")[2], SILENCE),
    Torture("octets of another encoding in a name", plain(sender='"Ren\udce9" <sip:a@b>;tag=1'), None),
    Torture("an address of IPv6", plain("INVITE", "sip:[2001:db8::10]:5070"), None),
    Torture("a Via of IPv6", plain(via="SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111"), None),
    Torture("an option tag twice", plain("INVITE", more="Require: siprec, siprec\nRequire: siprec\n"), None),
]

INVALID = [
    Torture("extraneous header field separators", plain("INVITE", via="SIP/2.0/UDP 192.0.2.2;;,;,,"), None),
    Torture("content length larger than message", plain("INVITE", length="9999"), 400),
    Torture("negative Content-Length", plain("INVITE", length="-999"), 400),
    Torture("two Content-Lengths", plain("INVITE", more="l: 0\n"), 400),
    Torture("request scalar fields with overlarge values", plain(cseq="36893488147419103232 OPTIONS"), 400),
    Torture("overlarge Max-Forwards", plain().replace("Max-Forwards: 70", "Max-Forwards: 300"), 400),
    Torture(
        "response scalar fields with overlarge values",
        "SIP/2.0 503 x\nCSeq: 9292394834772304023312 OPTIONS\n\n",
        SILENCE,
    ),
    Torture(
        "unterminated quoted string in display name",
        plain("INVITE", to='"Mr. J. User <sip:j.user@example.com>'),
        400,
    ),
    Torture("<> enclosing Request-URI", plain("INVITE", "<sip:user@example.com>"), 400),
    Torture("malformed SIP Request-URI with embedded LWS", plain("INVITE", "sip:user@example.com; lr"), 400),
    Torture("multiple SP separating Request-Line elements", plain("INVITE", "  sip:user@example.com  "), 400),
    Torture("SP characters at the end of the Request-Line", plain(version="SIP/2.0  "), None),
    Torture(
        "invalid time zone in Date header field",
        plain("INVITE", more="Date: Fri, 01 Jan 2010 16:00:00 EST\n"),
        None,
    ),
    Torture(
        "failure to enclose name-addr URI in <>",
        plain("INVITE", more="Refer-To: sip:user@example.com?Route=x\n"),
        None,
    ),
    Torture("spaces within addr-spec", plain(sender="<sip:t.watson@ example.org>;tag=1"), None),
    Torture(
        "non-token characters in display name",
        plain(sender="Bell, Alexander <sip:a.g.bell@example.com>;tag=43"),
        None,
    ),
    Torture("unknown protocol version", plain(version="SIP/7.0"), 505),
    Torture("start line and CSeq method mismatch", plain(cseq="8 INVITE"), 400),
    Torture("unknown method with CSeq method mismatch", plain("NEWMETHOD", cseq="8 INVITE"), 501),
    Torture("overlarge response code", "SIP/2.0 4294967301 better not break the receiver\n\n", SILENCE),
    Torture("no empty line at the end", plain().rstrip("\n") + "\n", 400),
    Torture("no Request-URI", plain(uri="").replace("  ", " ", 1), 400),
]

APPLICATION = [
    Torture("missing transaction identifier", plain(via="SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK"), None),
    Torture("a branch of RFC 2543", plain(via="SIP/2.0/UDP 192.0.2.2;branch=1"), None),
    Torture(
        "missing required header fields", "INVITE sip:a SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\n\n", 400
    ),
    Torture(
        "Request-URI with unknown scheme", plain("INVITE", "nobodyKnowsThisScheme:totallyopaquecontent"), 416
    ),
    Torture(
        "Request-URI with known but atypical scheme", plain("INVITE", "soap.beep://192.0.2.103:3002"), 416
    ),
    Torture(
        "unknown URI schemes in header fields", plain(to="isbn:2983792873", sender="http://x;tag=1"), None
    ),
    Torture(
        "Proxy-Require and Require",
        plain(more="Require: nothingSupportsThis, nothingSupportsThisEither\n"),
        420,
    ),
    Torture(
        "unknown Content-Type",
        plain("INVITE", more="Content-Type: application/unknownformat\n", body="x"),
        None,
    ),
    Torture("unknown Content-Encoding", plain("INVITE", more="Content-Encoding: gzip\n", body="x"), 415),
    Torture(
        "multiple values in single value required fields",
        plain("INVITE", more="CSeq: 2 INVITE\nTo: <sip:b@c>\n"),
        400,
    ),
    Torture(
        "200 OK response with broadcast Via",
        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1\nCSeq: 1 OPTIONS\n\n",
        SILENCE,
    ),
    Torture("Max-Forwards of zero", plain().replace("Max-Forwards: 70", "Max-Forwards: 0"), None),
    Torture("REGISTER with a contact", plain("REGISTER", more="Contact: <sip:+1972?Route=%3C>\n"), 405),
    Torture(
        "INVITE from a user agent of RFC 2543",
        "INVITE sip:u@c SIP/2.0\nVia: SIP/2.0/UDP iftgw.example.com\nFrom: <sip:+1@x;user=phone>\nTo: sip:+2@y\nCall-ID: i\nCSeq: 56 INVITE\n\n",
        None,
    ),
    Torture("an ACK to nothing", plain("ACK"), SILENCE),
    Torture("a CANCEL of nothing", plain("CANCEL"), 481),
    Torture("a BYE to nothing", plain("BYE", to="<sip:a@b>;tag=nobody"), 481),
    Torture("an INVITE in a dialog unknown", plain("INVITE", to="<sip:a@b>;tag=nobody"), 481),
]


def outcome(data: bytes) -> int | None:
    """Return what one agent makes of one message, as `Torture.status` says it."""
    agent = UserAgentServer(Identity(), random.Random(4475).randbytes)
    agent.receive(data, UDP, 0.0)
    event = agent.next_event()
    if isinstance(event, InvitationReceived):
        return event.objection.status if event.objection else None
    if isinstance(event, CapabilitiesAsked):
        return None
    statuses = [int(sent.split(b" ", 2)[1]) for _, sent in agent.datagrams_to_send()]
    return statuses[-1] if statuses else SILENCE


@pytest.mark.parametrize("torture", [*VALID, *INVALID, *APPLICATION], ids=lambda torture: torture.name)
def test_every_message_is_refused_where_it_deserves_it_and_nowhere_else(torture: Torture) -> None:
    assert outcome(torture.data) == torture.status


@pytest.mark.parametrize(
    "torture",
    [
        item
        for item in (*VALID, *INVALID, *APPLICATION)
        if item.data.startswith(b"INVITE") and item.status != 481
    ],
    ids=lambda torture: torture.name,
)
def test_every_invite_can_be_answered_200_in_spite_of_what_is_wrong_with_it(torture: Torture) -> None:
    """It may be an emergency call, and a refusal could make a fail-closed client drop it."""
    agent = UserAgentServer(Identity(), random.Random(4475).randbytes)
    agent.receive(torture.data, UDP, 0.0)
    event = agent.next_event()
    assert isinstance(event, InvitationReceived)
    assert agent.respond(event.key, 200, now=0.0) == event.dialog_id
    assert agent.datagrams_to_send()[-1][1].startswith(b"SIP/2.0 200 OK\r\n")


def test_the_tortuous_invite_is_understood() -> None:
    agent = UserAgentServer(Identity(), random.Random(4475).randbytes)
    agent.receive(VALID[0].data, UDP, 0.0)
    event = agent.next_event()
    assert isinstance(event, InvitationReceived)
    request = event.request
    assert request.from_address.name == 'J Rosenberg \\"'
    assert request.from_address.tag == "98asjd8"
    assert (request.cseq.number, request.body) == (9, b"v=0\r\no=m")
    assert request.headers.first("NewFangledHeader") == "newfangled value continued newfangled value"
    assert len(request.headers.values("Via")) == 3
    assert request.contact.uri == "sip:jdrosen@example.com"


def test_every_answer_can_be_read_again() -> None:
    readable = [torture for torture in (*VALID, *INVALID, *APPLICATION) if torture.status != 400]
    for torture in readable:
        agent = UserAgentServer(Identity(), random.Random(4475).randbytes)
        agent.receive(torture.data, UDP, 0.0)
        assert all(isinstance(parse(sent), Response) for _, sent in agent.datagrams_to_send())
