"""Documents of every dialect come to one normal form; hostile ones come to an error, quickly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.metadata.document import PARTICIPANTS_MAX, Document, MetadataError, parse
from recorder.metadata.model import MediaStream, RecordingMetadata
from recorder.metadata.snapshot import apply
from recorder.metadata.tree import ATTRIBUTES_MAX, DEPTH_MAX, DOCUMENT_BYTES_MAX, ELEMENTS_MAX, TEXT_CHARS_MAX

STANDARD = """<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
  <datamode>complete</datamode>
  <group group_id="7+OTCyoxTmqmqyA/1weDAg==">
    <associate-time>2026-11-02T10:00:00Z</associate-time>
  </group>
  <session session_id="hVpd7YQgRW2nD22h7q60JQ==">
    <sipSessionID>ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2</sipSessionID>
    <group-ref>7+OTCyoxTmqmqyA/1weDAg==</group-ref>
    <start-time>2026-11-02T10:00:00.040Z</start-time>
    <reason protocol="SIP">cause=200</reason>
  </session>
  <participant participant_id="srfBElmCRp2QB23b7Mpk0w==">
    <nameID aor="sip:+31201234567@example.nl"><name xml:lang="nl">Anna de Vries</name></nameID>
    <nameID aor="tel:201"/>
  </participant>
  <participant participant_id="zSfPoSvdSDCmU3A3TRDxAw==">
    <nameID aor="sip:0612345678@example.nl;user=phone"><name>Bob &lt;script&gt;</name></nameID>
  </participant>
  <stream stream_id="UAAMm5GRQKSCMVvLyl4rFw==" session_id="hVpd7YQgRW2nD22h7q60JQ=="><label>1</label></stream>
  <stream stream_id="i1Pz3to5hGk8fuXl+PbwCw==" session_id="hVpd7YQgRW2nD22h7q60JQ=="><label>2</label></stream>
  <sessionrecordingassoc session_id="hVpd7YQgRW2nD22h7q60JQ=="/>
  <participantsessionassoc participant_id="srfBElmCRp2QB23b7Mpk0w==" session_id="hVpd7YQgRW2nD22h7q60JQ==">
    <associate-time>2026-11-02T10:00:00</associate-time>
  </participantsessionassoc>
  <participantsessionassoc participant_id="zSfPoSvdSDCmU3A3TRDxAw==" session_id="hVpd7YQgRW2nD22h7q60JQ=="/>
  <participantstreamassoc participant_id="srfBElmCRp2QB23b7Mpk0w==">
    <send>i1Pz3to5hGk8fuXl+PbwCw==</send><recv>UAAMm5GRQKSCMVvLyl4rFw==</recv>
  </participantstreamassoc>
  <participantstreamassoc participant_id="zSfPoSvdSDCmU3A3TRDxAw==">
    <send>UAAMm5GRQKSCMVvLyl4rFw==</send><recv>i1Pz3to5hGk8fuXl+PbwCw==</recv>
  </participantstreamassoc>
</recording>
"""

BROADWORKS = """<?xml version="1.0" encoding="UTF-8"?>
<recording_metadata xmlns="urn:ietf:params:xml:ns:siprec">
  <dataMode>complete</dataMode>
  <recording id="urn:uuid:1"><requestor>SRC</requestor><type>selective</type></recording>
  <group id="urn:uuid:2" recording="urn:uuid:1"><initiator>sip:+31201234567@bw.example</initiator></group>
  <session id="urn:uuid:3" group="urn:uuid:2"><start-time>2026-11-02T11:00:00.123+0100</start-time></session>
  <participant id="urn:uuid:4" session="urn:uuid:3">
    <aor>+31201234567@bw.example</aor><send><id>urn:uuid:6</id></send>
  </participant>
  <participant id="urn:uuid:5" session="urn:uuid:3">
    <aor>sip:+31612345678@bw.example</aor><send><id>urn:uuid:7</id></send>
  </participant>
  <stream id="urn:uuid:6" session="urn:uuid:3"><label>1</label><mode>{mode}</mode></stream>
  {second}
  <extensiondata id="urn:uuid:8" parent="urn:uuid:3">
    <broadWorksRecordingMetadata xmlns="http://schema.broadsoft.com/broadworksCallRecording" version="3.0">
      <extTrackingID>8028549:1</extTrackingID>
      <serviceProviderID>ent1</serviceProviderID>
      <groupID>grp1</groupID>
      <userID>anna@bw.example</userID>
      <callID>callhalf-112:0</callID>
      <callType>
        <origCall>
          <callingPartyNumber>+31201234567</callingPartyNumber>
          <calledPartyNumber>+31612345678</calledPartyNumber>
          <dialedDigits>0612345678</dialedDigits>
        </origCall>
      </callType>
      <recordingType>on</recordingType>
    </broadWorksRecordingMetadata>
  </extensiondata>
