"""No page reads a large table or index from one end to the other, whatever is asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from archive.access import AccessScope, Hearing, Right
from archive.catalogue import (
    documents,
    evaluation_results,
    evaluation_samples,
    labels,
    lexemes,
    listing,
    migrate,
    recording_query,
    recordings,
    share_search,
    shares,
)
from archive.catalogue.evaluation_results import Wanted
from archive.catalogue.lexemes import Facet
from archive.catalogue.recordings import RecordingQuery, Sort
from archive.model import Direction, Role, TenantId, UserId
from tests.crowd import Crowd, crowded
from tests.generated_recordings import COMMON_NAME, COMMON_WORD, OWN_NUMBER, RARE_NAME, RARE_WORD
from tests.query_plans import ROWS_READ_MAX, Plan, recorded_plans

RECORDINGS = 20_000
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
QUERIES = {
    "everything": RecordingQuery(),
    "oldest": RecordingQuery(sort=Sort.OLDEST),
    "longest": RecordingQuery(sort=Sort.LONGEST),
    "a rare name": RecordingQuery(text=RARE_NAME),
    "a common name": RecordingQuery(text=COMMON_NAME),
    "a number everybody has": RecordingQuery(text=OWN_NUMBER),
    "part of a number": RecordingQuery(text="4711"),
    "a word of a note": RecordingQuery(text=RARE_WORD),
    "nothing": RecordingQuery(text="qqqq"),
    "one person": RecordingQuery(owner=UserId("user-0007")),
    "one person and a name": RecordingQuery(owner=UserId("user-0007"), text=COMMON_NAME),
    "a direction nobody called in": RecordingQuery(direction=Direction.INTERNAL),
    "three filters": RecordingQuery(
        direction=Direction.IN, has=frozenset({Facet.PAUSE}), since=NOW - timedelta(days=365)
    ),
    "long ones with a gap": RecordingQuery(duration_ms_min=3_600_000, has=frozenset({Facet.GAP})),
    "longer than any": RecordingQuery(duration_ms_min=7_200_000),
    "on hold": RecordingQuery(on_hold=True),
    "a period": RecordingQuery(since=NOW - timedelta(days=30), until=NOW - timedelta(days=20)),
    "without label": RecordingQuery(unlabelled=True),
    "a team": RecordingQuery(team="team-1"),
}
EVALUATED = (
    "INSERT INTO evaluation_forms VALUES ('form', %(tenant)s, 'Gesprek', 1, false, 1, 'x', %(at)s)",
    "INSERT INTO evaluation_form_versions VALUES (%(tenant)s, 'form', 1, '{}', 'x', %(at)s)",
    (
        "INSERT INTO evaluations (id, tenant_id, recording_id, form_id, form_version, owner, evaluator, state,"
        " answers, score_permille, failed, began_at, released_at, revision, changed_by, changed_at)"
        " SELECT id, tenant_id, id, 'form', 1, owner, 'user:' || owner, 'acknowledged', '{}', 500, false, started_at,"
        " started_at, 1, 'x', %(at)s FROM recordings WHERE tenant_id = %(tenant)s AND owner IS NOT NULL"
    ),
    "ANALYZE evaluations, evaluation_forms",
)
"""An evaluation of every recording, as they are after years."""

WRITTEN = (
    (
        "INSERT INTO labels (id, tenant_id, name, name_key, colour, shape, retired, revision, changed_by, changed_at)"
        " VALUES ('label', %(tenant)s, 'Overal', 'overal', 'green', 'dot', false, 1, 'x', %(at)s)"
    ),
    (
        "INSERT INTO recording_labels (tenant_id, recording_id, label_id, attached, revision, changed_by, changed_at)"
        " SELECT tenant_id, id, 'label', true, 1, 'x', %(at)s FROM recordings WHERE tenant_id = %(tenant)s"
    ),
    (
        "INSERT INTO shares (id, tenant_id, recording_id, token_hash, user_id, title, from_ms, to_ms, proof, made_at,"
        " ends_at, document) SELECT id, tenant_id, id, 'hash ' || id, owner, 'Levering', 0, 1000, 'none', started_at,"
        " %(at)s, array_to_tsvector(%(title)s::text[] || ('zaak' || abs(hashtext(id)) %% 300)) FROM recordings WHERE tenant_id = %(tenant)s AND owner IS NOT NULL"
    ),
    "ANALYZE labels, recording_labels, shares",
)
"""A label on every recording, and a play link."""

COUNTED_THROUGH = {("listener", "without label")}
"""What very many documents of others have too: counting a thousand of the team's reads most of the crowd's."""

LISTENER = frozenset(Hearing(UserId(f"user-{n:04}"), "team-1", NOW - timedelta(days=800)) for n in range(12))


def scopes(tenant_id: TenantId) -> dict[str, AccessScope]:
    return {
        "auditor": AccessScope(tenant_id, "user:auditor", Role.AUDITOR, UserId("auditor")),
        "listener": AccessScope(
            tenant_id, "user:x", Role.USER, UserId("x"), team_ids=frozenset({"team-1"}), heard=LISTENER
        ),
        "own": AccessScope(tenant_id, "user:u", Role.USER, UserId("user-0150"), "own"),
    }


@pytest.fixture(scope="module")
def crowd(postgres_url: str) -> Iterator[Crowd]:
    """Return a tenant with many recordings and a team of its people; made once, and only read."""
    with crowded(postgres_url, "crowded", RECORDINGS) as made:
        yield made


def read_within_bounds(plans: list[Plan], what: str) -> None:
    """Fail for a statement that reads a table as a whole, or more rows than a page may."""
    assert plans
    for plan in plans:
        assert not plan.scanned, f"{what}: {plan.statement}\n{plan}"
        assert plan.rows_read <= ROWS_READ_MAX, f"{what}: {plan.rows_read} of {plan.statement}\n{plan}"


@pytest.mark.parametrize("who", ["auditor", "listener", "own"])
def test_no_query_of_a_page_reads_much_more_than_it_shows(crowd: Crowd, who: str) -> None:
    """Neither the page, nor its count, nor the one recording by which an empty page tells its cause."""
    scope = scopes(crowd.tenant_id)[who]
    for what, query in QUERIES.items():
        with recorded_plans(crowd.portal) as plans:
            listed = listing.page(crowd.portal, scope, query, 50, now=datetime.now(UTC))
            if listed.page.next is not None:
                listing.page(crowd.portal, scope, query, 50, listed.page.next, now=datetime.now(UTC))
            recordings.find(crowd.portal, scope, query, 1)
        read_within_bounds(plans, f"{who}, {what}")
        if (who, what) in COUNTED_THROUGH:
            continue
        with recorded_plans(crowd.portal) as plans:
            listing.count(crowd.portal, scope, query)
        read_within_bounds(plans, f"{who}, {what}, count")


def test_the_bound_sees_an_index_that_is_walked_from_one_end_to_the_other(crowd: Crowd) -> None:
    """The oldest calls of whoever hears a team from some day on, without the first of them looked for."""
    scope = scopes(crowd.tenant_id)["listener"]
    with recorded_plans(crowd.portal) as plans, crowd.portal.transaction(crowd.tenant_id) as connection:
        connection.execute(documents.PLAN_FOR_PAGES)
        every = recordings.selected(connection, scope, RecordingQuery(sort=Sort.OLDEST)).limit(51)
        connection.execute(every).all()
    assert not any(plan.scanned for plan in plans)
    assert max(plan.rows_read for plan in plans) > ROWS_READ_MAX


def test_labels_and_play_links_are_counted_and_found_without_reading_all(crowd: Crowd) -> None:
    """A label on every recording, and a link: who looks for one of them reads few, however many there are."""
    title = share_search.of_title("Levering")
    with crowd.connect(tenant_id=crowd.tenant_id) as admin:
        for statement in WRITTEN:
            admin.execute(statement, {"tenant": crowd.tenant_id, "at": NOW, "title": title})
    everybody = scopes(crowd.tenant_id)
    with recorded_plans(crowd.portal) as plans:
        assert labels.uses(crowd.portal, everybody["auditor"]) == {"label": labels.USES_COUNT_MAX + 1}
        for scope in everybody.values():
            for text in ("", "qqqq", RARE_NAME, COMMON_NAME, "Levering", "zaak7", "Levering zaak7"):
                shares.page(crowd.portal, scope, now=NOW, text=text)
    read_within_bounds(plans, "labels and links")
    for role in ("earwitness_portal", "earwitness_operator"):
        for tenant_id, seen in (("", 0), (crowd.other_id, 0), (crowd.tenant_id, RECORDINGS)):
            with crowd.connect(role, tenant_id) as connection:
                found = connection.execute("SELECT count(*) FROM searchable_shares").fetchone()
            assert found == (seen,), role


def test_no_list_of_evaluations_scans_all_of_them_or_all_recordings(crowd: Crowd) -> None:
    """Of a listener their people's, of a person their own, of an auditor the newest page."""
    with crowd.connect(tenant_id=crowd.tenant_id) as admin:
        for statement in EVALUATED:
            admin.execute(statement, {"tenant": crowd.tenant_id, "at": NOW})
    everybody = scopes(crowd.tenant_id)
    rights = frozenset(replace(each, rights=frozenset({Right.EVALUATE})) for each in LISTENER)
    listener = replace(everybody["listener"], heard=rights)
    asked = Wanted(since=NOW - timedelta(days=30))
    with recorded_plans(crowd.portal) as plans:
        for scope in (listener, everybody["own"]):
            evaluation_results.of_person(crowd.portal, scope)
            evaluation_results.drafts(crowd.portal, scope)
            evaluation_results.of_others(crowd.portal, scope)
            evaluation_results.averages(crowd.portal, scope, asked)
            evaluation_samples.samples(crowd.portal, scope)
        found = evaluation_results.of_others(crowd.portal, everybody["auditor"], limit=50)
        evaluation_results.of_others(crowd.portal, everybody["auditor"], limit=50, cursor=found.cursor)
    assert len(found.items) == 50
    for plan in plans:
        scanned = {node["Relation Name"] for node in plan.nodes if node["Node Type"] == "Seq Scan"}
        assert not scanned & {"evaluations", "recordings"}, f"{plan.statement}\n{plan}"


