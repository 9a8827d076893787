"""What the user agent server answers by itself, and what it hands to the recording server."""

from __future__ import annotations

import pytest

from recorder.errors import LocalDefect
from recorder.sip.capability import Leniency
from recorder.sip.event import (
    CapabilitiesAsked,
    DialogConfirmed,
    DialogEnded,
    InformationReceived,
    InvitationReceived,
    OfferReceived,
    ProbeAnswered,
)
from recorder.sip.message import Flow, Request, Response
from recorder.sip.user_agent import ANSWER_S_MAX

SDP = b"v=0\r\ns=-\r\n"
ANSWER = {"body": SDP, "content_type": "application/sdp"}


def responses(sent: list[Request | Response]) -> list[int]:
    return [item.status for item in sent if isinstance(item, Response)]


def requests(sent: list[tuple[float, Request | Response]]) -> list[tuple[float, str]]:
    return [(at, item.method) for at, item in sent if isinstance(item, Request)]


class TestInvitation:
    def test_is_answered_100_at_once_and_handed_over(self, client):
        assert client.statuses(client.invite()) == [100]
        event = client.event()
        assert isinstance(event, InvitationReceived)
        assert event.objection is None

    def test_accepted_shows_what_a_recording_server_is(self, client):
        response = client.answered()
        assert response.status == 200
        assert response.headers.first("Contact") == "<sip:srs@127.0.0.1:5060>;+sip.srs"
        assert response.headers.first("Supported") == "siprec, timer, 100rel"
        assert response.headers.first("Allow") == "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, PRACK"
        assert response.headers.values("Accept")[0] == "multipart/mixed"
        assert "application/rs-metadata+xml" in response.headers.values("Accept")

    def test_retransmitted_seven_times_makes_one_call_and_the_same_200_each_time(self, client):
        invite = client.invite(branch="z9hG4bK-same")
        first = client.answered(invite)
        for _ in range(7):
            (again,) = client.send(invite)
            assert again.to_bytes() == first.to_bytes()
        assert client.events() == []

    def test_retransmitted_before_the_answer_gets_100_again(self, client):
        invite = client.invite(branch="z9hG4bK-same")
        client.invited(invite)
        assert client.statuses(invite) == [100]
        assert client.events() == []

    def test_with_another_from_tag_is_another_call(self, client):
        first = client.invited()
        client.from_tag = "other"
        assert client.invited().dialog_id != first.dialog_id

    def test_merged_is_objected_to_with_482(self, client):
        client.invited(client.invite(branch="z9hG4bK-one"))
        merged = client.invited(client.invite(branch="z9hG4bK-two"))
        assert merged.objection.status == 482

    def test_tried_again_with_a_higher_cseq_is_not_merged(self, client):
        client.agent.respond(client.invited().key, 503, now=client.now)
        assert client.invited(client.invite(2)).objection is None

    def test_refused_is_repeated_until_the_ack_which_ends_the_matter(self, client):
        invite = client.invite(branch="z9hG4bK-r")
        event = client.invited(invite)
        assert client.agent.respond(event.key, 488, now=client.now) is None
        assert responses(client.sent()) == [488]
        assert [at for at, _ in client.advance(4)] == [0.5, 1.5, 3.5]
        client.send(client.message("ACK", 1, branch="z9hG4bK-r"))
        assert client.advance(40) == []
        assert client.events() == []

    @pytest.mark.parametrize("status", [99, 100, 700, 0])
    def test_cannot_be_answered_with_a_status_that_is_none(self, client, status):
        event = client.invited()
        with pytest.raises(LocalDefect):
            client.agent.respond(event.key, status, now=client.now)

    def test_answered_twice_is_answered_once(self, client):
        event = client.invited()
        assert client.agent.respond(event.key, 200, now=client.now) == event.dialog_id
        assert client.agent.respond(event.key, 500, now=client.now) is None
        assert responses(client.sent()) == [200]

    def test_the_recording_server_forgets_is_answered_500_in_the_end(self, client):
        client.invited()
        assert [item.status for _, item in client.advance(ANSWER_S_MAX)] == [500]

    def test_may_be_answered_180_first_except_where_that_must_be_reliable(self, client, make_client):
        event = client.invited()
        client.agent.respond(event.key, 180, now=client.now)
        assert responses(client.sent()) == [180]
        strict = make_client()
        event = strict.invited(strict.invite(headers=[("Require", "100rel")]))
        assert event.objection is None
        strict.agent.respond(event.key, 180, now=strict.now)
        assert strict.sent() == []

    def test_a_line_break_never_gets_into_a_response(self, client):
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
    def test_says_what_to_refuse_with(self, client, headers, status, field):
        event = client.invited(client.invite(headers=headers))
        assert event.objection.status == status
        assert field in event.objection.headers
        client.agent.refuse(event.key, event.objection, client.now)
        (response,) = client.sent()
        assert (response.status, response.headers.first(field[0])) == (status, field[1])

    def test_may_be_overridden_for_an_emergency_call(self, client):
        event = client.invited(client.invite(headers=[("Require", "foo"), ("Session-Expires", "10")]))
        assert event.objection is not None
        assert client.agent.respond(event.key, 200, now=client.now, **ANSWER) == event.dialog_id
        assert responses(client.sent()) == [200]

    def test_of_a_body_cut_short_still_shows_what_came(self, client):
        data = client.invite()[:-10]
        event = client.invited(data)
        assert event.objection.status == 400
        assert event.request.body.startswith(b"v=0")
        assert event.request.uri == "sip:srs@127.0.0.1"

    @pytest.mark.parametrize("missing", ["From", "To", "Call-ID", "CSeq"])
    def test_of_a_missing_field_can_be_overridden_too(self, client, missing):
        client.agent.receive(client.invite(without=[missing]), client.flow, client.now)
        event = client.event()
        assert event.objection.status == 400
        assert client.agent.respond(event.key, 200, now=client.now) is not None
        _, (_, response) = client.agent.datagrams_to_send()
        assert response.startswith(b"SIP/2.0 200 OK\r\n")

    def test_without_via_nothing_can_be_matched_so_400_goes_back_where_it_came_from(self, client):
        client.agent.receive(client.invite(without=["Via"]), client.flow, client.now)
        ((flow, response),) = client.agent.datagrams_to_send()
        assert flow == client.flow
        assert response.startswith(b"SIP/2.0 400 Bad Request\r\n")
        assert client.events() == []

    def test_depends_on_the_peer(self, make_client):
        cisco = make_client(leniency=Leniency(run_together_tags=True))
        assert cisco.invited(cisco.invite(headers=[("Require", "100relsiprec")])).objection is None
        strict = make_client(leniency=Leniency(siprec_required=True))
        assert strict.invited(strict.message("INVITE", 1)).objection is None  # Contact says +sip.src
        strict.from_tag = "other"
        plain = strict.invited(strict.message("INVITE", 1, without=["Contact"]))
        assert plain.objection.status == 421
        assert ("Require", "siprec") in plain.objection.headers

    def test_names_an_unknown_scheme(self, client):
        data = client.invite().replace(b"sip:srs@127.0.0.1 SIP", b"nobodyKnowsThis:x SIP")
        assert client.invited(data).objection.status == 416

    @pytest.mark.parametrize("uri", [b"tel:112", b"urn:service:sos", b"sips:srs@x"])
    def test_spares_the_schemes_of_emergency_calls(self, client, uri):
        data = client.invite().replace(b"sip:srs@127.0.0.1 SIP", uri + b" SIP")
        assert client.invited(data).objection is None


