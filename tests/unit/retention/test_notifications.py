"""What people are told of by mail, on a real PostgreSQL and read back from a real mail server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from archive.access import AccessScope, Right, Scope
from archive.audit import AuditWriter
from archive.catalogue import (
    accounts,
    call_events,
    comments,
    directory,
    evaluation_forms,
    evaluations,
    mails,
    notifications,
    recordings,
    rights,
    share_policies,
    share_visits,
    shares,
)
from archive.catalogue.call_events import CallEvent, EventKind
from archive.catalogue.engine import Catalogue
from archive.catalogue.notifications import PER_PERSON_MAX, WAITED_MAX, Choices, Kind
from archive.evaluation import Answer, Event
from archive.evaluation_form import Form, Question, QuestionKind, Section
from archive.mail import MailServer
from archive.model import Recording, RetentionClass, Role, Tenant, User, UserId
from archive.post import MailPost
from keys.envelope import new_key
from keys.local_keyring import LocalKeyring
from retention.exports import Notices
from retention.mail import Mailer
from retention.notifications import Notifications
from tests.query_plans import recorded_plans
from tests.unit.retention.mail_desk import Desk

MONDAY = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
URL = "https://opname.example"
FORM = Form((Section("Begin", (Question("name", "Naam?", QuestionKind.YES_NO),)),))


@dataclass
class Hands:
    """A clock whose hands are put where a test wants them."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return 0.0


class Office:
    """A tenant with a call of Anna's that Bert hears and may judge, and a worker that tells them."""

    def __init__(self, tenant: Tenant, portal: Catalogue, worker: Catalogue, server: MailServer) -> None:
        self.tenant, self.portal, self.worker = tenant, portal, worker
        self.hands = Hands(MONDAY)
        self.people: dict[str, User] = {}
        self.call: Any = None
        self.root = LocalKeyring(new_key())
        self.server = server

    def scope(self, login: str) -> AccessScope:
        return accounts.scope_of_user(self.portal, self.tenant.id, self.people[login].id)

    @property
    def recording(self) -> Recording:
        recording: Recording = self.call.recording
        return recording

    def notifier(self, name: str = "one") -> Notifications:
        notices = Notices(lambda: MailPost(self.root, self.hands), URL)
        return Notifications(self.worker, AuditWriter(self.worker, f"worker/{name}"), self.hands, notices)

    def look(self) -> int:
        return self.notifier().queue_due(self.tenant.id)

    def send(self) -> None:
        self.hands.moment += timedelta(minutes=1)
        audit = AuditWriter(self.worker, "worker/mailer")
        mailer = Mailer(self.worker, audit, self.hands, self.server, lambda: self.root, _no_audio)
        for mail_id in mailer.forgotten(self.tenant.id):
            mailer.send(self.tenant.id, mail_id)

    def choose(self, login: str, *, language: str = "nl", **wanted: bool) -> None:
        person = self.people[login]
        with self.portal.transaction(self.tenant.id) as connection:
            usual = notifications.choices_of(connection, self.tenant.id, person.id).wanted
            chosen = {**usual, **{Kind(kind.replace("_", "-")): value for kind, value in wanted.items()}}
            choices = Choices(chosen, language)
            notifications.choose(connection, self.tenant.id, person.id, choices, now=self.hands.now())

    def comment(self, login: str, reply_to: str | None = None) -> str:
        now = self.hands.now()
        made = comments.add(
            self.portal, self.scope(login), self.recording, "Geheim", reply_to=reply_to, now=now
        )
        return made.id

    def evaluate(self) -> str:
        """Release an evaluation by Bert of Anna's call and return its id."""
        now, scope = self.hands.now(), self.scope("bert")
        forms = AccessScope(self.tenant.id, "api-client:qm", scopes=frozenset(Scope))
        kept = evaluation_forms.make(self.portal, forms, "Gesprek", FORM, now=now)
        given = {"name": Answer(1, 0, "Netjes")}
        begun = evaluations.begin(self.portal, scope, self.recording, kept.id, given=given, now=now)
        evaluations.move(self.portal, scope, self.recording, begun.id, Event.RELEASE, now=now)
        return begun.id

    def share(self, days: int = 7) -> shares.Share:
        now = self.hands.now()
        wanted = shares.NewShare(self.recording.id, "Klacht Jansen", 0, 1000, now + timedelta(days=days))
        with self.portal.transaction(self.tenant.id) as connection:
            share, _ = shares.add(connection, self.scope("anna"), wanted, now=now)
        return share

    def play(self, share: shares.Share) -> int | None:
        now = self.hands.now()
        with self.portal.transaction(self.tenant.id) as connection:
            visit_id, _ = share_visits.open_visit(connection, share, "192.0.2.1", now=now)
            return share_visits.count(connection, share, visit_id, now=now)

    def heard(self, by: str) -> None:
        audit = AuditWriter(self.portal, "portal/one")
        with audit.transaction(self.tenant.id) as connection:
            audit.append(
                connection,
                tenant_id=self.tenant.id,
                actor=f"user:{self.people[by].id}",
                action="recording.played",
                object=f"recording:{self.recording.id}",
                at=self.hands.now(),
            )


