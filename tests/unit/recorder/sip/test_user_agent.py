"""What the user agent server answers by itself and what it hands over: from INVITE to BYE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from recorder.errors import LocalDefect
from recorder.sip.capability import Leniency
from recorder.sip.event import (
    DialogConfirmed,
    DialogEnded,
    InvitationReceived,
)
from recorder.sip.message import Request, Response
from recorder.sip.user_agent import ANSWER_S_MAX

if TYPE_CHECKING:
    from tests.unit.recorder.sip.conftest import Client

SDP = b"v=0\r\ns=-\r\n"
ANSWER = {"body": SDP, "content_type": "application/sdp"}


def responses(sent: list[Request | Response]) -> list[int]:
    return [item.status for item in sent if isinstance(item, Response)]


def requests(sent: list[tuple[float, Request | Response]]) -> list[tuple[float, str]]:
    return [(at, item.method) for at, item in sent if isinstance(item, Request)]


class TestInvitation:
    def test_is_answered_100_at_once_and_handed_over(self, client: Client) -> None:
        assert client.statuses(client.invite()) == [100]
        event = client.event()
        assert isinstance(event, InvitationReceived)
        assert event.objection is None

    def test_accepted_shows_what_a_recording_server_is(self, client: Client) -> None:
        response = client.answered()
        assert response.status == 200
        assert response.headers.first("Contact") == "<sip:srs@127.0.0.1:5060>;+sip.srs"
        assert response.headers.first("Supported") == "siprec, timer, 100rel"
        assert response.headers.first("Allow") == "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, PRACK"
        assert response.headers.values("Accept")[0] == "multipart/mixed"
        assert "application/rs-metadata+xml" in response.headers.values("Accept")

    def test_retransmitted_seven_times_makes_one_call_and_the_same_200_each_time(
        self, client: Client
    ) -> None:
        invite = client.invite(branch="z9hG4bK-same")
        first = client.answered(invite)
        for _ in range(7):
            (again,) = client.send(invite)
            assert again.to_bytes() == first.to_bytes()
        assert client.events() == []

    def test_retransmitted_before_the_answer_gets_100_again(self, client: Client) -> None:
        invite = client.invite(branch="z9hG4bK-same")
        client.invited(invite)
        assert client.statuses(invite) == [100]
        assert client.events() == []

    def test_with_another_from_tag_is_another_call(self, client: Client) -> None:
        first = client.invited()
        client.from_tag = "other"
        assert client.invited().dialog_id != first.dialog_id

    def test_merged_is_objected_to_with_482(self, client: Client) -> None:
        client.invited(client.invite(branch="z9hG4bK-one"))
        merged = client.invited(client.invite(branch="z9hG4bK-two"))
        assert merged.objection.status == 482

    def test_tried_again_with_a_higher_cseq_is_not_merged(self, client: Client) -> None:
        client.agent.respond(client.invited().key, 503, now=client.now)
        assert client.invited(client.invite(2)).objection is None

    def test_refused_is_repeated_until_the_ack_which_ends_the_matter(self, client: Client) -> None:
        invite = client.invite(branch="z9hG4bK-r")
        event = client.invited(invite)
        assert client.agent.respond(event.key, 488, now=client.now) is None
        assert responses(client.sent()) == [488]
        assert [at for at, _ in client.advance(4)] == [0.5, 1.5, 3.5]
        client.send(client.message("ACK", 1, branch="z9hG4bK-r"))
        assert client.advance(40) == []
        assert client.events() == []

    @pytest.mark.parametrize("status", [99, 100, 700, 0])
    def test_cannot_be_answered_with_a_status_that_is_none(self, client: Client, status: int) -> None:
        event = client.invited()
        with pytest.raises(LocalDefect):
            client.agent.respond(event.key, status, now=client.now)

    def test_answered_twice_is_answered_once(self, client: Client) -> None:
        event = client.invited()
        assert client.agent.respond(event.key, 200, now=client.now) == event.dialog_id
        assert client.agent.respond(event.key, 500, now=client.now) is None
        assert responses(client.sent()) == [200]

    def test_the_recording_server_forgets_is_answered_500_in_the_end(self, client: Client) -> None:
        client.invited()
        assert [item.status for _, item in client.advance(ANSWER_S_MAX)] == [500]

    def test_may_be_answered_180_first_except_where_that_must_be_reliable(
        self, client: Client, make_client: type[Client]
    ) -> None:
        event = client.invited()
        client.agent.respond(event.key, 180, now=client.now)
        assert responses(client.sent()) == [180]
        strict = make_client()
        event = strict.invited(strict.invite(headers=[("Require", "100rel")]))
        assert event.objection is None
        strict.agent.respond(event.key, 180, now=strict.now)
        assert strict.sent() == []

    def test_a_line_break_never_gets_into_a_response(self, client: Client) -> None:
        event = client.invited()
        with pytest.raises(LocalDefect):
            client.agent.respond(event.key, 200, headers=[("Warning", "a\r\nX: y")], now=client.now)


class TestObjection:
    @pytest.mark.parametrize(
        ("headers", "status", "field"),
        [
            ([("Require", "foo")], 420, ("Unsupported", "foo")),
            ([("Require", "replaces"), ("Require", "bar, timer")], 420, ("Unsupported", "replaces, bar")),
            ([("Require", "100relsiprec")], 420, ("Unsupported", "100relsiprec")),
            ([("Supported", "timer"), ("Session-Expires", "30")], 422, ("Min-SE", "90")),
            ([("x", "89;refresher=uac")], 422, ("Min-SE", "90")),
            ([("Content-Encoding", "gzip")], 415, ("Accept-Encoding", "identity")),
        ],
    )
    def test_says_what_to_refuse_with(
        self, client: Client, headers: list[tuple[str, str]], status: int, field: tuple[str, str]
    ) -> None:
        event = client.invited(client.invite(headers=headers))
        assert event.objection.status == status
        assert field in event.objection.headers
        client.agent.refuse(event.key, event.objection, client.now)
        (response,) = client.sent()
        assert (response.status, response.headers.first(field[0])) == (status, field[1])

    def test_may_be_overridden_for_an_emergency_call(self, client: Client) -> None:
        event = client.invited(client.invite(headers=[("Require", "foo"), ("Session-Expires", "10")]))
        assert event.objection is not None
        assert client.agent.respond(event.key, 200, now=client.now, **ANSWER) == event.dialog_id
        assert responses(client.sent()) == [200]

    def test_of_a_body_cut_short_still_shows_what_came(self, client: Client) -> None:
        data = client.invite()[:-10]
        event = client.invited(data)
        assert event.objection.status == 400
        assert event.request.body.startswith(b"v=0")
        assert event.request.uri == "sip:srs@127.0.0.1"

    @pytest.mark.parametrize("missing", ["From", "To", "Call-ID", "CSeq"])
    def test_of_a_missing_field_can_be_overridden_too(self, client: Client, missing: str) -> None:
        client.agent.receive(client.invite(without=[missing]), client.flow, client.now)
        event = client.event()
        assert event.objection.status == 400
        assert client.agent.respond(event.key, 200, now=client.now) is not None
        _, (_, response) = client.agent.datagrams_to_send()
        assert response.startswith(b"SIP/2.0 200 OK\r\n")

    def test_without_via_nothing_can_be_matched_so_400_goes_back_where_it_came_from(
        self, client: Client
    ) -> None:
        client.agent.receive(client.invite(without=["Via"]), client.flow, client.now)
        ((flow, response),) = client.agent.datagrams_to_send()
        assert flow == client.flow
        assert response.startswith(b"SIP/2.0 400 Bad Request\r\n")
        assert client.events() == []

    def test_depends_on_the_peer(self, make_client: type[Client]) -> None:
        cisco = make_client(leniency=Leniency(run_together_tags=True))
        assert cisco.invited(cisco.invite(headers=[("Require", "100relsiprec")])).objection is None
        strict = make_client(leniency=Leniency(siprec_required=True))
        assert strict.invited(strict.message("INVITE", 1)).objection is None  # Contact says +sip.src
        strict.from_tag = "other"
        plain = strict.invited(strict.message("INVITE", 1, without=["Contact"]))
        assert plain.objection.status == 421
        assert ("Require", "siprec") in plain.objection.headers

    def test_names_an_unknown_scheme(self, client: Client) -> None:
        data = client.invite().replace(b"sip:srs@127.0.0.1 SIP", b"nobodyKnowsThis:x SIP")
        assert client.invited(data).objection.status == 416

    @pytest.mark.parametrize("uri", [b"tel:112", b"urn:service:sos", b"sips:srs@x"])
    def test_spares_the_schemes_of_emergency_calls(self, client: Client, uri: bytes) -> None:
        data = client.invite().replace(b"sip:srs@127.0.0.1 SIP", uri + b" SIP")
        assert client.invited(data).objection is None


class TestAcknowledgement:
    def test_confirms_the_dialog_and_stops_the_200(self, client: Client) -> None:
        client.answered()
        client.send(client.message("ACK", 1))
        event = client.event()
        assert isinstance(event, DialogConfirmed)
        assert event.dialog_id == client.dialog_id
        assert client.advance(40) == []

    def test_that_comes_twice_confirms_once(self, client: Client) -> None:
        client.answered()
        for _ in range(3):
            client.send(client.message("ACK", 1))
        assert len(client.events()) == 1

    def test_missing_repeats_the_200_for_32_s_and_then_hangs_up(self, client: Client) -> None:
        client.answered()
        sent = client.advance(31.9)
        assert [at for at, _ in sent] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
        assert {item.status for _, item in sent} == {200}
        assert requests(client.advance(1))[0][1] == "BYE"
        event = client.event()
        assert (event.reason, event.dialog_id) == ("no ack", client.dialog_id)

    def test_missing_over_tcp_repeats_the_200_too(self, tcp_client: Client) -> None:
        tcp_client.answered()
        assert [at for at, _ in tcp_client.advance(4)] == [0.5, 1.5, 3.5]

    def test_of_a_delayed_offer_carries_the_answer(self, client: Client) -> None:
        client.answered(client.invite(body=b""))
        client.send(client.message("ACK", 1, body=SDP))
        assert client.event().request.body == SDP

    def test_of_nothing_is_ignored(self, client: Client) -> None:
        assert client.send(client.message("ACK", 1, to_tag="unknown")) == []
        assert client.events() == []


class TestCancel:
    def test_before_the_answer_ends_the_invitation(self, client: Client) -> None:
        event = client.invited(client.invite(branch="z9hG4bK-c"))
        sent = client.send(client.message("CANCEL", 1, branch="z9hG4bK-c"))
        assert [(item.status, item.cseq.method) for item in sent] == [(200, "CANCEL"), (487, "INVITE")]
        assert len({item.headers.first("To") for item in sent}) == 1
        ended = client.event()
        assert isinstance(ended, DialogEnded)
        assert (ended.dialog_id, ended.reason) == (event.dialog_id, "cancel")
        assert client.agent.respond(event.key, 200, now=client.now) is None
        assert client.sent() == []

    def test_after_the_answer_changes_nothing(self, client: Client) -> None:
        client.answered(client.invite(branch="z9hG4bK-c"))
        assert client.statuses(client.message("CANCEL", 1, branch="z9hG4bK-c", to_tag="")) == [200]
        client.send(client.message("ACK", 1))
        assert isinstance(client.event(), DialogConfirmed)
        assert client.statuses(client.message("BYE", 2)) == [200]
        assert client.event().reason == "bye"

    def test_of_nothing_is_481(self, client: Client) -> None:
        assert client.statuses(client.message("CANCEL", 1)) == [481]

    def test_of_a_re_invite_keeps_the_dialog(self, client: Client) -> None:
        client.established()
        client.send(client.invite(2, branch="z9hG4bK-c"))
        client.events()
        assert client.statuses(client.message("CANCEL", 2, branch="z9hG4bK-c")) == [200, 487]
        assert client.events() == []
        assert client.statuses(client.message("OPTIONS", 3)) == [200]


class TestBye:
    def test_ends_the_dialog_and_shows_its_body(self, client: Client) -> None:
        client.established()
        assert client.statuses(client.message("BYE", 2, body=b"<recording/>")) == [200]
        event = client.event()
        assert (event.reason, event.request.body) == ("bye", b"<recording/>")
        assert client.statuses(client.message("BYE", 3)) == [481]

    def test_before_the_ack_stops_the_200(self, client: Client) -> None:
        client.answered()
        assert client.statuses(client.message("BYE", 2)) == [200]
        assert client.event().reason == "bye"
        assert client.advance(40) == []

    def test_in_an_early_dialog_ends_the_invitation(self, client: Client) -> None:
        event = client.invited()
        client.agent.respond(event.key, 180, now=client.now)
        client.sent()
        client.to_tag = event.dialog_id.local_tag
        assert client.statuses(client.message("BYE", 2)) == [200, 487]
        assert client.event().reason == "bye"

    def test_answers_a_pending_re_invite_487(self, client: Client) -> None:
        client.established()
        client.send(client.invite(2))
        client.events()
        assert sorted(client.statuses(client.message("BYE", 3))) == [200, 487]

    def test_with_defects_ends_the_dialog_all_the_same(self, client: Client) -> None:
        client.established()
        data = client.message("BYE", 2, headers=[("Max-Forwards", "many"), ("Require", "foo")])
        assert client.statuses(data) == [200]
        assert client.event().reason == "bye"

    def test_retransmitted_gets_the_same_200(self, client: Client) -> None:
        client.established()
        bye = client.message("BYE", 2, branch="z9hG4bK-b")
        (first,) = client.send(bye)
        (again,) = client.send(bye)
        assert first.to_bytes() == again.to_bytes()

    def test_of_ours_waits_for_the_ack(self, client: Client) -> None:
        client.answered()
        assert client.agent.bye(client.dialog_id, client.now)
        assert client.sent() == []
        (bye,) = client.send(client.message("ACK", 1))
        assert bye.method == "BYE"
        assert client.events() == []

    def test_of_ours_goes_to_the_contact_by_the_route(self, client: Client) -> None:
        client.established(client.invite(headers=[("Record-Route", "<sip:127.0.0.9:5099;lr>, <sip:p2;lr>")]))
        assert client.agent.bye(client.dialog_id, client.now)
        ((flow, data),) = client.agent.datagrams_to_send()
        assert flow.remote == ("127.0.0.9", 5099)
        assert data.startswith(b"BYE sip:src@127.0.0.2:5070 SIP/2.0\r\n")
        assert b"Route: <sip:127.0.0.9:5099;lr>\r\nRoute: <sip:p2;lr>\r\n" in data
        assert not client.agent.bye(client.dialog_id, client.now)

    def test_of_ours_is_repeated_until_it_is_answered(self, client: Client) -> None:
        client.established()
        client.agent.bye(client.dialog_id, client.now)
        (bye,) = client.sent()
        assert [at for at, _ in client.advance(8)] == [0.5, 1.5, 3.5, 7.5]
        answer = Response(200, "OK", bye.headers)
        client.send(answer.to_bytes())
        assert client.advance(60) == []
        assert client.events() == []

    def test_of_ours_nobody_answers_is_given_up(self, client: Client) -> None:
        client.established()
        client.agent.bye(client.dialog_id, client.now)
        client.advance(100)
        assert client.agent.get_timer() is None
