"""Reports by mail on a real PostgreSQL, read back from a real mail server: each period once."""

from __future__ import annotations

import asyncio
import csv
import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import accounts, audit_entries, directory, mails, recordings, report_subscriptions
from archive.catalogue.directory import Capacity
from archive.catalogue.engine import Catalogue
from archive.catalogue.report_subscriptions import CATCH_UP, COUNT_MAX, Subscription, Wanted
from archive.errors import Conflict, NotFound, Refused
from archive.mail import MailServer
from archive.model import ArchivedRecording, Role, Tenant, User
from archive.post import MailPost
from archive.reports import making
from archive.reports.period import Frequency
from archive.reports.report import Name
from keys.envelope import new_key
from keys.local_keyring import LocalKeyring
from retention import report_mails
from retention.exports import Notices
from retention.mail import Mailer
from retention.report_mails import ReportMails
from tests.unit.retention.mail_desk import Desk

MONDAY = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
URL = "https://opname.example"


@dataclass
class Hands:
    """A clock whose hands are put where a test wants them."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def hands() -> Hands:
    return Hands(MONDAY)


class Scheduler:
    """One worker process as far as mails go; another one is another object of its own connections."""

    def __init__(
        self, catalogue: Catalogue, name: str, hands: Hands, root: LocalKeyring, server: MailServer
    ) -> None:
        audit = AuditWriter(catalogue, f"worker/{name}")
        notices = Notices(lambda: MailPost(root, hands), URL)
        self.catalogue = catalogue
        self.queueing = ReportMails(catalogue, audit, hands, notices)
        self.mailer = Mailer(catalogue, audit, hands, server, lambda: root, _no_audio)

    def look(self, tenant: Tenant) -> int:
        return self.queueing.queue_due(tenant.id)

    def send(self, tenant: Tenant, hands: Hands) -> None:
        hands.moment += timedelta(minutes=1)
        for mail_id in self.mailer.forgotten(tenant.id):
            self.mailer.send(tenant.id, mail_id)


def _no_audio() -> Any:
    raise AssertionError("A report needs no sound.")


@pytest.fixture
def scheduler(database: Any, hands: Hands, server: MailServer) -> Callable[[str], Scheduler]:
    root = LocalKeyring(new_key())
    return lambda name: Scheduler(database.catalogue("earwitness_worker"), name, hands, root, server)


@pytest.fixture
def boss(operator: Catalogue, bakery: Tenant, database: Any) -> User:
    return person(operator, bakery, database, "boss", Role.ADMINISTRATOR)


def person(operator: Catalogue, tenant: Tenant, database: Any, login: str, role: Role) -> User:
    user = directory.add_user(operator, tenant.id, login, now=MONDAY - timedelta(days=60), role=role)
    database.connect().execute(
        "INSERT INTO user_emails (tenant_id, user_id, email, verified_at) VALUES (%s, %s, %s, %s)",
        (tenant.id, user.id, f"{login}@mail.example", MONDAY),
    )
    return user


def scope_of(portal: Catalogue, user: User) -> AccessScope:
    return accounts.scope_of_user(portal, user.tenant_id, user.id)


def subscribe(portal: Catalogue, user: User, wanted: Wanted, now: datetime = MONDAY) -> Subscription:
    with portal.transaction(user.tenant_id) as connection:
        return report_subscriptions.set_one(connection, scope_of(portal, user), wanted, now=now)


DAILY = Wanted(Name.USAGE, Frequency.DAILY, form="csv", hour=7)
WEEKLY = Wanted(Name.USAGE, Frequency.WEEKLY, form="csv", hour=7)


def days_of(desk: Desk) -> list[str]:
    return [next(each.iter_attachments()).get_filename() or "" for each in desk.mails]


def test_two_schedulers_and_a_restart_send_each_day_once(
    database: Any,
    portal: Catalogue,
    bakery: Tenant,
    boss: User,
    desk: Desk,
    hands: Hands,
    scheduler: Callable[[str], Scheduler],
) -> None:
    """Over three weeks both look at every quarter of an hour around the time, one of them made anew each day."""
    subscribe(portal, boss, DAILY)
    one = scheduler("one")
    for day in range(1, 10):
        other = scheduler(f"other-{day}")  # restarted: it remembers nothing
        for quarter in (-1, 0, 1):
            # 7 in Amsterdam in winter.
            hands.moment = datetime(2026, 11, 16, 6, tzinfo=UTC) + timedelta(days=day, minutes=15 * quarter)
            both = [threading.Thread(target=each.look, args=(bakery,)) for each in (one, other)]
            for thread in both:
                thread.start()
            for thread in both:
                thread.join()
        other.send(bakery, hands)
        one.send(bakery, hands)
        other.catalogue.close()
    assert sorted(days_of(desk)) == [f"usage-2026-11-{day}-2026-11-{day}.csv" for day in range(16, 25)]
    assert {str(each["To"]) for each in desk.mails} == {"boss@mail.example"}
    assert len({each["Message-ID"] for each in desk.mails}) == len(desk.mails)


def test_one_that_dies_before_its_transaction_ends_leaves_the_period_to_others(
    portal: Catalogue,
    bakery: Tenant,
    boss: User,
    desk: Desk,
    hands: Hands,
    scheduler: Callable[[str], Scheduler],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Between the row of the period and the mail there is no moment at which only one of them stands."""
    subscribe(portal, boss, WEEKLY)
    hands.moment = MONDAY + timedelta(days=7)
    dying = scheduler("dying")

    def killed(*_: object, **__: object) -> str:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(mails, "queue", killed)
        with pytest.raises(SystemExit):
            dying.look(bakery)
    other = scheduler("other")
    assert other.look(bakery) == 1
    assert scheduler("third").look(bakery) == 0
    other.send(bakery, hands)
    assert days_of(desk) == ["usage-2026-11-16-2026-11-22.csv"]


