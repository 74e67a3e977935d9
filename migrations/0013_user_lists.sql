-- User lists: exports of flat rows that are downloaded as one file; and the numbers that users have
-- in them.

CREATE TABLE user_list_pieces (
    job_id     bigint  NOT NULL REFERENCES jobs ON DELETE CASCADE,
    place      integer NOT NULL,
    key        text    NOT NULL UNIQUE,
    size_bytes bigint  NOT NULL,
    row_count  bigint  NOT NULL,
    sha256     text    NOT NULL,

    PRIMARY KEY (job_id, place)
);

COMMENT ON TABLE user_list_pieces IS
    'The parts of user lists that have succeeded. One after the other they are the file.';

CREATE TRIGGER discard_deleted_user_list_piece AFTER DELETE ON user_list_pieces
    FOR EACH ROW EXECUTE FUNCTION discard_file();

-- Serves downloads, which name a job by the instant of its creation.
CREATE INDEX user_lists_by_creation ON jobs (organisation_id, created_at)
    WHERE kind = 'user_list';
-- Serves the sweeper, which looks for lists that have had their time.
CREATE INDEX user_lists_by_end ON jobs (finished_at) WHERE kind = 'user_list';

CREATE TABLE numberings (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sandbox_id      uuid        NOT NULL,
    organisation_id text        NOT NULL,
    commit_number   bigint      NOT NULL,
    key             text        NOT NULL UNIQUE,
    size_bytes      bigint      NOT NULL,
    row_count       bigint      NOT NULL,
    merged_key      text        NOT NULL UNIQUE,
    merged_count    bigint      NOT NULL,
    next_number     bigint      NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),

    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    CONSTRAINT javascript_bears_the_numbers CHECK (next_number BETWEEN 1 AND 9007199254740992)
);

COMMENT ON TABLE numberings IS
    'Which numbers (gio_id) were given to profiles. Nothing else knows: the newest of a sandbox is '
    'kept for ever, and its file with it. Older ones stay while an unfinished job reads them.';
COMMENT ON COLUMN numberings.commit_number IS
    'The snapshot it was made for: it numbers every profile of that one.';
COMMENT ON COLUMN numberings.next_number IS
    'The first number that was never given: the counter of the sandbox.';

-- Serves whoever wants the newest.
CREATE INDEX numberings_of_a_sandbox ON numberings (sandbox_id, id);

CREATE FUNCTION discard_numbering() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO discarded_files (key) VALUES (OLD.key), (OLD.merged_key) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

COMMENT ON FUNCTION discard_numbering IS 'As discard_file, of rows that name two files.';

CREATE TRIGGER discard_deleted_numbering AFTER DELETE ON numberings
    FOR EACH ROW EXECUTE FUNCTION discard_numbering();