</recording_metadata>
"""
MIXED = BROADWORKS.format(mode="mixed", second="")
DUAL = BROADWORKS.format(
    mode="separate",
    second='<stream id="urn:uuid:7" session="urn:uuid:3"><label>2</label><mode>separate</mode></stream>',
)

METASWITCH = """<recording id="r1" xmlns="urn:ietf:params:xml:ns:recording">
  <datamode>complete</datamode>
  <session session_id="s1"><start-time>2026-11-02T10:00:00Z</start-time></session>
  <participant participant_id="p1" session_id="s1"><nameID aor="0201234567"/><send>st1</send><recv>st1</recv></participant>
  <participant participant_id="p2" session_id="s1"><nameID aor="0612345678"/><send>st1</send><recv>st1</recv></participant>
  <stream id="st1" session_id="s1"><label>1</label></stream>
  <extensiondata id="e1" parent="s1"><metaswitchRecordingMetadata>
    <callType>originating</callType><recordedParty>0201234567</recordedParty><userName/>
    <dialedDigits>0612345678</dialedDigits>
  </metaswitchRecordingMetadata></extensiondata>
</recording>"""

SONUS = """<?xml version="1.0"?>
<tns:recording xmlns:tns="urn:ietf:params:xml:ns:recording" xmlns="urn:other">
  <tns:datamode>complete</tns:datamode>
  <tns:group group_id="g"><callData xmlns="urn:ietf:params:xml:ns:callData">
    <fromhdr>&lt;sip:0201234567@h&gt;;tag=1</fromhdr><callid>abc@h</callid></callData></tns:group>
  <tns:session session_id="s"/>
  <tns:participant participant_id="p1"><tns:nameID aor="0201234567@h"><tns:name> </tns:name></tns:nameID></tns:participant>
  <tns:participant participant_id="p2"><tns:nameID aor="0612345678@h"/></tns:participant>
  <tns:stream stream_id="a" session_id="s"><tns:label>1</tns:label></tns:stream>
  <tns:stream stream_id="b" session_id="s"><tns:label>2</tns:label></tns:stream>
  <tns:participantstreamassoc participant_id="p1"><tns:send>b</tns:send></tns:participantstreamassoc>
  <tns:participantstreamassoc participant_id="p2"><tns:send>a</tns:send></tns:participantstreamassoc>
</tns:recording>"""

AVAYA = """<recording xmlns="urn:ietf:params:xml:ns:recording:1"><dataMode>complete</dataMode>
  <session session_id="00FA08000112"/>
  <participant participant_id="aa"><nameID aor="sip:0201234567@h"/></participant>
  <participant participant_id="bb"><nameID aor="sip:ASBCE@asbce.com"/></participant>
  <stream stream_id="x" session_id="00FA08000112"><label>10</label></stream>
  <stream stream_id="" session_id="00FA08000112"><label>20</label></stream>
  <participantstreamassoc participant_id="aa"><send>x</send></participantstreamassoc>
  <participantstreamassoc participant_id="bb"><send></send></participantstreamassoc>
</recording>"""

ORACLE = """<recording xmlns='urn:ietf:params:xml:ns:recording'><datamode>complete</datamode>
  <session id="s"><associate-time>2026-11-02T10:00:00</associate-time>
    <extensiondata xmlns:apkt="http://acmepacket.com/siprec/extensiondata"><apkt:ucid>00FA;encoding=hex</apkt:ucid>
      <apkt:header label="To"><value>sip:0612345678@h</value></apkt:header></extensiondata></session>
  <participant id="p" session="s"><nameID aor="sip:0201234567@h"><name>Anna</name></nameID>
    <send>st</send><associate-time>2026-11-02T10:00:01</associate-time>
    <extensiondata><apkt:callingParty xmlns:apkt="x">true</apkt:callingParty></extensiondata></participant>
  <stream id="st" session="s"><label>16777227</label><mode>separate</mode></stream>