class TestAcknowledgement:
    def test_confirms_the_dialog_and_stops_the_200(self, client):
        client.answered()
        client.send(client.message("ACK", 1))
        event = client.event()
        assert isinstance(event, DialogConfirmed)
        assert event.dialog_id == client.dialog_id
        assert client.advance(40) == []

    def test_that_comes_twice_confirms_once(self, client):
        client.answered()
        for _ in range(3):
            client.send(client.message("ACK", 1))
        assert len(client.events()) == 1

    def test_missing_repeats_the_200_for_32_s_and_then_hangs_up(self, client):
        client.answered()
        sent = client.advance(31.9)
        assert [at for at, _ in sent] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
        assert {item.status for _, item in sent} == {200}
        assert requests(client.advance(1))[0][1] == "BYE"
        event = client.event()
        assert (event.reason, event.dialog_id) == ("no ack", client.dialog_id)

    def test_missing_over_tcp_repeats_the_200_too(self, tcp_client):
        tcp_client.answered()
        assert [at for at, _ in tcp_client.advance(4)] == [0.5, 1.5, 3.5]

    def test_of_a_delayed_offer_carries_the_answer(self, client):
        client.answered(client.invite(body=b""))
        client.send(client.message("ACK", 1, body=SDP))
        assert client.event().request.body == SDP

    def test_of_nothing_is_ignored(self, client):
        assert client.send(client.message("ACK", 1, to_tag="unknown")) == []
        assert client.events() == []