def _no_audio() -> Any:
    raise AssertionError("What happened is told without sound.")


@pytest.fixture
def office(
    operator: Catalogue,
    recorder: Catalogue,
    portal: Catalogue,
    worker: Catalogue,
    bakery: Tenant,
    server: MailServer,
    database: Any,
    make_recording: Callable[..., Any],
) -> Office:
    made = Office(bakery, portal, worker, server)
    for login in ("anna", "bert"):
        user = directory.add_user(operator, bakery.id, login, now=MONDAY - timedelta(days=60), access="own")
        database.connect().execute(
            "INSERT INTO user_emails (tenant_id, user_id, email, verified_at) VALUES (%s, %s, %s, %s)",
            (bakery.id, user.id, f"{login}@mail.example", MONDAY),
        )
        made.people[login] = user
    began = MONDAY - timedelta(days=30)
    directory.add_team(operator, bakery.id, "Sales", now=began)
    for login, capacity in (("anna", "contributor"), ("bert", "listener")):
        directory.set_team_member(
            operator, bakery.id, "Sales", login, directory.Capacity(capacity), now=began
        )
    for person in made.people.values():
        rights.set_rights(portal, bakery.id, person.id, {Right.EVALUATE: True, Right.SHARE: True})
    share_policies.set_policy(portal, bakery.id, links_allowed=True, days_max=30)
    made.call = make_recording(bakery.id, owner=made.people["anna"].id, started_at=MONDAY - timedelta(days=1))
    with recorder.transaction(bakery.id) as connection:
        recordings.insert_recording(connection, made.call)
    return made


def told(desk: Desk) -> list[tuple[str, str]]:
    return [(str(mail["To"]).split("@")[0], str(mail["Subject"])) for mail in desk.mails]


def text_of(desk: Desk) -> str:
    body = desk.mails[-1].get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def test_who_is_answered_hears_so_once_with_a_link_and_no_word_of_the_call(
    office: Office, desk: Desk
) -> None:
    first = office.comment("anna")
    assert office.look() == 0
    office.comment("bert", reply_to=first)
    assert [office.look(), office.look(), office.notifier("two").queue_due(office.tenant.id)] == [1, 0, 0]
    office.send()
    office.send()
    assert told(desk) == [("anna", "Antwoord op je opmerking")]
    text = text_of(desk)
    assert f"{URL}/recordings/{office.recording.id}" in text
    assert f"{URL}/me" in text
    for secret in (
        "Geheim",
        "bert",
        "anna",
        "0201234567",
        *(p.number for p in office.recording.parties if p.number),
    ):
        assert secret not in text + str(desk.mails[-1]["Subject"])


def test_nobody_is_told_of_their_own_answer(office: Office, desk: Desk) -> None:
    first = office.comment("anna")
    office.comment("anna", reply_to=first)
    assert office.look() == 0
    assert desk.mails == []


def test_an_evaluation_is_told_to_whom_it_is_about_an_objection_to_who_made_it_and_its_answer_back(
    office: Office, desk: Desk
) -> None:
    evaluation = office.evaluate()
    office.look()
    office.send()
    now = office.hands.now()
    anna, bert = office.scope("anna"), office.scope("bert")
    evaluations.reply(office.portal, anna, evaluation, Event.DISPUTE, words="Niet waar", now=now)
    office.look()
    office.send()
    evaluations.move(
        office.portal, bert, office.recording, evaluation, Event.SETTLE, words="Toch wel", now=now
    )
    office.look()
    office.send()
    assert told(desk) == [
        ("anna", "Er is een evaluatie van jou"),
        ("bert", "Bezwaar tegen je evaluatie"),
        ("anna", "Antwoord op je bezwaar"),
    ]
    assert "Toch wel" not in text_of(desk)
    assert f"{URL}/evaluations/{evaluation}" in text_of(desk)