STEPS = (
    (report_subscriptions, "claim"),
    (mails, "queue"),
    (AuditWriter, "append"),
    (MailPost, "hand_over"),
    (mails, "begin"),
    (report_mails, "require_wanted"),
    (making, "make"),
    (Mailer, "_enter"),
    (Mailer, "_handed_over"),
    (mails, "settle"),
)
"""What a worker does from the look at the clock to the note that a mail left, in its order."""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("where", "step"), STEPS, ids=[name for _, name in STEPS])
def test_a_worker_killed_between_any_two_steps_leaves_one_mail_to_the_next_worker(
    portal: Catalogue, bakery: Tenant, boss: User, desk: Desk, hands: Hands, database: Any,
    scheduler: Callable[[str], Scheduler], monkeypatch: pytest.MonkeyPatch, where: Any, step: str, moment: str,
) -> None:  # fmt: skip
    """Killed after the mail server took it and before that is noted: then it comes again as the same message."""
    subscribe(portal, boss, WEEKLY)
    hands.moment = MONDAY + timedelta(days=7)
    done = getattr(where, step)

    def killed(*given: Any, **more: Any) -> Any:
        if moment == "after":
            made = done(*given, **more)
            if asyncio.iscoroutine(made):
                # Mails are handed over on a loop of their own, which a thread beside this one has.
                ThreadPoolExecutor(1).submit(asyncio.run, made).result()
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(where, step, killed)
        with pytest.raises(SystemExit):
            work(scheduler("dying"), bakery, database)
    for name in ("second", "third"):
        work(scheduler(name), bakery, database)
    taken_unnoted = (step, moment) in {("_handed_over", "after"), ("settle", "before"), ("settle", "after")}
    assert len(desk.mails) == (2 if taken_unnoted else 1)
    assert len({each["Message-ID"] for each in desk.mails}) == 1
    assert database.connect().execute("SELECT state FROM mails").fetchall() == [("sent",)]


def work(one: Scheduler, tenant: Tenant, database: Any) -> None:
    """Do all a worker does: look, and take up the jobs that wait, or that died with another worker."""
    one.look(tenant)
    for (mail_id,) in database.connect().execute("SELECT id FROM mails").fetchall():
        one.mailer.send(tenant.id, mail_id)


def test_a_mail_server_that_is_away_loses_nothing_and_doubles_nothing(
    portal: Catalogue, bakery: Tenant, boss: User, desk: Desk, hands: Hands, scheduler: Callable[[str], Scheduler]
) -> None:  # fmt: skip
    subscribe(portal, boss, WEEKLY)
    hands.moment = MONDAY + timedelta(days=7)
    one = scheduler("one")
    one.look(bakery)
    [mail_id] = _queued(one, bakery, hands)
    desk.answer = "451 later"
    with pytest.raises(Exception, match="mail server"):
        one.mailer.send(bakery.id, mail_id)
    again = scheduler("restarted")
    assert again.look(bakery) == 0
    desk.answer = "250 OK"
    again.mailer.send(bakery.id, mail_id)
    again.mailer.send(bakery.id, mail_id)
    assert len(desk.mails) == 1


