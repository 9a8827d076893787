"""What a link or an identity proves: only mail that went out proves an address, an account has one subject.

Links that were never used end with the password they would replace, whoever changes it.
"""  # noqa: INP001

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"

TABLES = """
-- Of links made before nobody knows any more how they left, so that they prove nothing.
ALTER TABLE invitations ADD COLUMN mailed boolean NOT NULL DEFAULT false;
ALTER TABLE invitations ALTER COLUMN mailed DROP DEFAULT;

-- Whether a login is an address is the operator's to say, for each provider.
ALTER TABLE identity_providers ADD COLUMN logins_are_addresses boolean NOT NULL DEFAULT false;
ALTER TABLE identity_providers ALTER COLUMN logins_are_addresses DROP DEFAULT;

-- The first subject that was linked stays; one that came later may be a stranger's. No tenant is
-- named here, so that forced security would show the owner no row.
ALTER TABLE identities NO FORCE ROW LEVEL SECURITY;
DELETE FROM identities i USING identities earlier
    WHERE (earlier.tenant_id, earlier.issuer, earlier.user_id) = (i.tenant_id, i.issuer, i.user_id)
        AND (earlier.linked_at, earlier.subject) < (i.linked_at, i.subject);
ALTER TABLE identities ADD CONSTRAINT identities_tenant_id_issuer_user_id_key
    UNIQUE (tenant_id, issuer, user_id);
ALTER TABLE identities FORCE ROW LEVEL SECURITY;
"""

FUNCTIONS = """
CREATE FUNCTION end_invitations() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM invitations i
        WHERE i.tenant_id = NEW.tenant_id AND i.user_id = NEW.user_id AND i.used_at IS NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER end_invitations AFTER INSERT OR UPDATE OF set_at ON user_passwords
    FOR EACH ROW EXECUTE FUNCTION end_invitations();
"""


def upgrade() -> None:
    """Make columns, the constraint and the trigger."""
    cursor = op.get_bind().connection.cursor()
    for statements in (TABLES, FUNCTIONS):
        cursor.execute(statements)
    cursor.close()
