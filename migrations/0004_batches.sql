-- Batches, the files callers sent for them, the files they are read by, and the files of the
-- profile store that came with them.

CREATE TABLE batches (
    id              text        PRIMARY KEY,
    sandbox_id      uuid        NOT NULL,
    organisation_id text        NOT NULL,
    dataset_id      text        NOT NULL,
    state           text        NOT NULL,
    input_format    jsonb       NOT NULL,
    external_id     text,
    tags            jsonb       NOT NULL DEFAULT '{}',
    replay          jsonb,
    tolerated_percentage double precision NOT NULL DEFAULT 0,
    has_diagnostics boolean     NOT NULL DEFAULT false,
    ingest_number   bigint,
    job_id          bigint      REFERENCES jobs,
    place           integer     NOT NULL DEFAULT 0,
    metrics         jsonb       NOT NULL DEFAULT '{}',
    errors          jsonb       NOT NULL DEFAULT '[]',
    ignored_fields  jsonb       NOT NULL DEFAULT '[]',
    version         integer     NOT NULL DEFAULT 1,
    created_by      text        NOT NULL,
    updated_by      text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    started_at      timestamptz,
    finished_at     timestamptz,
    deleted_at      timestamptz,

    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    FOREIGN KEY (dataset_id, sandbox_id) REFERENCES datasets (id, sandbox_id),
    CONSTRAINT batch_state_is_known CHECK (
        state IN ('loading', 'loaded', 'exporting', 'active', 'failed', 'aborted', 'inactive')),
    CONSTRAINT only_ended_batches_have_an_end CHECK (
        (finished_at IS NOT NULL) = (state IN ('active', 'failed', 'aborted', 'inactive'))),
    CONSTRAINT a_batch_waits_for_a_job CHECK (
        state NOT IN ('loaded', 'exporting') OR job_id IS NOT NULL),
    CONSTRAINT a_share_is_a_percentage CHECK (tolerated_percentage BETWEEN 0 AND 100),
    CONSTRAINT a_completed_batch_has_its_place CHECK (
        state <> 'loaded' OR ingest_number IS NOT NULL),
    CONSTRAINT a_deleted_batch_has_ended CHECK (
        deleted_at IS NULL OR state IN ('failed', 'aborted', 'inactive')),
    CONSTRAINT an_ingest_number_is_given_once UNIQUE (sandbox_id, ingest_number)
);

-- Serves the listing of batches, of a data set or of all.
CREATE INDEX batches_of_a_sandbox ON batches (sandbox_id, created_at, id);
CREATE INDEX batches_of_a_dataset ON batches (dataset_id, created_at, id);
-- Serves replays, which may name batches by what their callers call them.
CREATE INDEX batches_by_external_id ON batches (dataset_id, external_id)
    WHERE external_id IS NOT NULL;
-- Serves the end of a job, which ends its batches, and whoever names them.
CREATE INDEX batches_of_a_job ON batches (job_id, place);

COMMENT ON COLUMN batches.tolerated_percentage IS
    'The share of its rows that may be set aside; one more and the batch fails.';
COMMENT ON COLUMN batches.ignored_fields IS
    'Paths that its rows have and its schema has not: the first hundred.';
COMMENT ON COLUMN batches.version IS 'Counts from 1 and rises with every change.';
COMMENT ON COLUMN batches.updated_by IS 'Who moved or changed it last; null: nobody did.';
COMMENT ON COLUMN batches.deleted_at IS
    'It was erased, alone or with its data set: callers no longer find it, no export that read it '
    'is left unfinished, and its files are to go at once.';
COMMENT ON COLUMN batches.replay IS
    'The batches that become inactive when this one becomes active, and the caller''s word for why.';

COMMENT ON COLUMN batches.place IS
    'Its place among the batches that its job fills, from 0: one for each segment of an export.';

