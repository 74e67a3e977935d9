-- What the sweeper goes by: the folders that something may have been written below, the files that
-- no row names any more, and what its rounds did. It removes nothing that is not told of here, so
-- files that are newer than a restored database stay.

CREATE TABLE folders (
    key      text        PRIMARY KEY,
    job_id   bigint,
    attempt  integer,
    batch_id text,
    due_at   timestamptz NOT NULL DEFAULT now(),
    known_at timestamptz,

    CONSTRAINT a_folder_is_an_attempts_or_a_batchs CHECK (
        (job_id IS NOT NULL) = (attempt IS NOT NULL)
        AND (job_id IS NULL) = (batch_id IS NOT NULL))
);

-- Serves the sweeper, which looks at the folder that has waited longest.
CREATE INDEX folders_by_due ON folders (due_at);

COMMENT ON TABLE folders IS
    'Folders of attempts and of uploads, each noted before anything is written below it, and '
    'forgotten when nothing can be any more. They refer to nothing: a folder outlives its job '
    'and its batch until it was swept.';
COMMENT ON COLUMN folders.due_at IS 'When the sweeper looks below it again.';
COMMENT ON COLUMN folders.known_at IS 'When the sweeper first looked below it.';

CREATE TABLE discarded_files (
    key          text        PRIMARY KEY,
    discarded_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE discarded_files IS
    'Files whose row went: they are removed soon, and this says so until they are.';

CREATE FUNCTION discard_file() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO discarded_files (key) VALUES (OLD.key) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

COMMENT ON FUNCTION discard_file IS
    'Whoever deletes a row that names a file need not know how files are removed, and a process '
    'that dies between the two leaves nothing behind.';

CREATE TRIGGER discard_deleted_upload AFTER DELETE ON uploads
    FOR EACH ROW EXECUTE FUNCTION discard_file();
CREATE TRIGGER discard_replaced_upload AFTER UPDATE OF key ON uploads
    FOR EACH ROW WHEN (OLD.key <> NEW.key) EXECUTE FUNCTION discard_file();
CREATE TRIGGER discard_deleted_chunk AFTER DELETE ON chunks
    FOR EACH ROW EXECUTE FUNCTION discard_file();
CREATE TRIGGER discard_replaced_chunk AFTER UPDATE OF key ON chunks
    FOR EACH ROW WHEN (OLD.key <> NEW.key) EXECUTE FUNCTION discard_file();
CREATE TRIGGER discard_deleted_dataset_file AFTER DELETE ON dataset_files
    FOR EACH ROW EXECUTE FUNCTION discard_file();
CREATE TRIGGER discard_deleted_meta_file AFTER DELETE ON meta_files
    FOR EACH ROW EXECUTE FUNCTION discard_file();
CREATE TRIGGER discard_deleted_store_file AFTER DELETE ON store_files
    FOR EACH ROW EXECUTE FUNCTION discard_file();

-- Serves the sweeper, which looks for store files that left the last snapshot.
CREATE INDEX store_files_removed ON store_files (sandbox_id, removed) WHERE removed IS NOT NULL;
-- Serves the sweeper, which asks what is pinned.
CREATE INDEX jobs_pinning ON jobs (sandbox_id, snapshot)
    WHERE snapshot IS NOT NULL AND finished_at IS NULL;
-- Serves the sweeper, which looks for batches that nobody completes.
CREATE INDEX batches_loading ON batches (updated_at) WHERE state = 'loading';
-- Serves the sweeper, which looks for batches that were taken back.
CREATE INDEX batches_inactive ON batches (updated_at) WHERE state = 'inactive';

-- Serves the sweeper, which erases what was deleted.
CREATE INDEX batches_deleted ON batches (id) WHERE deleted_at IS NOT NULL;

CREATE TABLE sweeps (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor      text        NOT NULL,
    counts     jsonb       NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

COMMENT ON TABLE sweeps IS 'The sweeper''s last rounds, for doctor.';
