"""The tables of the catalogue as SQLAlchemy Core sees them, a module for each part of it.

`migrations/` makes them, with row-level security, rights and triggers; a test
compares the two. Ids are the text of a UUID; times are `timestamptz` in UTC.

Rules: every table with a `tenant_id` stands under FORCE ROW LEVEL SECURITY;
`INSTANCE_TABLES` are the few that belong to no tenant and hold nothing of one.
"""

from __future__ import annotations

from archive.catalogue.tables.annotations import (
    annotation_revisions,
    comments,
    favourites,
    labels,
    notes,
    recording_labels,
)
from archive.catalogue.tables.audit import (
    audit_bodies,
    audit_checkpoints,
    audit_entries,
    audit_erasures,
    audit_leaves,
    audit_logs,
    audit_nodes,
    audit_writers,
)
from archive.catalogue.tables.calls import call_events, commands, live_calls, recorder_nodes
from archive.catalogue.tables.cases import (
    case_changes,
    case_copies,
    case_people,
    case_recordings,
    case_rules,
    cases,
)
from archive.catalogue.tables.columns import metadata
from archive.catalogue.tables.data_subjects import (
    data_subject_calls,
    data_subject_requests,
    data_subject_searches,
)
from archive.catalogue.tables.directory import (
    api_clients,
    brandings,
    departures,
    do_not_record,
    exempt_numbers,
    keep_next,
    peers,
    recording_grounds,
    team_members,
    teams,
    tenant_policies,
    tenants,
    user_licences,
    user_numbers,
    user_passwords,
    users,
)
from archive.catalogue.tables.evaluations import (
    evaluation_figures,
    evaluation_form_versions,
    evaluation_forms,
    evaluation_policies,
    evaluation_sample_calls,
    evaluation_samples,
    evaluations,
)
from archive.catalogue.tables.exports import export_parts, exports
from archive.catalogue.tables.find import (
    last_views,
    recording_documents,
    recording_waveforms,
    saved_searches,
    searchable,
)
from archive.catalogue.tables.keys import retired_keks
from archive.catalogue.tables.notifications import notification_choices, notifications
from archive.catalogue.tables.operation import known_moments
from archive.catalogue.tables.positions import positions
from archive.catalogue.tables.proposals import proposals
from archive.catalogue.tables.purposes import recording_purposes
from archive.catalogue.tables.recordings import (
    exempt_days,
    minute_bookings,
    minute_months,
    received_octets,
    recording_objects,
    recording_parties,
    recordings,
    session_names,
    sessions,
)
from archive.catalogue.tables.reports import (
    report_days,
    report_sendings,
    report_standing,
    report_subscriptions,
)
from archive.catalogue.tables.retention import (
    condemned,
    destructions,
    restores,
    retention_clocks,
    retention_figures,
    trash,
)
from archive.catalogue.tables.rosters import roster_imports, roster_rows
from archive.catalogue.tables.shares import (
    mails,
    searchable_shares,
    share_policies,
    share_visits,
    shares,
)
from archive.catalogue.tables.sign_in import (
    identities,
    identity_providers,
    invitations,
    passkeys,
    portal_sessions,
    recovery_codes,
    sign_in_attempts,
    spent_challenges,
    totp_secrets,
    user_emails,
)
from archive.catalogue.tables.storage import (
    legal_duties,
    scrub_findings,
    scrub_progress,
    scrubs,
    worm_proofs,
)

__all__ = [
    "INSTANCE_TABLES",
    "annotation_revisions",
    "api_clients",
    "audit_bodies",
    "audit_checkpoints",
    "audit_entries",
    "audit_erasures",
    "audit_leaves",
    "audit_logs",
    "audit_nodes",
    "audit_writers",
    "brandings",
    "call_events",
    "case_changes",
    "case_copies",
    "case_people",
    "case_recordings",
    "case_rules",
    "cases",
    "commands",
    "comments",
    "condemned",
    "data_subject_calls",
    "data_subject_requests",
    "data_subject_searches",
    "departures",
    "destructions",
    "do_not_record",
    "evaluation_figures",
    "evaluation_form_versions",
    "evaluation_forms",
    "evaluation_policies",
    "evaluation_sample_calls",
    "evaluation_samples",
    "evaluations",
    "exempt_days",
    "exempt_numbers",
    "export_parts",
    "exports",
    "favourites",
    "identities",
    "identity_providers",
    "invitations",
    "keep_next",
    "known_moments",
    "labels",
    "last_views",
    "legal_duties",
    "live_calls",
    "mails",
    "metadata",
    "minute_bookings",
    "minute_months",
    "notes",
    "notification_choices",
    "notifications",
    "passkeys",
    "peers",
    "portal_sessions",
    "positions",
    "proposals",
    "received_octets",
    "recorder_nodes",
    "recording_documents",
    "recording_grounds",
    "recording_labels",
    "recording_objects",
    "recording_parties",
    "recording_purposes",
    "recording_waveforms",
    "recordings",
    "recovery_codes",
    "report_days",
    "report_sendings",
    "report_standing",
    "report_subscriptions",
    "restores",
    "retention_clocks",
    "retention_figures",
    "retired_keks",
    "roster_imports",
    "roster_rows",
    "saved_searches",
    "scrub_findings",
    "scrub_progress",
    "scrubs",
    "searchable",
    "searchable_shares",
    "session_names",
    "sessions",
    "share_policies",
    "share_visits",
    "shares",
    "sign_in_attempts",
    "spent_challenges",
    "team_members",
    "teams",
    "tenant_policies",
    "tenants",
    "totp_secrets",
    "trash",
    "user_emails",
    "user_licences",
    "user_numbers",
    "user_passwords",
    "users",
    "worm_proofs",
]

INSTANCE_TABLES = frozenset(
    {
        "audit_checkpoints",
        "audit_leaves",
        "audit_logs",
        "audit_nodes",
        "audit_writers",
        "exempt_days",
        "known_moments",
        "recorder_nodes",
        "restores",
        "retention_clocks",
        "retention_figures",
        "scrub_progress",
        "sign_in_attempts",
        "spent_challenges",
        "worm_proofs",
    }
)