CREATE VIEW export_jobs AS
SELECT jobs.id, jobs.sandbox_id, jobs.organisation_id, sandboxes.name AS sandbox_name, jobs.kind,
       jobs.state, jobs.dataset_id, jobs.snapshot, jobs.attempt, jobs.failed_attempts,
       jobs.worker_id, jobs.progress, jobs.metrics, jobs.errors, jobs.created_by, jobs.request_id,
       jobs.created_at, jobs.updated_at, jobs.started_at, jobs.finished_at,
       jobs."order" - 'selection' AS "order",
       ARRAY(SELECT batches.id FROM batches
              WHERE batches.job_id = jobs.id ORDER BY batches.place) AS batch_ids
  FROM jobs JOIN sandboxes ON sandboxes.id = jobs.sandbox_id
 WHERE jobs.kind = 'export';

COMMENT ON VIEW export_jobs IS
    'What callers see of export jobs. The schemas a job pinned are left behind: they are large and '
    'only the engine needs them.';

CREATE TABLE batch_events (
    batch_id text        NOT NULL REFERENCES batches ON DELETE CASCADE,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    event    text        NOT NULL,
    state    text        NOT NULL,
    actor    text        NOT NULL
);

CREATE INDEX batch_events_of_a_batch ON batch_events (batch_id, at);

CREATE TABLE uploads (
    batch_id   text        NOT NULL REFERENCES batches ON DELETE CASCADE,
    path       text        COLLATE "C" NOT NULL,
    key        text        NOT NULL,
    size_bytes bigint      NOT NULL,
    sha256     text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (batch_id, path)
);

COMMENT ON COLUMN uploads.path IS 'Orders the rows of a batch: hence bytes, not a language.';

CREATE TABLE large_files (
    batch_id     text        NOT NULL REFERENCES batches ON DELETE CASCADE,
    path         text        COLLATE "C" NOT NULL,
    begun_at     timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,

    PRIMARY KEY (batch_id, path)
);

COMMENT ON TABLE large_files IS
    'Files that are sent in chunks. Once completed, one is an upload like any other.';

CREATE TABLE chunks (
    batch_id    text   NOT NULL,
    path        text   COLLATE "C" NOT NULL,
    first_byte  bigint NOT NULL,
    size_bytes  bigint NOT NULL,
    total_bytes bigint,
    key         text   NOT NULL,

    PRIMARY KEY (batch_id, path, first_byte),
    FOREIGN KEY (batch_id, path) REFERENCES large_files ON DELETE CASCADE,
    CONSTRAINT a_chunk_has_bytes CHECK (first_byte >= 0 AND size_bytes > 0)
);

COMMENT ON COLUMN chunks.total_bytes IS 'What the sender said the whole file would have.';

CREATE TABLE dataset_files (
    batch_id   text        NOT NULL REFERENCES batches ON DELETE CASCADE,
    number     integer     NOT NULL,
    name       text        NOT NULL,
    key        text        NOT NULL,
    size_bytes bigint      NOT NULL,
    row_count  bigint      NOT NULL,
    sha256     text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (batch_id, number)
);

CREATE TABLE meta_files (
    batch_id   text   NOT NULL REFERENCES batches ON DELETE CASCADE,
    path       text   COLLATE "C" NOT NULL,
    key        text   NOT NULL,
    size_bytes bigint NOT NULL,
    sha256     text   NOT NULL,

    PRIMARY KEY (batch_id, path)
);

COMMENT ON TABLE meta_files IS
    'What is told about a batch in files of their own, which are never among its rows.';

CREATE TABLE store_files (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sandbox_id      uuid        NOT NULL,
    organisation_id text        NOT NULL,
    dataset_id      text        NOT NULL,
    batch_id        text        REFERENCES batches,
    kind            text        NOT NULL,
    key             text        NOT NULL UNIQUE,
    size_bytes      bigint      NOT NULL,
    row_count       bigint      NOT NULL,
    superseded_count bigint     NOT NULL DEFAULT 0,
    is_upsert       boolean     NOT NULL,
    ingest_number   bigint      NOT NULL,
    ingested_at     timestamptz NOT NULL,
    added           bigint      NOT NULL,
    removed         bigint,
    is_replaced     boolean     NOT NULL DEFAULT false,

    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    FOREIGN KEY (dataset_id, sandbox_id) REFERENCES datasets (id, sandbox_id),
    CONSTRAINT store_file_kind_is_known CHECK (
        kind IN ('records', 'events', 'identities', 'links')),
    CONSTRAINT a_file_goes_after_it_came CHECK (removed > added),
    CONSTRAINT only_files_that_went_were_replaced CHECK (NOT is_replaced OR removed IS NOT NULL)
);