def test_the_first_play_of_a_link_is_told_and_no_later_one(office: Office, desk: Desk) -> None:
    share = office.share()
    assert [office.play(share), office.play(share)] == [1, 2]
    office.look()
    office.send()
    assert office.play(share) == 3
    office.look()
    office.send()
    assert told(desk) == [("anna", "Je afspeellink is geopend")]
    assert "Jansen" not in text_of(desk)


def test_a_link_that_ends_within_a_day_is_told_once_to_who_wants_that(office: Office, desk: Desk) -> None:
    office.share(7)
    office.share(1)
    office.hands.moment += timedelta(days=6, hours=1)
    assert office.look() == 0  # off unless chosen
    office.choose("anna", link_ends=True)
    assert [office.look(), office.look()] == [1, 0]
    office.send()
    assert told(desk) == [("anna", "Je afspeellink loopt af")]


def test_a_day_on_which_others_listened_is_told_once_it_is_over_to_who_wants_that(
    office: Office, desk: Desk
) -> None:
    office.choose("anna", language="en", heard=True)
    for _ in range(3):
        office.heard("bert")
    office.heard("anna")
    assert office.look() == 0
    office.hands.moment = datetime(2026, 11, 16, 22, 59, tzinfo=UTC)  # a minute before midnight there
    assert office.look() == 0
    office.hands.moment += timedelta(minutes=2)
    assert [office.look(), office.look()] == [1, 0]
    office.send()
    office.hands.moment += timedelta(days=1)
    assert office.look() == 0  # nobody listened
    assert told(desk) == [("anna", "Your calls were listened to")]
    assert "16 November 2026" in text_of(desk)
    assert f"{URL}/me/heard" in text_of(desk)
    assert "bert" not in text_of(desk)


def reach(office: Office, percent: int) -> None:
    """Let Anna use up so much of her minutes, at that moment."""
    kind = EventKind.QUOTA_100 if percent == 100 else EventKind.QUOTA_80
    anna = office.people["anna"].id
    with office.worker.transaction(office.tenant.id) as connection:
        event = CallEvent(office.tenant.id, office.hands.now(), kind, None, anna, {"userId": anna})
        call_events.append(connection, [event])


def test_minutes_that_are_used_up_are_told_to_administrators_once_for_each_hour(
    office: Office, desk: Desk, operator: Catalogue
) -> None:
    """Of many people within an hour it is one mail, with no name; a worker that was away tells of it within a day."""
    directory.set_user(operator, office.tenant.id, "bert", role=Role.ADMINISTRATOR, now=MONDAY)
    reach(office, 80)
    office.hands.moment += timedelta(minutes=59)
    reach(office, 100)
    assert office.look() == 0  # the hour is not over
    office.hands.moment += timedelta(minutes=1)
    reach(office, 100)
    assert [office.look(), office.look()] == [1, 0]
    office.hands.moment += timedelta(hours=22)
    assert [office.look(), office.look()] == [1, 0]
    office.send()
    assert told(desk) == [("bert", "Minuten zijn bijna of helemaal op")] * 2
    assert f"{URL}/admin/licences" in text_of(desk)
    assert "anna" not in text_of(desk)