</recording>"""

AUDIOCODES = """<recording xmlns="urn:ietf:params:xml:ns:recording" xmlns:ac="http://AudioCodes"><datamode>complete</datamode>
  <group id="00000000-0000-0000-0000-000000000001"><ac:AvayaUCID>FA</ac:AvayaUCID></group>
  <session id="s" group="00000000-0000-0000-0000-000000000001"/>
  <participant id="0201234567" session="s"><nameID aor="0201234567@h"/><send>st</send></participant>
  <stream id="st" session="s"><label>1</label></stream></recording>"""


def of_label(text: str, label: str) -> list[str]:
    """Return the canonical numbers of who is heard under a label."""
    model = apply(RecordingMetadata(), parse(text.encode()))
    return [participant.number for participant in model.participants_of_label(label)]


def test_a_document_of_the_final_rfc_is_read_whole() -> None:
    """Every object of RFC 7865, with times as they were written."""
    document = parse(STANDARD.encode())
    assert document.complete
    assert not document.repaired
    assert document.groups[0].associate_time == "2026-11-02T10:00:00Z"
    (session,) = document.sessions
    assert (session.group_id, session.start_time) == ("7+OTCyoxTmqmqyA/1weDAg==", "2026-11-02T10:00:00.040Z")
    assert session.reasons == ("cause=200",)
    anna, bob = document.participants
    assert (anna.number, anna.name, anna.aliases) == ("+31201234567", "Anna de Vries", ("tel:201",))
    assert (anna.from_time, anna.to_time) == ("2026-11-02T10:00:00", None)
    assert (bob.number, bob.name) == ("+31612345678", "Bob <script>")
    assert document.streams[1] == MediaStream("i1Pz3to5hGk8fuXl+PbwCw==", "2", session.id)
    assert document.sends[anna.id] == ("i1Pz3to5hGk8fuXl+PbwCw==",)
    assert document.receives[anna.id] == ("UAAMm5GRQKSCMVvLyl4rFw==",)
    assert apply(RecordingMetadata(), document).unresolved == frozenset()


def test_a_label_belongs_to_who_sends_its_stream() -> None:
    """Never to the order of labels: here, and at Sonus, they are crossed."""
    assert of_label(STANDARD, "1") == ["+31612345678"]
    assert of_label(STANDARD, "2") == ["+31201234567"]
    assert of_label(SONUS, "1") == ["+31612345678"]
    assert of_label(SONUS, "3") == []


def test_broadworks_dual_names_each_stream() -> None:
    """One party a stream; addresses may lack a scheme."""
    assert of_label(DUAL, "1") == ["+31201234567"]
    assert of_label(DUAL, "2") == ["+31612345678"]


def test_broadworks_mixed_lets_everyone_be_heard_on_its_one_stream() -> None:
    """Also who sends to a stream that is described nowhere."""
    assert of_label(MIXED, "1") == ["+31201234567", "+31612345678"]
    assert apply(RecordingMetadata(), parse(MIXED.encode())).unresolved == {"urn:uuid:7"}


def test_broadworks_facts_are_found() -> None:
    """The recorded user and the direction stand in the extension."""
    facts = parse(DUAL.encode()).broadworks
    assert facts is not None
    assert (facts.user_id, facts.direction, facts.recording_type) == ("anna@bw.example", "out", "on")
    assert (facts.calling_party_number, facts.dialed_digits) == ("+31201234567", "0612345678")
    assert (facts.tracking_id, facts.group_id, facts.call_id) == ("8028549:1", "grp1", "callhalf-112:0")


def test_a_redirected_call_says_from_whom_to_whom() -> None:
    """The element's odd spelling is no obstacle."""
    text = DUAL.replace("origCall>", "termCall>").replace(
        "<recordingType>",
        "<redirectedCall><newExtTrackingID>u2</newExtTrackingID><redirectedFromPartyNumber>201</redirectedFromPartyNumber>"
        "<redirectedToPartynumber>202</redirectedToPartynumber></redirectedCall><recordingType>",
    )
    facts = parse(text.encode()).broadworks
    assert facts is not None
    assert (facts.direction, facts.redirected_from_number, facts.redirected_to_number) == ("in", "201", "202")
    assert facts.new_tracking_id == "u2"
    assert "202" in facts.numbers()


def test_metaswitch_mixes_both_parties_on_one_stream() -> None:
    """Its extension is kept by name."""
    assert of_label(METASWITCH, "1") == ["+31201234567", "+31612345678"]
    document = parse(METASWITCH.encode())
    assert document.extension("callType") == "originating"
    assert document.extension("recordedParty") == "0201234567"
    assert document.extension("nothing") is None


