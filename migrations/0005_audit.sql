-- Who changed, read and downloaded what. Written in the transaction of the change it tells of.

CREATE TABLE audit_entries (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    sandbox_id      uuid        NOT NULL,
    organisation_id text        NOT NULL,
    actor           text        NOT NULL,
    action          text        NOT NULL,
    object_kind     text        NOT NULL,
    object_id       text        NOT NULL,
    request_id      text        NOT NULL,
    details         jsonb,

    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    CONSTRAINT audited_action_is_known CHECK (action IN (
        'create', 'change', 'remove', 'upload', 'complete', 'cancel', 'revert', 'read',
        'download'))
);

COMMENT ON TABLE audit_entries IS
    'Append only: a trigger refuses every other change. What it names may be gone, so nothing but '
    'its sandbox is referenced.';
COMMENT ON COLUMN audit_entries.actor IS 'The id of the client that called.';

-- Serves the listing, newest first.
CREATE INDEX audit_entries_of_a_sandbox ON audit_entries (sandbox_id, id);
-- Serves the question what happened to one thing, and whether a download was noted.
CREATE INDEX audit_entries_of_an_object ON audit_entries (sandbox_id, object_id, id);

CREATE FUNCTION refuse_to_rewrite_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_entries is append only: % is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_entries_are_never_changed
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_rewrite_history();