class TestCancel:
    def test_before_the_answer_ends_the_invitation(self, client):
        event = client.invited(client.invite(branch="z9hG4bK-c"))
        sent = client.send(client.message("CANCEL", 1, branch="z9hG4bK-c"))
        assert [(item.status, item.cseq.method) for item in sent] == [(200, "CANCEL"), (487, "INVITE")]
        assert len({item.headers.first("To") for item in sent}) == 1
        ended = client.event()
        assert isinstance(ended, DialogEnded)
        assert (ended.dialog_id, ended.reason) == (event.dialog_id, "cancel")
        assert client.agent.respond(event.key, 200, now=client.now) is None
        assert client.sent() == []

    def test_after_the_answer_changes_nothing(self, client):
        client.answered(client.invite(branch="z9hG4bK-c"))
        assert client.statuses(client.message("CANCEL", 1, branch="z9hG4bK-c", to_tag="")) == [200]
        client.send(client.message("ACK", 1))
        assert isinstance(client.event(), DialogConfirmed)
        assert client.statuses(client.message("BYE", 2)) == [200]
        assert client.event().reason == "bye"

    def test_of_nothing_is_481(self, client):
        assert client.statuses(client.message("CANCEL", 1)) == [481]

    def test_of_a_re_invite_keeps_the_dialog(self, client):
        client.established()
        client.send(client.invite(2, branch="z9hG4bK-c"))
        client.events()
        assert client.statuses(client.message("CANCEL", 2, branch="z9hG4bK-c")) == [200, 487]
        assert client.events() == []
        assert client.statuses(client.message("OPTIONS", 3)) == [200]