def _queued(scheduler: Scheduler, tenant: Tenant, hands: Hands) -> list[str]:
    hands.moment += timedelta(minutes=1)
    return scheduler.mailer.forgotten(tenant.id)


def test_the_mail_holds_the_numbers_of_the_week_and_the_way_to_stop_it(
    portal: Catalogue,
    recorder: Catalogue,
    bakery: Tenant,
    boss: User,
    desk: Desk,
    hands: Hands,
    scheduler: Callable[[str], Scheduler],
    make_recording: Callable[..., ArchivedRecording],
) -> None:  # fmt: skip
    subscribe(portal, boss, WEEKLY)
    for began in (MONDAY, MONDAY + timedelta(days=2), MONDAY + timedelta(days=8)):
        made = make_recording(bakery.id, owner=boss.id, started_at=began)
        with recorder.transaction(bakery.id) as connection:
            recordings.insert_recording(connection, made)
    hands.moment = MONDAY + timedelta(days=7)
    one = scheduler("one")
    one.look(bakery)
    one.send(bakery, hands)
    [mail] = desk.mails
    assert mail["Subject"] == "Gebruik, 16 november 2026 t/m 22 november 2026"
    text = mail.get_body(("plain",))
    assert text is not None
    assert f"{URL}/reports/usage?from=2026-11-16&to=2026-11-22" in text.get_content()
    assert f"{URL}/reports/mails" in text.get_content()
    content = next(mail.iter_attachments()).get_payload(decode=True)
    assert isinstance(content, bytes)
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig")), delimiter=";"))
    assert rows[1][:2] == ["boss", "2"]


def test_days_workers_were_away_for_are_made_up_for_and_no_older_ones(
    portal: Catalogue, bakery: Tenant, boss: User, desk: Desk, hands: Hands, scheduler: Callable[[str], Scheduler]
) -> None:  # fmt: skip
    subscribe(portal, boss, DAILY)
    hands.moment = MONDAY + timedelta(days=20)
    one = scheduler("one")
    assert one.look(bakery) == CATCH_UP[Frequency.DAILY]
    assert one.look(bakery) == 0
    one.send(bakery, hands)
    assert max(days_of(desk)) == "usage-2026-12-05-2026-12-05.csv"


def test_of_months_that_were_missed_the_newest_alone_comes(
    portal: Catalogue, bakery: Tenant, boss: User, desk: Desk, hands: Hands, scheduler: Callable[[str], Scheduler]
) -> None:  # fmt: skip
    """Who was away for a year and proves the address again is not sent all of it."""
    subscribe(portal, boss, Wanted(Name.USAGE, Frequency.MONTHLY, form="csv"))
    hands.moment = MONDAY + timedelta(days=400)
    one = scheduler("one")
    assert one.look(bakery) == 1
    one.send(bakery, hands)
    assert days_of(desk) == ["usage-2027-11-01-2027-11-30.csv"]


@pytest.mark.parametrize(
    "meanwhile",
    [
        "UPDATE user_emails SET email = 'new@mail.example'",
        "UPDATE user_emails SET verified_at = NULL",
        "DELETE FROM report_subscriptions",
    ],
)
def test_one_that_was_queued_does_not_leave_when_it_was_stopped_or_its_address_is_another(
    database: Any, portal: Catalogue, bakery: Tenant, boss: User, desk: Desk, hands: Hands,
    scheduler: Callable[[str], Scheduler], meanwhile: str,
) -> None:  # fmt: skip
    """The mail server was away, and somebody else has the mailbox by now."""
    subscribe(portal, boss, WEEKLY)
    hands.moment = MONDAY + timedelta(days=7)
    one = scheduler("one")
    assert one.look(bakery) == 1
    database.connect().execute(meanwhile)
    one.send(bakery, hands)
    assert desk.mails == []
    told = database.connect().execute("SELECT state, reason FROM mails").fetchall()
    assert told == [("failed", "Its reader stopped this report, or has another address now.")]
    assert database.connect().execute(
        "SELECT count(*) FROM audit_entries WHERE action = 'report.mailed'"
    ).fetchone() == (0,)