def test_sonus_foreign_children_are_kept() -> None:
    """They hold the Call-ID of the recorded call."""
    document = parse(SONUS.encode())
    assert document.extension("callid") == "abc@h"
    assert document.participants[0].name == ""


def test_the_avaya_placeholder_is_heard_nowhere() -> None:
    """It stays among the participants, as evidence."""
    document = parse(AVAYA.encode())
    assert [participant.placeholder for participant in document.participants] == [False, True]
    assert of_label(AVAYA, "20") == []
    assert of_label(AVAYA, "10") == ["+31201234567"]


def test_drafts_with_senders_inside_participants_are_read() -> None:
    """Oracle and AudioCodes write ids, parents and times as the drafts had them."""
    assert of_label(ORACLE, "16777227") == ["+31201234567"]
    document = parse(ORACLE.encode())
    assert document.participants[0].from_time == "2026-11-02T10:00:01"
    assert document.streams[0].session_id == "s"
    assert document.extension("ucid") == "00FA;encoding=hex"
    assert of_label(AUDIOCODES, "1") == ["+31201234567"]
    assert parse(AUDIOCODES.encode()).sessions[0].group_id == "00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('xmlns="urn:ietf:params:xml:ns:recording:1"', 'xmlns="urn:ietf:params:xml:ns:recording"'),
        ('xmlns="urn:ietf:params:xml:ns:recording:1"', ""),
        ("datamode>", "dataMode>"),
        ("\n", "\r\n"),
        ('encoding="UTF-8"', 'encoding="utf-8"'),
    ],
)
def test_spelling_of_the_frame_does_not_matter(old: str, new: str) -> None:
    """The normal form stays equal."""
    assert parse(STANDARD.replace(old, new).encode()) == parse(STANDARD.encode())


def test_prefixes_do_not_matter() -> None:
    """With a namespace or, repaired, without any."""
    plain = parse(METASWITCH.replace(' xmlns="urn:ietf:params:xml:ns:recording"', "").encode())
    prefixed = METASWITCH.replace("<recording ", "<x:recording ").replace("</recording>", "</x:recording>")
    assert parse(prefixed.replace("xmlns=", "xmlns:x=").encode()).participants == plain.participants
    undeclared = parse(prefixed.replace(' xmlns="urn:ietf:params:xml:ns:recording"', "").encode())
    assert undeclared.repaired
    assert undeclared.participants == plain.participants


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings_other_than_declared_are_read(encoding: str) -> None:
    """Names with accents come out right."""
    text = STANDARD.replace("Anna", "Zo\u00eb")
    assert parse(text.encode(encoding)).participants[0].name == "Zo\u00eb de Vries"


def test_junk_around_and_within_is_repaired() -> None:
    """Blank lines before the declaration, controls in a name, text after the end."""
    document = parse(b"\r\n\x00 " + STANDARD.replace("Anna", "An\x01na").encode() + b"\r\n-- trailing")
    assert document.repaired
    assert document.participants[0].name == "Anna de Vries"


def test_partial_and_absent_modes_are_told_apart() -> None:
    """Without a mode a document is complete, as Cisco says."""
    assert not parse(b"<recording><datamode> Partial </datamode></recording>").complete
    assert parse(b"<recording><session session_id='s'/></recording>").complete


def test_repeated_and_empty_ids_are_opaque() -> None:
    """All objects are kept."""
    document = parse(
        b"<recording><participant id=''/><participant id=''/><stream id=''/><stream/></recording>"
    )
    assert len(document.participants) == 2
    assert len(document.streams) == 2


def test_an_association_that_ended_sends_nothing() -> None:
    """Its participant is silent now, and a participant may have left."""
    text = STANDARD.replace("</send><recv>UAAM", "</send><disassociate-time>x</disassociate-time><recv>UAAM")
    text = text.replace(
        "<associate-time>2026-11-02T10:00:00</associate-time>", "<disassociate-time>y</disassociate-time>"
    )
    document = parse(text.encode())
    assert document.sends[document.participants[0].id] == ()
    assert document.participants[0].to_time == "y"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"hello",
        b"\xff\xfe",
        b"\x00" * 50,
        b"<recording>",
        b"<a><b/></a>",
        b"<html/>",
        b"v=0\r\no=x",
        b"<recording encoding='x'",
    ],
)
def test_what_is_no_metadata_is_an_error(body: bytes) -> None:
    """It never stops the audio, so its status is 200."""
    with pytest.raises(MetadataError) as raised:
        parse(body)
    assert raised.value.status == 200