@pytest.mark.parametrize(
    ("used_min", "before", "after", "mails_count"),
    [
        (1200, "7y-3500", "7y-1000", 1),
        (800, "7y-3500", "7y-1000", 1),
        (1200, None, "7y-1000", 1),
        (799, "7y-3500", "7y-1000", 0),
        (3500, "7y-3500", "7y-1000", 0),  # told of before
        (1200, "7y-1000", "7y-3500", 0),
        (1200, "7y-3500", "365d", 0),
    ],
)
def test_who_gets_a_licence_of_fewer_minutes_than_they_used_is_told_of(
    office: Office, operator: Catalogue, database: Any, used_min: int, before: str | None, after: str, mails_count: int
) -> None:  # fmt: skip
    """No call reaches 80 or 100 percent then: they are reached already."""
    directory.set_user(operator, office.tenant.id, "bert", role=Role.ADMINISTRATOR, now=MONDAY)
    licence = None if before is None else RetentionClass(before)
    directory.set_user(operator, office.tenant.id, "anna", licence=licence, now=MONDAY - timedelta(days=9))
    anna = office.people["anna"].id
    database.connect().execute(
        "INSERT INTO minute_months (tenant_id, user_id, month, booked_s) VALUES (%s, %s, %s, %s)",
        (office.tenant.id, anna, "2026-11-01", used_min * 60),
    )
    directory.set_user(operator, office.tenant.id, "anna", licence=RetentionClass(after), now=MONDAY)
    assert office.look() == 0  # the hour is not over
    office.hands.moment += timedelta(hours=1)
    assert [office.look(), office.look()] == [mails_count, 0]


def test_licences_given_of_late_are_found_among_those_of_years_by_an_index_of_their_own(
    office: Office, database: Any
) -> None:
    """They are looked for each minute, of each customer."""
    admin, anna = database.connect(), office.people["anna"].id
    admin.execute(
        "INSERT INTO user_licences (tenant_id, user_id, valid_from, licence) SELECT %s, %s,"
        " %s - n * interval '1 hour', '7y-1000' FROM generate_series(300, 5300) n",
        (office.tenant.id, anna, MONDAY),
    )
    admin.execute("ANALYZE user_licences")
    with recorded_plans(office.worker) as plans, office.worker.transaction(office.tenant.id) as connection:
        notifications.note_minutes(connection, office.tenant.id, now=MONDAY)
    [looked] = [each for each in plans if "minute_months" in each.statement]
    assert "user_licences_tenant_id_valid_from_idx" in looked.indexes
    assert looked.rows_read < 10


@pytest.mark.parametrize(
    ("away", "told_count"), [(timedelta(hours=60), 1), (WAITED_MAX, 1), (timedelta(days=4), 0)]
)
def test_minutes_that_were_used_up_while_no_worker_ran_over_a_weekend_are_told(
    office: Office, operator: Catalogue, away: timedelta, told_count: int
) -> None:
    directory.set_user(operator, office.tenant.id, "bert", role=Role.ADMINISTRATOR, now=MONDAY)
    reach(office, 100)
    office.hands.moment += away
    assert office.look() == told_count


def test_a_worker_that_was_away_tells_of_the_hours_meanwhile_in_one_mail(
    office: Office, desk: Desk, operator: Catalogue
) -> None:
    directory.set_user(operator, office.tenant.id, "bert", role=Role.ADMINISTRATOR, now=MONDAY)
    for _ in range(5):
        reach(office, 80)
        office.hands.moment += timedelta(hours=1)
    assert [office.look(), office.look()] == [1, 0]
    reach(office, 100)
    office.hands.moment += timedelta(hours=1)
    assert [office.look(), office.look()] == [1, 0]
    office.send()
    assert len(desk.mails) == 2


def test_minutes_are_told_to_no_administrator_who_left_or_wants_it_not(
    office: Office, operator: Catalogue
) -> None:
    for login in ("anna", "bert"):
        directory.set_user(operator, office.tenant.id, login, role=Role.ADMINISTRATOR, now=MONDAY)
    office.choose("bert", minutes=False)
    reach(office, 100)
    office.hands.moment += timedelta(hours=1)
    assert office.look() == 1
    directory.set_user(operator, office.tenant.id, "anna", role=Role.USER, now=MONDAY)
    reach(office, 80)
    office.hands.moment += timedelta(hours=1)
    assert office.look() == 0


def test_what_somebody_switched_off_is_not_told(office: Office, desk: Desk) -> None:
    office.choose("anna", reply=False)
    office.comment("bert", reply_to=office.comment("anna"))
    assert office.look() == 0
    office.choose("anna", reply=True)
    assert office.look() == 0  # that one is over
    office.comment("bert", reply_to=office.comment("anna"))
    assert office.look() == 1


@pytest.mark.parametrize("before", ["the mail is made", "the mail leaves"])
def test_who_lost_the_right_meanwhile_is_told_nothing(
    office: Office, operator: Catalogue, database: Any, desk: Desk, before: str
) -> None:
    """Bert hears Anna's call by the team alone: who is out of it knows no more of what is said there."""
    office.comment("anna", reply_to=office.comment("bert"))
    if before == "the mail leaves":
        assert office.look() == 1
    database.connect().execute("DELETE FROM team_members WHERE user_id = %s", (office.people["bert"].id,))
    assert office.look() == 0
    office.send()
    assert desk.mails == []