class TestBye:
    def test_ends_the_dialog_and_shows_its_body(self, client):
        client.established()
        assert client.statuses(client.message("BYE", 2, body=b"<recording/>")) == [200]
        event = client.event()
        assert (event.reason, event.request.body) == ("bye", b"<recording/>")
        assert client.statuses(client.message("BYE", 3)) == [481]

    def test_before_the_ack_stops_the_200(self, client):
        client.answered()
        assert client.statuses(client.message("BYE", 2)) == [200]
        assert client.event().reason == "bye"
        assert client.advance(40) == []

    def test_in_an_early_dialog_ends_the_invitation(self, client):
        event = client.invited()
        client.agent.respond(event.key, 180, now=client.now)
        client.sent()
        client.to_tag = event.dialog_id.local_tag
        assert client.statuses(client.message("BYE", 2)) == [200, 487]
        assert client.event().reason == "bye"

    def test_answers_a_pending_re_invite_487(self, client):
        client.established()
        client.send(client.invite(2))
        client.events()
        assert sorted(client.statuses(client.message("BYE", 3))) == [200, 487]

    def test_with_defects_ends_the_dialog_all_the_same(self, client):
        client.established()
        data = client.message("BYE", 2, headers=[("Max-Forwards", "many"), ("Require", "foo")])
        assert client.statuses(data) == [200]
        assert client.event().reason == "bye"

    def test_retransmitted_gets_the_same_200(self, client):
        client.established()
        bye = client.message("BYE", 2, branch="z9hG4bK-b")
        (first,) = client.send(bye)
        (again,) = client.send(bye)
        assert first.to_bytes() == again.to_bytes()

    def test_of_ours_waits_for_the_ack(self, client):
        client.answered()
        assert client.agent.bye(client.dialog_id, client.now)
        assert client.sent() == []
        (bye,) = client.send(client.message("ACK", 1))
        assert bye.method == "BYE"
        assert client.events() == []

    def test_of_ours_goes_to_the_contact_by_the_route(self, client):
        client.established(client.invite(headers=[("Record-Route", "<sip:127.0.0.9:5099;lr>, <sip:p2;lr>")]))
        assert client.agent.bye(client.dialog_id, client.now)
        ((flow, data),) = client.agent.datagrams_to_send()
        assert flow.remote == ("127.0.0.9", 5099)
        assert data.startswith(b"BYE sip:src@127.0.0.2:5070 SIP/2.0\r\n")
        assert b"Route: <sip:127.0.0.9:5099;lr>\r\nRoute: <sip:p2;lr>\r\n" in data
        assert not client.agent.bye(client.dialog_id, client.now)

    def test_of_ours_is_repeated_until_it_is_answered(self, client):
        client.established()
        client.agent.bye(client.dialog_id, client.now)
        (bye,) = client.sent()
        assert [at for at, _ in client.advance(8)] == [0.5, 1.5, 3.5, 7.5]
        answer = Response(200, "OK", bye.headers)
        client.send(answer.to_bytes())
        assert client.advance(60) == []
        assert client.events() == []

    def test_of_ours_nobody_answers_is_given_up(self, client):
        client.established()
        client.agent.bye(client.dialog_id, client.now)
        client.advance(100)
        assert client.agent.get_timer() is None


class TestOffer:
    @pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
    def test_is_handed_over_and_moves_the_remote_target(self, client, method):
        client.established()
        moved = client.message(
            method, 2, body=SDP, without=["Contact"], headers=[("m", "<sip:new@127.0.0.3:7>")]
        )
        client.send(moved)
        event = client.event()
        assert isinstance(event, OfferReceived)
        assert event.dialog_id == client.dialog_id
        assert client.agent.respond(event.key, 200, now=client.now, **ANSWER) == client.dialog_id
        (answer,) = client.sent()
        assert "+sip.srs" in answer.headers.first("Contact")
        assert client.agent.snapshot(client.dialog_id).remote_target == "sip:new@127.0.0.3:7"

    def test_refused_leaves_the_dialog_as_it_was(self, client):
        client.established()
        before = client.agent.snapshot(client.dialog_id)
        client.send(client.invite(2, without=["Contact"], headers=[("Contact", "<sip:new@127.0.0.3>")]))
        assert client.agent.respond(client.event().key, 488, now=client.now) is None
        assert client.agent.snapshot(client.dialog_id).remote_target == before.remote_target

    def test_while_one_is_pending_is_500_with_retry_after(self, client):
        client.established()
        client.send(client.invite(2))
        client.events()
        for method, cseq in (("INVITE", 3), ("UPDATE", 4)):
            (response,) = client.send(client.message(method, cseq))
            assert response.status == 500
            assert 0 <= int(response.headers.first("Retry-After")) <= 10
        assert client.events() == []

    def test_while_our_own_offer_is_out_is_491(self, client):
        client.answered(client.invite(body=b""))
        assert client.statuses(client.invite(2)) == [491]
        assert client.statuses(client.message("UPDATE", 3, body=SDP)) == [491]
        metadata = client.message("UPDATE", 4, body=b"<r/>", content_type="application/rs-metadata+xml")
        client.send(metadata)
        assert isinstance(client.event(), OfferReceived)

    def test_before_the_ack_of_the_first_answer_is_taken(self, client):
        client.answered()
        client.send(client.invite(2))
        assert isinstance(client.event(), OfferReceived)

    def test_out_of_order_is_500(self, client):
        client.established(client.invite(10))
        assert client.statuses(client.invite(9)) == [500]
        assert client.statuses(client.message("INFO", 3)) == [500]

    def test_in_an_unknown_dialog_is_481(self, client):
        assert client.statuses(client.invite(2, to_tag="nobody")) == [481]

    def test_carries_its_objection(self, client):
        client.established()
        client.send(client.invite(2, headers=[("Require", "foo")]))
        event = client.event()
        assert event.objection.status == 420
        client.agent.refuse(event.key, event.objection, client.now)
        assert responses(client.sent()) == [420]
        assert client.statuses(client.message("OPTIONS", 3)) == [200]

    def test_without_an_ack_ends_the_dialog(self, client):
        client.established()
        client.send(client.invite(2))
        client.agent.respond(client.event().key, 200, now=client.now, **ANSWER)
        client.advance(33)
        assert client.event().reason == "no ack"