BILLION_LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + b"".join(b'<!ENTITY l%d "%s">' % (n, (b"&l%d;" % (n - 1) if n else b"&lol;") * 10) for n in range(10))
    + b"]><recording>&l9;</recording>"
)
QUADRATIC = b'<!DOCTYPE r [<!ENTITY a "' + b"x" * 50_000 + b'">]><r>' + b"&a;" * 20_000 + b"</r>"
HOSTILE = {
    "billion laughs": BILLION_LAUGHS,
    "quadratic blow-up": QUADRATIC,
    "external file": b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><recording>&x;</recording>',
    "external address": b'<!DOCTYPE r SYSTEM "http://192.0.2.1/x.dtd"><recording/>',
    "parameter entity": b'<!DOCTYPE r [<!ENTITY % p SYSTEM "http://192.0.2.1/"> %p;]><recording/>',
    "deep": b"<recording>" * 20_000 + b"</recording>" * 2,
    "deep and broken": b"<a>" * 80_000,
    "many attributes": b"<recording " + b" ".join(b'a%d="1"' % n for n in range(20_000)) + b"/>",
    "attributes below the first look": b"<recording " + b" ".join(b'a%d="1"' % n for n in range(900)) + b"/>",
    "many elements": b"<recording>" + b"<a/>" * 60_000 + b"</recording>",
    "large": b"<recording>" + b" " * 10_000_000 + b"</recording>",
    "declarations": b"<?xml " * 40_000,
    "prefixes": b"<" + b"a:" * 100_000,
    "spaces": b"<recording a:b" + b" " * 200_000,
    "quotes": b"<recording a='" + b'b:c="' * 40_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_documents_are_refused(name: str) -> None:
    """By a limit or by their form, long before they are read to their end."""
    with pytest.raises(MetadataError):
        parse(HOSTILE[name])


@pytest.mark.parametrize(
    "body",
    [
        b"<?xml version='1.0' encoding='utf-99'?><recording/>",
        b"<recording>" + b"\xc3\x28\xed\xa0\x80" * 30_000 + b"</recording>",
    ],
    ids=["unknown encoding", "invalid utf-8"],
)
def test_encodings_nobody_knows_are_repaired(body: bytes) -> None:
    """They are odd, not hostile."""
    assert parse(body).repaired


def nested(depth: int) -> bytes:
    return b"<recording>" + b"<a>" * (depth - 1) + b"</a>" * (depth - 1) + b"</recording>"


def with_attributes(count: int) -> bytes:
    return b"<recording " + b" ".join(b'a%d="1"' % n for n in range(count)) + b"/>"


def with_elements(count: int) -> bytes:
    return b"<recording>" + b"<a/>" * (count - 1) + b"</recording>"


def with_participants(count: int) -> bytes:
    return b"<recording>" + b"".join(b"<participant id='%d'/>" % n for n in range(count)) + b"</recording>"


def of_size(count: int) -> bytes:
    return b"<recording></recording>".ljust(count)


@pytest.mark.parametrize(
    ("make", "limit"),
    [
        (nested, DEPTH_MAX),
        (with_attributes, ATTRIBUTES_MAX),
        (with_elements, ELEMENTS_MAX),
        (with_participants, PARTICIPANTS_MAX),
        (of_size, DOCUMENT_BYTES_MAX),
    ],
    ids=["depth", "attributes", "elements", "participants", "octets"],
)
def test_limits_hold_exactly(make: object, limit: int) -> None:
    """At the limit a document is read, above it is not."""
    assert callable(make)
    assert isinstance(parse(make(limit)), Document)
    with pytest.raises(MetadataError, match=r"more than|deeper than"):
        parse(make(limit + 1))


def test_long_texts_are_cut_at_their_limit() -> None:
    """A name of 4 kB is stored, a longer one is cut."""
    for length in (TEXT_CHARS_MAX, TEXT_CHARS_MAX + 1):
        text = f"<recording><participant id='p'><nameID aor='x'><name>{'n' * length}</name></nameID></participant></recording>"
        assert parse(text.encode()).participants[0].name == "n" * TEXT_CHARS_MAX


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(STANDARD)), st.integers(0, 60))
def test_any_damage_gives_a_document_or_a_metadata_error(junk: bytes, position: int, cut: int) -> None:
    """There is no third way out."""
    body = STANDARD.encode()
    for damaged in (junk, body[:position] + junk + body[position + cut :]):
        try:
            document = parse(damaged)
        except MetadataError:
            continue
        assert isinstance(document, Document)
