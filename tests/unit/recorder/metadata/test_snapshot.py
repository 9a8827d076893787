"""Complete documents replace, partial ones merge, and the same one again changes nothing."""

from __future__ import annotations

from recorder.metadata.document import parse
from recorder.metadata.model import Document, MediaStream, Participant, RecordingMetadata
from recorder.metadata.snapshot import OBJECTS_MAX, TRACKING_IDS_MAX, apply, changes

FIRST = """<recording><datamode>complete</datamode><session session_id="s"/>
<participant participant_id="a"><nameID aor="sip:0201234567@h"><name>Anna</name></nameID></participant>
<participant participant_id="b"><nameID aor="sip:0612345678@h"/></participant>
<stream stream_id="1" session_id="s"><label>1</label></stream><stream stream_id="2" session_id="s"><label>2</label></stream>
<participantsessionassoc participant_id="b" session_id="s"><associate-time>t0</associate-time></participantsessionassoc>
<participantstreamassoc participant_id="a"><send>1</send></participantstreamassoc>
<participantstreamassoc participant_id="b"><send>2</send></participantstreamassoc></recording>"""


def model_of(*documents: str) -> RecordingMetadata:
    """Apply documents in order."""
    model = RecordingMetadata()
    for text in documents:
        model = apply(model, parse(text.encode()))
    return model


def numbers(model: RecordingMetadata, label: str) -> list[str]:
    return [participant.number for participant in model.participants_of_label(label)]


def partial(*objects: str) -> str:
    return f"<recording><datamode>partial</datamode>{''.join(objects)}</recording>"


def test_the_same_document_again_changes_nothing() -> None:
    """Webex sends each update two or three times."""
    assert model_of(FIRST, FIRST, FIRST) == model_of(FIRST)
    update = partial('<participant participant_id="c"><nameID aor="sip:203@h"/></participant>')
    assert model_of(FIRST, update, update) == model_of(FIRST, update)


def test_a_complete_document_replaces_everything() -> None:
    """Who is absent has left."""
    before = model_of(FIRST)
    text = FIRST.replace('"b"', '"c"').replace("0612345678", "0301234567")
    after = apply(before, parse(text.encode()))
    assert numbers(after, "2") == ["+31301234567"]
    difference = changes(before, after)
    assert [item.number for item in difference.left] == ["+31612345678"]
    assert [item.number for item in difference.joined] == ["+31301234567"]


def test_new_ids_for_the_same_people_are_no_change() -> None:
    """BroadWorks gives new ids to all when a call is redirected."""
    renamed = FIRST.replace('"a"', '"x"').replace('"b"', '"y"')
    assert changes(model_of(FIRST), model_of(FIRST, renamed)).joined == ()


def test_a_partial_document_changes_only_what_it_names() -> None:
    """A hold by B: A sends nothing now, all else stays (RFC 8068)."""
    model = model_of(
        FIRST, partial('<participantstreamassoc participant_id="a"><recv>2</recv></participantstreamassoc>')
    )
    assert numbers(model, "1") == []
    assert numbers(model, "2") == ["+31612345678"]
    assert [participant.name for participant in model.participants] == ["Anna", ""]


def test_a_participant_leaves_and_comes_back_by_association() -> None:
    """The participant itself need not be repeated."""
    left = partial(
        '<participantsessionassoc participant_id="b" session_id="s"><disassociate-time>t1</disassociate-time></participantsessionassoc>'
    )
    back = partial(
        '<participantsessionassoc participant_id="b" session_id="s"><associate-time>t2</associate-time></participantsessionassoc>'
    )
    model = model_of(FIRST, left)
    assert numbers(model, "2") == []
    assert [item.number for item in changes(model_of(FIRST), model).left] == ["+31612345678"]
    assert numbers(model_of(FIRST, left, back), "2") == ["+31612345678"]


def test_a_partial_document_adds_and_completes_objects() -> None:
    """Fields it leaves empty keep their values."""
    model = model_of(
        FIRST,
        partial(
            '<participant participant_id="b"><nameID><name>Bob</name></nameID></participant>',
            '<participant participant_id="c"><nameID aor="sip:203@h"/></participant>',
            '<participantstreamassoc participant_id="c"><send>2</send></participantstreamassoc>',
        ),
    )
    assert [(item.number, item.name) for item in model.participants_of_label("2")] == [
        ("+31612345678", "Bob"),
        ("203", ""),
    ]
    assert model.participants[0].name == "Anna"


def test_unknown_ids_are_kept_and_reported() -> None:
    """A partial document may come first; a snapshot can then be asked for."""
    model = model_of(
        partial('<participantstreamassoc participant_id="x"><send>y</send></participantstreamassoc>')
    )
    assert model.unresolved == {"x", "y"}
    assert model_of(FIRST).unresolved == frozenset()


def test_a_participant_without_senders_in_a_draft_style_partial_is_held() -> None:
    """BroadWorks' three-way call: the held party is there and sends nothing."""
    first = FIRST.replace("recording>", "recording_metadata>")
    text = (
        "<recording_metadata><dataMode>partial</dataMode><participant id='a'><aor>0201234567@h</aor></participant>"
        "<participant id='b'><aor>0612345678@h</aor><send><id>2</id></send></participant></recording_metadata>"
    )
    model = model_of(first, text)
    assert numbers(model, "1") == []
    assert numbers(model, "2") == ["+31612345678"]


def test_tracking_ids_are_chained() -> None:
    """They alone link the legs of a redirected call."""

    def leg(tracking_id: str, extra: str = "") -> str:
        return (
            "<recording><session session_id='s'/><extensiondata><broadWorksRecordingMetadata>"
            f"<extTrackingID>{tracking_id}</extTrackingID>{extra}</broadWorksRecordingMetadata></extensiondata></recording>"
        )

    chained = model_of(
        leg("1:1"), leg("1:1", "<newExtTrackingID>2:1</newExtTrackingID>"), leg("2:1"), leg("3:1")
    )
    assert chained.tracking_ids == ("1:1", "2:1", "3:1")
    many = model_of(*(leg(str(number)) for number in range(TRACKING_IDS_MAX + 1)))
    assert len(many.tracking_ids) == TRACKING_IDS_MAX


def test_partial_broadworks_facts_keep_what_they_do_not_repeat() -> None:
    """The recorded user stays known."""

    def facts(mode: str, inner: str) -> str:
        return (
            f"<recording_metadata><dataMode>{mode}</dataMode><extensiondata><broadWorksRecordingMetadata>{inner}"
            "</broadWorksRecordingMetadata></extensiondata></recording_metadata>"
        )

    model = model_of(
        facts("complete", "<userID>u@h</userID>"), facts("partial", "<recordingType>off</recordingType>")
    )
    assert model.broadworks is not None
    assert (model.broadworks.user_id, model.broadworks.recording_type) == ("u@h", "off")


def test_partial_documents_add_up_to_a_limit() -> None:
    """At the limit all objects are kept, above it the oldest go."""
    streams = tuple(MediaStream(str(number)) for number in range(OBJECTS_MAX))
    people = tuple(Participant(str(number)) for number in range(OBJECTS_MAX))
    model = RecordingMetadata(
        streams=streams, participants=people, sends={stream.id: () for stream in streams}
    )
    more = Document(
        complete=False, streams=(MediaStream("new"),), participants=(Participant("new"),), sends={"new": ()}
    )
    assert apply(model, Document(complete=False)) == model
    after = apply(model, more)
    assert len(after.streams) == len(after.participants) == len(after.sends) == OBJECTS_MAX
    assert after.streams[-1].id == "new"
    assert after.participants[0].id == "1"