def test_a_rare_text_is_found_by_the_index_of_documents_despite_row_level_security(crowd: Crowd) -> None:
    scope = scopes(crowd.tenant_id)["auditor"]
    for text in (RARE_NAME, RARE_WORD, "qqqq"):
        with recorded_plans(crowd.portal) as plans:
            recordings.find(crowd.portal, scope, RecordingQuery(text=text))
        used = {index for plan in plans for index in plan.indexes}
        assert "recording_documents_document_idx" in used, text


def test_words_the_statistics_do_not_know_are_rare_in_an_archive_of_any_size(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "FEW_ROWS_MIN", 0)
    monkeypatch.setattr(documents, "few_rows_max", lambda rows: 0)
    with crowd.portal.transaction(crowd.tenant_id) as connection:

        def few(text: str, *facets: Facet) -> bool:
            wanted = documents.Wanted(text, tuple(facet.lexeme for facet in facets))
            return documents.finds_few(connection, documents.terms_of(connection, wanted))

        assert [few(text) for text in (RARE_NAME, RARE_WORD, "qqqq", "06 999 999 99")] == [True] * 4
        assert [few(text) for text in (COMMON_NAME, OWN_NUMBER, COMMON_WORD)] == [False] * 3
        assert few("qqqq", Facet.PAUSE)
        assert few(f"{COMMON_NAME} qqqq")
        assert not few(COMMON_NAME, Facet.PAUSE)