def test_a_mail_that_waits_goes_to_no_address_that_is_theirs_no_longer(
    office: Office, database: Any, desk: Desk
) -> None:
    office.comment("bert", reply_to=office.comment("anna"))
    assert office.look() == 1
    database.connect().execute("UPDATE user_emails SET verified_at = NULL")
    office.send()
    assert desk.mails == []


def test_who_answers_somebody_who_is_gone_is_not_stopped_by_that(office: Office) -> None:
    now, gone = office.hands.now(), UserId("gone")
    with office.portal.transaction(office.tenant.id) as connection:
        assert not notifications.note(connection, office.tenant.id, gone, Kind.OBJECTION, "x", now=now)
    assert office.look() == 0


def test_a_link_that_was_ended_is_told_to_nobody(office: Office) -> None:
    share = office.share()
    office.play(share)
    with office.portal.transaction(office.tenant.id) as connection:
        shares.revoke(connection, office.scope("anna"), share.id, now=office.hands.now())
    assert office.look() == 0


def test_a_recording_that_goes_takes_what_was_to_be_told_with_it(office: Office, database: Any) -> None:
    office.comment("bert", reply_to=office.comment("anna"))
    admin = database.connect()
    admin.execute("DELETE FROM recordings")
    assert admin.execute("SELECT count(*) FROM notifications").fetchone() == (0,)
    assert office.look() == 0


def test_one_person_gets_so_many_mails_an_hour_and_the_rest_later(office: Office) -> None:
    first = office.comment("anna")
    for _ in range(PER_PERSON_MAX + 3):
        office.comment("bert", reply_to=first)
    assert [office.look(), office.look()] == [PER_PERSON_MAX, 0]
    office.hands.moment += timedelta(hours=1, minutes=1)
    assert office.look() == 3


def test_what_waits_for_room_of_one_person_keeps_nobody_else_waiting(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long talk under one comment is read by one; whoever is told of it, others hear of theirs at once."""
    monkeypatch.setattr(notifications, "LOOKED_AT_MAX", PER_PERSON_MAX + 1)
    first = office.comment("anna")
    for _ in range(2 * PER_PERSON_MAX + 2):
        office.comment("bert", reply_to=first)
    office.hands.moment += timedelta(seconds=1)
    office.comment("anna", reply_to=office.comment("bert"))
    assert [office.look(), office.look(), office.look()] == [PER_PERSON_MAX, 1, 0]


def test_what_nobody_could_be_told_for_days_is_not_told_at_all(office: Office) -> None:
    office.comment("bert", reply_to=office.comment("anna"))
    office.hands.moment += WAITED_MAX
    assert office.look() == 0


def test_a_worker_that_dies_in_the_middle_leaves_it_to_the_next_one(
    office: Office, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.comment("bert", reply_to=office.comment("anna"))

    def killed(*_: object, **__: object) -> str:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(mails, "queue", killed)
        with pytest.raises(SystemExit):
            office.look()
    both = [
        threading.Thread(target=office.notifier(name).queue_due, args=(office.tenant.id,)) for name in "ab"
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    office.send()
    assert len(desk.mails) == 1


def test_without_a_mail_server_nothing_is_told_and_old_news_goes(office: Office, database: Any) -> None:
    office.comment("bert", reply_to=office.comment("anna"))
    silent = Notifications(office.worker, AuditWriter(office.worker, "worker/x"), office.hands)
    assert silent.queue_due(office.tenant.id) == 0
    office.hands.moment += timedelta(days=40)
    assert silent.queue_due(office.tenant.id) == 0
    assert database.connect().execute("SELECT count(*) FROM notifications").fetchone() == (0,)


def test_an_operator_and_who_never_chose_have_what_is_usual(office: Office) -> None:
    with office.portal.transaction(office.tenant.id) as connection:
        usual = notifications.choices_of(connection, office.tenant.id, office.people["anna"].id)
    assert {kind for kind, wanted in usual.wanted.items() if not wanted} == {Kind.HEARD, Kind.LINK_ENDS}
    assert office.scope("anna").role is Role.USER