COMMENT ON COLUMN store_files.batch_id IS
    'Null for a file that was compacted: then store_file_sources tells its batches, and what this '
    'row says of upserts, ingest number and ingest time holds for none of them.';
COMMENT ON COLUMN store_files.is_replaced IS
    'Its rows went on in another file by the same commit: nothing was taken from the store.';

CREATE TABLE store_file_sources (
    file_id       bigint      NOT NULL REFERENCES store_files ON DELETE CASCADE,
    number        integer     NOT NULL,
    batch_id      text        NOT NULL REFERENCES batches,
    is_upsert     boolean     NOT NULL,
    ingest_number bigint      NOT NULL,
    ingested_at   timestamptz NOT NULL,
    added         bigint      NOT NULL,
    removed       bigint,
    is_relied_on  boolean     NOT NULL DEFAULT false,

    PRIMARY KEY (file_id, number)
);

-- Serves the removal of a batch.
CREATE INDEX store_file_sources_of_a_batch ON store_file_sources (batch_id);

COMMENT ON TABLE store_file_sources IS
    'The batches whose rows a compacted file holds, by their number in it.';
COMMENT ON COLUMN store_file_sources.added IS
    'The commit at which the batch joined the store, in whatever file.';
COMMENT ON COLUMN store_file_sources.removed IS
    'The commit from which on the rows of this batch count no more, though the file lies there.';

COMMENT ON COLUMN store_file_sources.is_relied_on IS
    'Rows of older batches are not in the file, because those of this batch supersede them. When it '
    'is taken back the file lacks rows, and a rebuild makes it anew.';

CREATE VIEW store_file_gaps AS
SELECT gone.file_id, gone.removed AS since, older.removed AS until
  FROM store_file_sources AS gone
  JOIN store_file_sources AS older
    ON older.file_id = gone.file_id AND older.ingest_number < gone.ingest_number
 WHERE gone.is_relied_on AND gone.removed IS NOT NULL;

COMMENT ON VIEW store_file_gaps IS
    'A file lacks rows in snapshot C when since <= C < coalesce(until, infinity) in any of its rows '
    'here: a batch was taken back for whose sake some were left out, and one is left that may have '
    'had them.';

CREATE FUNCTION store_file_gaps_at(snapshot bigint) RETURNS SETOF store_file_gaps
LANGUAGE sql STABLE AS $$
    SELECT * FROM store_file_gaps WHERE since <= snapshot AND (until IS NULL OR until > snapshot)
$$;

COMMENT ON FUNCTION store_file_gaps_at IS
    'The gaps that count in a snapshot, also those of files that are not in it.';

CREATE TABLE rebuilt_files (
    job_id         bigint      NOT NULL REFERENCES jobs ON DELETE CASCADE,
    batch_id       text        NOT NULL REFERENCES batches,
    kind           text        NOT NULL,
    attempt        integer     NOT NULL,
    engine_version text        NOT NULL,
    key            text        NOT NULL,
    size_bytes     bigint      NOT NULL,
    row_count      bigint      NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (job_id, batch_id, kind)
);

-- Serves the sweeper, which erases what was deleted.
CREATE INDEX rebuilt_files_of_a_batch ON rebuilt_files (batch_id);

COMMENT ON TABLE rebuilt_files IS
    'Finished files of rebuilds that have not succeeded yet, all kinds of a batch or none. Later '
    'attempts of the same engine version go on from them. Readers never look here: they see '
    'store_files, into which a success copies those that it needs.';

COMMENT ON COLUMN store_files.superseded_count IS
    'Of a file that was compacted: rows that may be left out when none of its batches can be taken '
    'back any more.';
COMMENT ON COLUMN store_files.added IS
    'Commit number. A file is in snapshot C when added <= C < coalesce(removed, infinity).';

-- Serves the files of a snapshot.
CREATE INDEX store_files_of_a_sandbox ON store_files (sandbox_id, added);
-- Serves the removal of a batch.
CREATE INDEX store_files_of_a_batch ON store_files (batch_id);