def test_the_larger_the_archive_the_more_is_put_in_order_sooner_than_walked_through() -> None:
    assert [documents.few_rows_max(10**power) for power in (4, 6, 7)] == [500, 5000, 15811]


@pytest.mark.parametrize("sort", [Sort.NEWEST, Sort.OLDEST])
@pytest.mark.parametrize("who", ["own", "listener"])
def test_a_glance_at_the_next_recordings_of_a_few_finds_the_page_the_index_of_words_finds(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, who: str, sort: Sort
) -> None:
    """Page after page, also behind where it can't be filled any more."""
    scope, query = scopes(crowd.tenant_id)[who], RecordingQuery(text="naam", sort=sort)
    monkeypatch.setattr(documents, "GATHERED_ROWS_MIN", 0)

    def pages() -> list[list[str]]:
        found, cursor = [], None
        while not found or cursor is not None:
            page = recordings.find(crowd.portal, scope, query, 20, cursor)
            found.append([each.id for each in page.items])
            cursor = page.next
        return found

    with recorded_plans(crowd.portal) as plans:
        glanced = pages()
    assert sum(len(page) for page in glanced) > 60
    assert "recordings_tenant_id_owner_started_at_id_idx" in {
        index for plan in plans for index in plan.indexes
    }
    monkeypatch.setattr(recording_query, "GLANCE_OWNERS_MAX", 0)
    assert pages() == glanced


