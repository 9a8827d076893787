"""Evaluations: forms in versions nobody changes, evaluations, and the figures that outlive them.

Of an evaluation that was released every later value stays; what is still a draft is nobody's
yet. When its recording goes it goes too, and its score is added to figures by month that name
neither person nor call. Only the worker deletes any of it.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0080"
down_revision = "0070"

TABLES = """
CREATE TABLE evaluation_forms (
    id text PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants (id),
    name text NOT NULL,
    version integer NOT NULL,
    retired boolean NOT NULL,
    revision integer NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT evaluation_forms_tenant_id_id_key UNIQUE (tenant_id, id)
);

CREATE TABLE evaluation_form_versions (
    tenant_id text NOT NULL,
    form_id text NOT NULL,
    version integer NOT NULL,
    content jsonb NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, form_id, version),
    FOREIGN KEY (tenant_id, form_id) REFERENCES evaluation_forms (tenant_id, id)
);

CREATE TABLE evaluations (
    id text PRIMARY KEY,
    tenant_id text NOT NULL,
    recording_id text NOT NULL,
    form_id text NOT NULL,
    form_version integer NOT NULL,
    owner text NOT NULL,
    evaluator text NOT NULL,
    state text NOT NULL CONSTRAINT evaluations_state_check
        CHECK (state IN ('draft', 'released', 'acknowledged', 'disputed', 'settled', 'withdrawn')),
    answers jsonb NOT NULL,
    score_permille integer,
    failed boolean NOT NULL,
    began_at timestamptz NOT NULL,
    released_at timestamptz,
    objection text,
    settlement text,
    revision integer NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL,
    FOREIGN KEY (tenant_id, recording_id) REFERENCES recordings (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, form_id, form_version)
        REFERENCES evaluation_form_versions (tenant_id, form_id, version)
);
CREATE UNIQUE INDEX evaluations_once_idx ON evaluations (recording_id, evaluator, form_id)
    WHERE state <> 'withdrawn';
CREATE INDEX evaluations_tenant_id_owner_released_at_idx ON evaluations (tenant_id, owner, released_at);
CREATE INDEX evaluations_tenant_id_evaluator_idx ON evaluations (tenant_id, evaluator);

CREATE TABLE evaluation_figures (
    tenant_id text NOT NULL REFERENCES tenants (id),
    form_id text NOT NULL,
    form_version integer NOT NULL,
    month date NOT NULL,
    evaluations bigint NOT NULL,
    permille_sum bigint NOT NULL,
    failed bigint NOT NULL,
    PRIMARY KEY (tenant_id, form_id, form_version, month),
    FOREIGN KEY (tenant_id, form_id, form_version)
        REFERENCES evaluation_form_versions (tenant_id, form_id, version)
);
"""

TRIGGERS = """
CREATE TRIGGER number_revision BEFORE INSERT OR UPDATE ON evaluation_forms
    FOR EACH ROW EXECUTE FUNCTION number_revision();
CREATE TRIGGER keep_revision AFTER INSERT OR UPDATE ON evaluation_forms
    FOR EACH ROW EXECUTE FUNCTION keep_revision('evaluation-form', 'id');

CREATE TRIGGER number_revision BEFORE INSERT OR UPDATE ON evaluations
    FOR EACH ROW EXECUTE FUNCTION number_revision();
CREATE TRIGGER keep_revision AFTER INSERT OR UPDATE ON evaluations
    FOR EACH ROW WHEN (NEW.state NOT IN ('draft', 'withdrawn'))
    EXECUTE FUNCTION keep_revision('evaluation', 'id');

-- As the owner of the tables: nobody else adds a figure.
CREATE FUNCTION keep_figure() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO evaluation_figures AS figures
        (tenant_id, form_id, form_version, month, evaluations, permille_sum, failed)
    VALUES (OLD.tenant_id, OLD.form_id, OLD.form_version,
            date_trunc('month', OLD.released_at AT TIME ZONE 'Europe/Amsterdam')::date,
            1, OLD.score_permille, OLD.failed::int)
    ON CONFLICT (tenant_id, form_id, form_version, month) DO UPDATE SET
        evaluations = figures.evaluations + 1,
        permille_sum = figures.permille_sum + EXCLUDED.permille_sum,
        failed = figures.failed + EXCLUDED.failed;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_figure AFTER DELETE ON evaluations
    FOR EACH ROW WHEN (OLD.released_at IS NOT NULL AND OLD.score_permille IS NOT NULL)
    EXECUTE FUNCTION keep_figure();

CREATE FUNCTION refuse_evaluation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was released is not changed so' USING ERRCODE = 'insufficient_privilege';
END $$;
-- A net behind the programs: nothing goes back to a draft, and answers stand still but for a dispute.
CREATE TRIGGER refuse_evaluation BEFORE UPDATE ON evaluations
    FOR EACH ROW WHEN (
        (OLD.state <> 'draft' AND NEW.state IN ('draft', 'withdrawn'))
        OR (OLD.state NOT IN ('draft', 'disputed') AND NEW.answers <> OLD.answers)
        OR (OLD.released_at IS NOT NULL AND NEW.released_at IS DISTINCT FROM OLD.released_at))
    EXECUTE FUNCTION refuse_evaluation();
"""

GRANTS = """
GRANT SELECT, INSERT ON evaluation_forms, evaluation_form_versions, evaluations TO earwitness_portal;
GRANT UPDATE (name, version, retired, changed_by, changed_at) ON evaluation_forms TO earwitness_portal;
GRANT UPDATE (state, answers, score_permille, failed, released_at, objection, settlement, changed_by,
    changed_at) ON evaluations TO earwitness_portal;
GRANT SELECT ON evaluation_figures TO earwitness_portal;
GRANT SELECT ON evaluation_forms, evaluation_form_versions, evaluation_figures TO earwitness_worker;
GRANT SELECT, DELETE ON evaluations TO earwitness_worker;
"""


def _tenant_policy(table: str) -> str:
    return f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON {table} USING (tenant_id = current_tenant());
"""


def upgrade() -> None:
    """Make tables, policies, triggers and rights."""
    cursor = op.get_bind().connection.cursor()
    named = ("evaluation_forms", "evaluation_form_versions", "evaluations", "evaluation_figures")
    for statements in (TABLES, *map(_tenant_policy, named), TRIGGERS, GRANTS):
        cursor.execute(statements)
    cursor.close()