class TestSessionTimer:
    HEADERS = (("Supported", "timer"), ("Session-Expires", "1800;refresher=uac"), ("Min-SE", "90"))

    def test_is_agreed_with_the_client_as_refresher(self, client):
        response = client.answered(client.invite(headers=self.HEADERS))
        assert response.headers.first("Session-Expires") == "1800;refresher=uac"
        assert response.headers.values("Require") == ("timer",)

    def test_without_a_refresh_hangs_up_ahead_of_the_end(self, client):
        client.established(client.invite(headers=self.HEADERS))
        assert requests(client.advance(1767)) == []
        assert requests(client.advance(1.2)) == [(1.0, "BYE")]
        assert client.event().reason == "session timer"

    def test_of_90_s_hangs_up_a_third_ahead(self, client):
        client.established(client.invite(headers=[("k", "timer"), ("x", "90")]))
        assert requests(client.advance(61))[0] == (60.0, "BYE")

    @pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
    def test_is_refreshed(self, client, method):
        client.established(client.invite(headers=self.HEADERS))
        client.advance(900)
        client.send(client.message(method, 2, headers=self.HEADERS))
        client.agent.respond(client.event().key, 200, now=client.now)
        (response,) = client.sent()
        assert response.headers.first("Session-Expires") == "1800;refresher=uac"
        assert response.body == b""
        if method == "INVITE":
            client.send(client.message("ACK", 2))
        assert requests(client.advance(1767)) == []
        assert requests(client.advance(1.2)) == [(1.0, "BYE")]

    def test_goes_on_when_a_refresh_names_no_interval(self, client):
        client.established(client.invite(headers=self.HEADERS))
        client.send(client.message("UPDATE", 2, headers=[("Supported", "timer")]))
        client.agent.respond(client.event().key, 200, now=client.now)
        assert client.sent()[0].headers.first("Session-Expires") == "1800;refresher=uac"

    def test_is_not_forced_on_a_client_without_it(self, client):
        response = client.established(client.invite(headers=[("Session-Expires", "1800")]))
        assert "Session-Expires" not in response.headers
        assert client.agent.get_timer() is None or client.advance(4000) == []