@pytest.mark.parametrize("login", ["boss", "mark"])
def test_one_that_is_stopped_while_it_is_queued_keeps_no_other_waiting(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, boss: User, database: Any, hands: Hands,
    scheduler: Callable[[str], Scheduler], monkeypatch: pytest.MonkeyPatch, login: str,
) -> None:  # fmt: skip
    """Whether it would have been mailed or paused: it is stopped between the look and the row of its period."""
    mark = person(operator, bakery, database, "mark", Role.AUDITOR)
    whole = Wanted(Name.COMPLETENESS, Frequency.WEEKLY, form="csv")
    stopped = subscribe(portal, mark if login == "mark" else boss, whole, MONDAY - timedelta(minutes=1))
    subscribe(portal, boss, WEEKLY)
    directory.set_user(operator, bakery.id, "mark", now=MONDAY, role=Role.USER)
    look = report_subscriptions.due

    def seen(*given: Any) -> list[Any]:
        found = look(*given)
        database.connect().execute("DELETE FROM report_subscriptions WHERE id = %s", (stopped.id,))
        assert [each.subscription.id for each in found].index(stopped.id) == 0
        return found

    monkeypatch.setattr(report_subscriptions, "due", seen)
    hands.moment = MONDAY + timedelta(days=7)
    assert scheduler("one").look(bakery) == 1


def test_nothing_is_sent_of_a_time_before_one_asked_nor_to_an_address_nobody_proved(
    operator: Catalogue, portal: Catalogue, database: Any, bakery: Tenant, boss: User, hands: Hands,
    scheduler: Callable[[str], Scheduler],
) -> None:  # fmt: skip
    ella = person(operator, bakery, database, "ella", Role.AUDITOR)
    database.connect().execute("UPDATE user_emails SET verified_at = NULL WHERE user_id = %s", (ella.id,))
    for user in (boss, ella):
        subscribe(portal, user, WEEKLY)
    one = scheduler("one")
    assert one.look(bakery) == 0
    hands.moment = MONDAY + timedelta(days=7)
    assert one.look(bakery) == 1


def test_what_was_due_before_a_backup_was_restored_is_not_sent_again(
    database: Any,
    scheduler: Callable[[str], Scheduler],
    portal: Catalogue,
    boss: User,
    bakery: Tenant,
    hands: Hands,
) -> None:
    """The database of yesterday knows nothing of the mails of today; those of tomorrow come."""
    subscribe(portal, boss, DAILY, MONDAY - timedelta(days=3))
    restored_at, made_at = MONDAY - timedelta(minutes=1), MONDAY - timedelta(days=2)
    database.connect().execute(
        "INSERT INTO restores (restored_at, made_at) VALUES (%s, %s)", (restored_at, made_at)
    )
    one = scheduler("one")
    assert one.look(bakery) == 0
    hands.moment = MONDAY + timedelta(days=1)
    assert one.look(bakery) == 1


def test_who_manages_a_team_no_longer_gets_its_numbers_no_longer(
    operator: Catalogue, portal: Catalogue, database: Any, bakery: Tenant, desk: Desk, hands: Hands,
    scheduler: Callable[[str], Scheduler],
) -> None:  # fmt: skip
    mark = person(operator, bakery, database, "mark", Role.USER)
    team_id = directory.add_team(operator, bakery.id, "Sales", now=MONDAY)
    other_id = directory.add_team(operator, bakery.id, "Service", now=MONDAY)
    directory.set_team_member(operator, bakery.id, "Sales", "mark", Capacity.MANAGER, now=MONDAY)
    subscribe(portal, mark, Wanted(Name.USAGE, Frequency.WEEKLY, team_id, form="pdf"))
    with pytest.raises(NotFound):
        subscribe(portal, mark, Wanted(Name.USAGE, Frequency.WEEKLY, other_id))
    one = scheduler("one")
    for week, mailed in ((1, 1), (2, 1)):
        hands.moment = MONDAY + timedelta(days=7 * week)
        assert one.look(bakery) == 1
        if week == 2:
            database.connect().execute("DELETE FROM team_members WHERE user_id = %s", (mark.id,))
        one.send(bakery, hands)
        assert len(desk.mails) == mailed