@pytest.mark.parametrize("sort", [Sort.NEWEST, Sort.OLDEST])
@pytest.mark.parametrize(
    "within", [{}, {"since": NOW - timedelta(days=900), "until": NOW - timedelta(days=90)}]
)
def test_a_period_that_is_looked_through_first_changes_no_page(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, within: dict[str, datetime], sort: Sort
) -> None:
    """Page after page, also where the period holds too few."""
    scope, query = scopes(crowd.tenant_id)["auditor"], RecordingQuery(text=COMMON_NAME, sort=sort, **within)

    def pages() -> tuple[list[list[str]], int]:
        found, cursor = [], None
        with recorded_plans(crowd.portal) as plans:
            while not found or cursor is not None:
                page = recordings.find(crowd.portal, scope, query, 20, cursor)
                found.append([each.id for each in page.items])
                cursor = page.next
        return found, sum("LIMIT" in plan.statement for plan in plans)

    monkeypatch.setattr(recording_query, "NARROWED_ROWS_MIN", RECORDINGS)
    whole, asked = pages()
    assert len(whole) > 3
    monkeypatch.setattr(recording_query, "NARROWED_ROWS_MIN", 1)
    for rows, short in ((10, True), (60, False)):
        monkeypatch.setattr(recording_query, "NARROWED_ROWS", rows)
        found, again = pages()
        assert found == whole
        assert (again > asked * 3 // 2) == short


@pytest.mark.parametrize("sort", [Sort.NEWEST, Sort.OLDEST])
@pytest.mark.parametrize("who", ["auditor", "listener", "own"])
def test_whoever_asks_with_several_filters_misses_and_repeats_nothing_over_the_borders_of_periods(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, who: str, sort: Sort
) -> None:
    """Onwards page by page and back again, where a period holds all, few, or nothing of what is asked for."""
    scope, size = scopes(crowd.tenant_id)[who], 40
    asked = (
        RecordingQuery(text=COMMON_NAME, direction=Direction.IN, sort=sort),
        RecordingQuery(text=COMMON_NAME, duration_ms_min=600_000, sort=sort),
        RecordingQuery(has=frozenset({Facet.PAUSE, Facet.GAP}), team="team-1", sort=sort),
        RecordingQuery(text=COMMON_NAME, owner=UserId("user-0007"), sort=sort),
    )

    def walked(query: RecordingQuery) -> list[str]:
        found, cursor, before = [], None, None
        while not found or cursor is not None:
            page = recordings.find(crowd.portal, scope, query, size, cursor)
            if cursor is not None:
                begin = recordings.cursor_of(sort, page.items[0])
                assert listing.cursor_before(crowd.portal, scope, query, size, begin) == before
            elif not page.items:
                break
            found += [each.id for each in page.items]
            before, cursor = cursor, page.next
        return found

    for query in asked:
        monkeypatch.setattr(recording_query, "NARROWED_ROWS_MIN", RECORDINGS * 10)
        whole = walked(query)
        assert len(set(whole)) == len(whole)
        monkeypatch.setattr(recording_query, "NARROWED_ROWS_MIN", 1)
        for rows in (1, 30, 400):
            monkeypatch.setattr(recording_query, "NARROWED_ROWS", rows)
            assert walked(query) == whole


@pytest.mark.parametrize("end", [recording_query.BEGINNING, recording_query.END])
@pytest.mark.parametrize("sort", [Sort.NEWEST, Sort.OLDEST])
def test_a_period_is_looked_through_first_up_to_where_time_ends(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, sort: Sort, end: datetime
) -> None:
    """A made-up cursor or date has no next period, whatever lies behind it."""
    monkeypatch.setattr(recording_query, "NARROWED_ROWS_MIN", 1)
    scope, query = scopes(crowd.tenant_id)["auditor"], RecordingQuery(text=COMMON_NAME, sort=sort)
    behind_all = sort.descends == (end == recording_query.BEGINNING)
    found = recordings.find(crowd.portal, scope, query, 20, recordings.encode_cursor(end, "x"))
    assert bool(found.items) != behind_all
    since = recordings.find(crowd.portal, scope, replace(query, since=end), 20)
    assert bool(since.items) == (end == recording_query.BEGINNING)
    until = recordings.find(crowd.portal, scope, replace(query, until=end), 20)
    assert bool(until.items) == (end == recording_query.END)


def test_generated_documents_hold_what_the_program_would_make_of_them(crowd: Crowd) -> None:
    scope = scopes(crowd.tenant_id)["auditor"]
    with crowd.connect() as admin:
        for recording in recordings.find(crowd.portal, scope, limit=20).items:
            row = admin.execute(
                "SELECT tsvector_to_array(document) FROM recording_documents WHERE recording_id = %s",
                (recording.id,),
            ).fetchone()
            assert row is not None
            wanted = {each for each in lexemes.of_recording(recording) if not each.startswith("#has:")}
            assert wanted <= set(row[0])


def test_what_generated_recordings_are_known_for_is_found(crowd: Crowd) -> None:
    scope = scopes(crowd.tenant_id)["auditor"]
    assert (
        len(recordings.find(crowd.portal, scope, RecordingQuery(text=RARE_NAME)).items) == RECORDINGS // 5000
    )
    assert (
        len(recordings.find(crowd.portal, scope, RecordingQuery(text=RARE_WORD)).items)
        == RECORDINGS // 20_000
    )
    assert listing.count(crowd.portal, scope, RecordingQuery()).exact is False
    assert listing.count(crowd.portal, scope, RecordingQuery(on_hold=True)).rows == len(
        range(1, RECORDINGS, 997)
    )


def test_a_tenant_sees_nothing_of_another_by_the_view_of_documents(crowd: Crowd) -> None:
    for role in migrate.ROLES:
        for tenant_id, seen in (("", 0), (crowd.other_id, 0), (crowd.tenant_id, RECORDINGS)):
            with crowd.connect(role, tenant_id) as connection:
                assert connection.execute("SELECT count(*) FROM searchable").fetchone() == (seen,), role