class TestOtherRequests:
    def test_options_outside_a_dialog_are_for_the_recording_server_to_judge(self, client):
        assert client.statuses(client.message("OPTIONS", 1)) == []
        event = client.event()
        assert isinstance(event, CapabilitiesAsked)
        assert client.agent.respond(event.key, 503, headers=[("Retry-After", "5")], now=client.now) is None
        (response,) = client.sent()
        assert response.headers.first("Retry-After") == "5"

    def test_options_answered_200_show_the_capabilities(self, client):
        client.send(client.message("OPTIONS", 1))
        client.agent.respond(client.event().key, 200, now=client.now)
        (response,) = client.sent()
        assert "+sip.srs" in response.headers.first("Contact")
        assert response.headers.first("Supported") == "siprec, timer, 100rel"

    def test_options_with_an_unknown_extension_are_420(self, client):
        assert client.statuses(client.message("OPTIONS", 1, headers=[("Require", "foo")])) == [420]
        assert client.events() == []

    def test_options_in_a_dialog_tell_whether_it_is_alive(self, client):
        client.established()
        (response,) = client.send(client.message("OPTIONS", 2))
        assert response.status == 200
        assert "+sip.srs" in response.headers.first("Contact")
        assert client.statuses(client.message("OPTIONS", 3, to_tag="lost")) == [481]
        assert client.events() == []

    def test_info_is_handed_over(self, client):
        client.established()
        client.send(client.message("INFO", 2, body=b"x", content_type="text/plain"))
        event = client.event()
        assert isinstance(event, InformationReceived)
        assert client.agent.respond(event.key, 469, now=client.now) is None
        assert responses(client.sent()) == [469]

    def test_prack_is_200(self, client):
        client.established()
        assert client.statuses(client.message("PRACK", 2, headers=[("RAck", "1 1 INVITE")])) == [200]

    @pytest.mark.parametrize(
        ("method", "status"),
        [
            ("REGISTER", 405),
            ("SUBSCRIBE", 405),
            ("MESSAGE", 405),
            ("REFER", 405),
            ("FOO", 501),
            ("UPDATE", 481),
        ],
    )
    def test_others_are_refused(self, client, method, status):
        (response,) = client.send(client.message(method, 1))
        assert response.status == status
        if status != 481:
            assert "INVITE" in response.headers.values("Allow")

    def test_others_are_refused_in_a_dialog_too(self, client):
        client.established()
        assert client.statuses(client.message("REFER", 2)) == [405]
        assert client.statuses(client.message("FOO", 3)) == [501]
        assert client.statuses(client.message("INFO", 4, headers=[("Require", "foo")])) == [420]