def test_a_report_its_reader_sees_no_longer_is_paused_once_and_goes_on_when_they_do(
    operator: Catalogue, portal: Catalogue, bakery: Tenant, database: Any, desk: Desk, hands: Hands,
    scheduler: Callable[[str], Scheduler],
) -> None:  # fmt: skip
    """Of the team, and of the role; no mail is made that fails, and the log says it of the first period."""
    mark = person(operator, bakery, database, "mark", Role.USER)
    ella = person(operator, bakery, database, "ella", Role.AUDITOR)
    team_id = directory.add_team(operator, bakery.id, "Sales", now=MONDAY)
    directory.set_team_member(operator, bakery.id, "Sales", "mark", Capacity.MANAGER, now=MONDAY)
    of_team = subscribe(portal, mark, Wanted(Name.USAGE, Frequency.WEEKLY, team_id, form="csv"))
    whole = subscribe(portal, ella, Wanted(Name.COMPLETENESS, Frequency.WEEKLY, form="csv"))
    database.connect().execute("DELETE FROM team_members WHERE user_id = %s", (mark.id,))
    directory.set_user(operator, bakery.id, "ella", now=MONDAY, role=Role.USER)
    one = scheduler("one")
    for week in (1, 2, 3):
        hands.moment = MONDAY + timedelta(days=7 * week)
        assert one.look(bakery) == scheduler(f"other-{week}").look(bakery) == 0
        one.send(bakery, hands)
    assert desk.mails == []
    assert database.connect().execute("SELECT count(*) FROM mails").fetchone() == (0,)
    assert told_of(portal, of_team) == [("report-mail.paused", {"report": "usage", "reason": "team"})]
    assert told_of(portal, whole) == [("report-mail.paused", {"report": "completeness", "reason": "whole"})]
    directory.set_team_member(operator, bakery.id, "Sales", "mark", Capacity.MANAGER, now=hands.moment)
    assert one.look(bakery) == 0  # what went by does not come after all
    hands.moment = MONDAY + timedelta(days=28)
    assert one.look(bakery) == 1
    one.send(bakery, hands)
    assert days_of(desk) == ["usage-2026-12-07-2026-12-13.csv"]
    database.connect().execute("DELETE FROM team_members WHERE user_id = %s", (mark.id,))
    hands.moment = MONDAY + timedelta(days=35)
    assert one.look(bakery) == 0
    actions = [action for action, _ in told_of(portal, of_team)]
    assert actions == ["report-mail.paused", "report-mail.queued", "report-mail.paused"]


def told_of(portal: Catalogue, subscription: Subscription) -> list[tuple[str, Any]]:
    name = f"report-mail:{subscription.id}"
    entries = audit_entries.of_object(portal, subscription.tenant_id, name)
    return [(each.action, each.body) for each in entries]


def test_asking_again_changes_the_hour_and_there_is_an_end_to_how_many(
    portal: Catalogue, boss: User, bakery: Tenant
) -> None:
    first = subscribe(portal, boss, WEEKLY)
    again = subscribe(portal, boss, Wanted(Name.USAGE, Frequency.WEEKLY, hour=9, form="pdf"))
    assert (again.id, again.wanted.hour, again.wanted.form) == (first.id, 9, "pdf")
    wanted = [Wanted(name, frequency) for name in Name for frequency in Frequency]
    for each in wanted[:COUNT_MAX]:
        subscribe(portal, boss, each)
    with pytest.raises(Conflict, match=str(COUNT_MAX)):
        subscribe(portal, boss, wanted[COUNT_MAX])
    with portal.transaction(bakery.id) as connection:
        scope = scope_of(portal, boss)
        assert len(report_subscriptions.of_person(connection, scope)) == COUNT_MAX
        report_subscriptions.end(connection, scope, first.id)
        with pytest.raises(NotFound):
            report_subscriptions.end(connection, scope, first.id)


@pytest.mark.parametrize("wrong", [{"hour": 24}, {"hour": -1}, {"form": "exe"}, {"language": "de"}])
def test_what_makes_no_sense_is_refused(portal: Catalogue, boss: User, wrong: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        subscribe(portal, boss, Wanted(Name.USAGE, Frequency.DAILY, **wrong))


def test_a_program_gets_no_mail(portal: Catalogue, bakery: Tenant) -> None:
    program = AccessScope(bakery.id, "api-client:x", scopes=frozenset({"reports:read"}))
    with portal.transaction(bakery.id) as connection, pytest.raises(Refused):
        report_subscriptions.set_one(connection, program, WEEKLY, now=MONDAY)


def test_without_a_mail_server_nothing_is_claimed(
    worker: Catalogue, portal: Catalogue, bakery: Tenant, boss: User, hands: Hands, database: Any
) -> None:
    subscribe(portal, boss, WEEKLY)
    hands.moment = MONDAY + timedelta(days=7)
    assert ReportMails(worker, AuditWriter(worker, "worker/x"), hands, None).queue_due(bakery.id) == 0
    assert database.connect().execute("SELECT count(*) FROM report_sendings").fetchone() == (0,)
