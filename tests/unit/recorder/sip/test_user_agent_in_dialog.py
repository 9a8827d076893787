"""What the user agent server does within a dialog, and with requests that make none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from recorder.sip.capability import Leniency
from recorder.sip.event import (
    CapabilitiesAsked,
    InformationReceived,
    OfferReceived,
)
from recorder.sip.message import Flow, Request, Response
from recorder.sip.user_agent import OVERLAP_RETRY_AFTER_S_MAX

if TYPE_CHECKING:
    from tests.unit.recorder.sip.conftest import Client

SDP = b"v=0\r\ns=-\r\n"
ANSWER = {"body": SDP, "content_type": "application/sdp"}


def responses(sent: list[Request | Response]) -> list[int]:
    return [item.status for item in sent if isinstance(item, Response)]


def requests(sent: list[tuple[float, Request | Response]]) -> list[tuple[float, str]]:
    return [(at, item.method) for at, item in sent if isinstance(item, Request)]


class TestOffer:
    @pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
    def test_is_handed_over_and_moves_the_remote_target(self, client: Client, method: str) -> None:
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

    def test_refused_leaves_the_dialog_as_it_was(self, client: Client) -> None:
        client.established()
        before = client.agent.snapshot(client.dialog_id)
        client.send(client.invite(2, without=["Contact"], headers=[("Contact", "<sip:new@127.0.0.3>")]))
        assert client.agent.respond(client.event().key, 488, now=client.now) is None
        assert client.agent.snapshot(client.dialog_id).remote_target == before.remote_target

    def test_while_one_is_pending_is_500_with_retry_after(self, client: Client) -> None:
        client.established()
        client.send(client.invite(2))
        client.events()
        for method, cseq in (("INVITE", 3), ("UPDATE", 4)):
            (response,) = client.send(client.message(method, cseq))
            assert response.status == 500
            assert 0 <= int(response.headers.first("Retry-After")) <= OVERLAP_RETRY_AFTER_S_MAX
        assert client.events() == []

    def test_while_our_own_offer_is_out_is_491(self, client: Client) -> None:
        client.answered(client.invite(body=b""))
        assert client.statuses(client.invite(2)) == [491]
        assert client.statuses(client.message("UPDATE", 3, body=SDP)) == [491]
        metadata = client.message("UPDATE", 4, body=b"<r/>", content_type="application/rs-metadata+xml")
        client.send(metadata)
        assert isinstance(client.event(), OfferReceived)

    def test_before_the_ack_of_the_first_answer_is_taken(self, client: Client) -> None:
        client.answered()
        client.send(client.invite(2))
        assert isinstance(client.event(), OfferReceived)

    def test_out_of_order_is_500(self, client: Client) -> None:
        client.established(client.invite(10))
        assert client.statuses(client.invite(9)) == [500]
        assert client.statuses(client.message("INFO", 3)) == [500]

    def test_in_an_unknown_dialog_is_481(self, client: Client) -> None:
        assert client.statuses(client.invite(2, to_tag="nobody")) == [481]

    def test_carries_its_objection(self, client: Client) -> None:
        client.established()
        client.send(client.invite(2, headers=[("Require", "foo")]))
        event = client.event()
        assert event.objection.status == 420
        client.agent.refuse(event.key, event.objection, client.now)
        assert responses(client.sent()) == [420]
        assert client.statuses(client.message("OPTIONS", 3)) == [200]

    def test_without_an_ack_ends_the_dialog(self, client: Client) -> None:
        client.established()
        client.send(client.invite(2))
        client.agent.respond(client.event().key, 200, now=client.now, **ANSWER)
        client.advance(33)
        assert client.event().reason == "no ack"


class TestSessionTimer:
    HEADERS = (("Supported", "timer"), ("Session-Expires", "1800;refresher=uac"), ("Min-SE", "90"))

    def test_is_agreed_with_the_client_as_refresher(self, client: Client) -> None:
        response = client.answered(client.invite(headers=self.HEADERS))
        assert response.headers.first("Session-Expires") == "1800;refresher=uac"
        assert response.headers.values("Require") == ("timer",)

    def test_without_a_refresh_hangs_up_ahead_of_the_end(self, client: Client) -> None:
        client.established(client.invite(headers=self.HEADERS))
        assert requests(client.advance(1767)) == []
        assert requests(client.advance(1.2)) == [(1.0, "BYE")]
        assert client.event().reason == "session timer"

    def test_of_90_s_hangs_up_a_third_ahead(self, client: Client) -> None:
        client.established(client.invite(headers=[("k", "timer"), ("x", "90")]))
        assert requests(client.advance(61))[0] == (60.0, "BYE")

    @pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
    def test_is_refreshed(self, client: Client, method: str) -> None:
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

    def test_goes_on_when_a_refresh_names_no_interval(self, client: Client) -> None:
        client.established(client.invite(headers=self.HEADERS))
        client.send(client.message("UPDATE", 2, headers=[("Supported", "timer")]))
        client.agent.respond(client.event().key, 200, now=client.now)
        assert client.sent()[0].headers.first("Session-Expires") == "1800;refresher=uac"

    def test_is_not_forced_on_a_client_without_it(self, client: Client) -> None:
        response = client.established(client.invite(headers=[("Session-Expires", "1800")]))
        assert "Session-Expires" not in response.headers
        assert client.agent.get_timer() is None or client.advance(4000) == []


class TestOtherRequests:
    def test_options_outside_a_dialog_are_for_the_recording_server_to_judge(self, client: Client) -> None:
        assert client.statuses(client.message("OPTIONS", 1)) == []
        event = client.event()
        assert isinstance(event, CapabilitiesAsked)
        assert client.agent.respond(event.key, 503, headers=[("Retry-After", "5")], now=client.now) is None
        (response,) = client.sent()
        assert response.headers.first("Retry-After") == "5"

    def test_options_answered_200_show_the_capabilities(self, client: Client) -> None:
        client.send(client.message("OPTIONS", 1))
        client.agent.respond(client.event().key, 200, now=client.now)
        (response,) = client.sent()
        assert "+sip.srs" in response.headers.first("Contact")
        assert response.headers.first("Supported") == "siprec, timer, 100rel"

    def test_options_with_an_unknown_extension_are_420(self, client: Client) -> None:
        assert client.statuses(client.message("OPTIONS", 1, headers=[("Require", "foo")])) == [420]
        assert client.events() == []

    def test_options_in_a_dialog_tell_whether_it_is_alive(self, client: Client) -> None:
        client.established()
        (response,) = client.send(client.message("OPTIONS", 2))
        assert response.status == 200
        assert "+sip.srs" in response.headers.first("Contact")
        assert client.statuses(client.message("OPTIONS", 3, to_tag="lost")) == [481]
        assert client.events() == []

    def test_info_is_handed_over(self, client: Client) -> None:
        client.established()
        client.send(client.message("INFO", 2, body=b"x", content_type="text/plain"))
        event = client.event()
        assert isinstance(event, InformationReceived)
        assert client.agent.respond(event.key, 469, now=client.now) is None
        assert responses(client.sent()) == [469]

    def test_prack_is_200(self, client: Client) -> None:
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
    def test_others_are_refused(self, client: Client, method: str, status: int) -> None:
        (response,) = client.send(client.message(method, 1))
        assert response.status == status
        if status != 481:
            assert "INVITE" in response.headers.values("Allow")

    @pytest.mark.parametrize(
        ("method", "headers", "status"),
        [("REFER", [], 405), ("FOO", [], 501), ("INFO", [("Require", "foo")], 420)],
    )
    def test_others_carry_their_objection(
        self, client: Client, method: str, headers: list[tuple[str, str]], status: int
    ) -> None:
        """Who they name is looked at before they are refused."""
        client.established()
        client.send(client.message(method, 2, headers=headers))
        event = client.event()
        assert event.objection.status == status
        client.agent.refuse(event.key, event.objection, client.now)
        assert responses(client.sent()) == [status]


def test_a_stranger_does_not_speak_in_the_dialog_of_another_host(make_client: type[Client]) -> None:
    """Tags can be overheard; members of a cluster that are trusted may go on for each other."""
    elsewhere = Flow("udp", ("127.0.0.1", 5060), ("127.0.0.9", 5070))
    for trusted, statuses in ((False, [403]), (True, [200])):
        client = make_client(leniency=Leniency(may_move_dialogs=trusted))
        client.established()
        assert client.statuses(client.message("BYE", 5), elsewhere) == statuses
        assert bool(client.events()) is trusted