class TestProbe:
    @pytest.mark.parametrize(("status", "alive"), [(200, True), (405, True), (500, True), (408, False)])
    def test_tells_whether_the_client_knows_the_dialog(self, client, status, alive):
        client.established()
        assert client.agent.probe(client.dialog_id, client.now)
        assert not client.agent.probe(client.dialog_id, client.now)
        (options,) = client.sent()
        assert (options.method, options.to_address.tag) == ("OPTIONS", "src-tag")
        client.send(Response(status, "", options.headers).to_bytes())
        assert client.events() == [ProbeAnswered(client.dialog_id, alive)]
        assert client.agent.probe(client.dialog_id, client.now)

    def test_that_finds_the_dialog_lost_ends_it(self, client):
        client.established()
        client.agent.probe(client.dialog_id, client.now)
        (options,) = client.sent()
        client.send(Response(481, "", options.headers).to_bytes())
        assert client.events() == [
            ProbeAnswered(client.dialog_id, alive=False),
            DialogEnded(client.dialog_id, "gone", None),
        ]

    def test_nobody_answers_is_no_sign_of_life(self, client):
        client.established()
        client.agent.probe(client.dialog_id, client.now)
        client.advance(33)
        assert client.event() == ProbeAnswered(client.dialog_id, alive=False)

    def test_answers_of_strangers_are_counted(self, client):
        client.send(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\nCSeq: 1 OPTIONS\r\n\r\n")
        assert client.agent.counters["stray response"] == 1


class TestCrash:
    def test_a_restored_dialog_goes_on(self, client, make_client):
        client.established(client.invite(headers=TestSessionTimer.HEADERS))
        snapshot = client.agent.snapshot(client.dialog_id)
        after = make_client()
        after.to_tag = client.to_tag
        assert after.agent.restore(snapshot, after.now) == client.dialog_id
        assert after.statuses(after.message("OPTIONS", 1)) == [200]
        assert after.statuses(after.message("OPTIONS", 0)) == [500]
        after.send(after.invite(2))
        assert isinstance(after.event(), OfferReceived)
        assert requests(after.advance(1800))[-1][1] == "BYE"
        assert after.event().reason == "session timer"

    def test_our_numbers_go_on_above_those_already_used(self, client, make_client):
        client.established()
        snapshot = client.agent.snapshot(client.dialog_id)
        client.agent.probe(client.dialog_id, client.now)
        (before,) = client.sent()
        after = make_client()
        after.agent.restore(snapshot, after.now)
        after.agent.bye(client.dialog_id, after.now)
        (bye,) = after.sent()
        assert bye.cseq.number > before.cseq.number
        assert bye.from_address.tag == client.to_tag

    def test_a_forgotten_dialog_is_unknown(self, client):
        client.established()
        client.agent.forget(client.dialog_id)
        client.agent.forget(client.dialog_id)
        assert client.statuses(client.message("OPTIONS", 2)) == [481]
        with pytest.raises(LocalDefect):
            client.agent.snapshot(client.dialog_id)


class TestConnection:
    def test_answers_go_back_over_it(self, tcp_client):
        tcp_client.agent.receive(tcp_client.invite(), tcp_client.flow, 0.0)
        ((flow, _),) = tcp_client.agent.datagrams_to_send()
        assert flow == tcp_client.flow

    def test_our_bye_uses_it_while_it_is_there_and_opens_another_after(self, tcp_client):
        tcp_client.established(
            tcp_client.invite(without=["Contact"], headers=[("m", "<sip:a@127.0.0.3:99>")])
        )
        agent = tcp_client.agent
        assert agent.probe(tcp_client.dialog_id, tcp_client.now)
        assert agent.datagrams_to_send()[0][0] == tcp_client.flow
        agent.connection_lost(tcp_client.flow.connection_id)
        assert agent.bye(tcp_client.dialog_id, tcp_client.now)
        assert agent.datagrams_to_send()[0][0] == Flow("tcp", ("127.0.0.1", 5060), ("127.0.0.3", 99), 0)

    def test_a_ping_gets_a_pong(self, tcp_client):
        tcp_client.agent.receive(b"\r\n\r\n", tcp_client.flow, 0.0)
        assert tcp_client.agent.datagrams_to_send() == [(tcp_client.flow, b"\r\n")]

    def test_garbage_on_it_has_it_closed(self, tcp_client):
        tcp_client.agent.receive(b"GET / HTTP/1.1\r\n\r\n", tcp_client.flow, 0.0)
        assert tcp_client.agent.connections_to_close() == [7]
        assert tcp_client.agent.connections_to_close() == []

    def test_idle_has_it_closed(self, tcp_client):
        tcp_client.send(tcp_client.message("FOO", 1))
        tcp_client.advance(7201)
        assert tcp_client.agent.connections_to_close() == [7]

    def test_garbage_datagrams_are_counted(self, client):
        for data in (b"", b"\r\n\r\n", b"\x00", b"\x80\x08garbage", b"GET / HTTP/1.0\r\n\r\n"):
            assert client.send(data) == []
        assert client.agent.counters == {"garbage": 2, "keep-alive": 3}


class TestWayBack:
    def test_follows_rport_or_else_the_port_of_the_via(self, client):
        agent = client.agent
        agent.receive(client.message("FOO", 1), client.flow._replace(remote=("127.0.0.2", 61_000)), 0.0)
        assert agent.datagrams_to_send()[0][0].remote == ("127.0.0.2", 61_000)
        data = client.message("FOO", 2).replace(b";rport", b"")
        agent.receive(data, client.flow._replace(remote=("127.0.0.2", 61_000)), 0.0)
        ((flow, response),) = agent.datagrams_to_send()
        assert flow.remote == ("127.0.0.2", 5070)
        assert b";received=" not in response

    def test_goes_to_the_real_host_whatever_the_via_says(self, client):
        agent = client.agent
        agent.receive(client.message("FOO", 1), client.flow._replace(remote=("10.9.8.7", 5070)), 0.0)
        ((flow, response),) = agent.datagrams_to_send()
        assert flow.remote == ("10.9.8.7", 5070)
        assert b";received=10.9.8.7;rport=5070" in response
