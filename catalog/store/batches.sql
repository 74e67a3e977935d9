-- name: add
-- Opens a batch: one that callers upload to, or one that a job will fill.
INSERT INTO batches (id, sandbox_id, organisation_id, dataset_id, state, input_format,
                     external_id, tags, replay, tolerated_percentage, has_diagnostics,
                     job_id, place, created_by, started_at)
VALUES (:id, :sandbox_id, :organisation_id, :dataset_id, :state::text, :input_format,
        :external_id, :tags, :replay, :tolerated_percentage, :has_diagnostics,
        :job_id, :place, :actor,
        CASE WHEN :job_id::bigint IS NOT NULL THEN now() END)
RETURNING *, false AS is_worked_on

-- name: find
-- One batch of a sandbox.
SELECT batches.*, coalesce(jobs.state = 'running', false) AS is_worked_on, jobs.progress
  FROM batches LEFT JOIN jobs ON jobs.id = batches.job_id
 WHERE batches.id = :id
   AND batches.sandbox_id = :sandbox_id AND batches.organisation_id = :organisation_id
   AND batches.deleted_at IS NULL

-- name: lock
-- One batch of a sandbox, held against every change until the transaction ends.
SELECT batches.*, coalesce(jobs.state = 'running', false) AS is_worked_on
  FROM batches LEFT JOIN jobs ON jobs.id = batches.job_id
 WHERE batches.id = :id
   AND batches.sandbox_id = :sandbox_id AND batches.organisation_id = :organisation_id
   AND batches.deleted_at IS NULL
   FOR NO KEY UPDATE OF batches

-- name: of_dataset
-- Batches of one data set by their ids or by their callers' own names, the first opened first.
SELECT id, external_id, state FROM batches
 WHERE dataset_id = :dataset_id
   AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND deleted_at IS NULL
   AND (id = ANY (:ids::text[]) OR external_id = ANY (:external_ids::text[]))
 ORDER BY created_at, id

-- name: of_job
-- The batches one job fills, by their place among them.
SELECT batches.*, coalesce(jobs.state = 'running', false) AS is_worked_on
  FROM batches JOIN jobs ON jobs.id = batches.job_id
 WHERE batches.job_id = :job_id
 ORDER BY batches.place

-- name: listing
-- The batches of a sandbox, as listings filter and order them.
SELECT batches.*, coalesce(jobs.state = 'running', false) AS is_worked_on, jobs.progress
  FROM batches LEFT JOIN jobs ON jobs.id = batches.job_id
 WHERE batches.sandbox_id = :sandbox_id AND batches.organisation_id = :organisation_id
   AND batches.deleted_at IS NULL

-- name: next_ingest_number
-- Takes the sandbox's next place in merge order. The row stays locked until the transaction
-- ends, so places become visible in order and none is left out.
UPDATE sandboxes SET ingest_number = ingest_number + 1
 WHERE id = :sandbox_id AND organisation_id = :organisation_id
RETURNING ingest_number

-- name: complete
-- Closes a batch to uploads, gives it its place and the job that promotes it, and counts what
-- was sent.
WITH sent AS (
    SELECT count(*) AS files, coalesce(sum(size_bytes), 0) AS bytes
      FROM uploads WHERE batch_id = :id
), moved AS (
    UPDATE batches
       SET state = :target::text,
           ingest_number = :ingest_number,
           job_id = :job_id,
           metrics = jsonb_build_object('input_file_count', sent.files,
                                        'input_size_bytes', sent.bytes),
           started_at = now(),
           version = version + 1,
           updated_by = :actor,
           updated_at = now()
      FROM sent
     WHERE batches.id = :id
       AND batches.sandbox_id = :sandbox_id AND batches.organisation_id = :organisation_id
       AND batches.state = ANY (:sources::text[])
 RETURNING batches.*
), noted AS (
    INSERT INTO batch_events (batch_id, event, state, actor)
    SELECT id, :event, state, :actor FROM moved
)
SELECT *, false AS is_worked_on FROM moved

-- name: give_up
-- Ends a batch that no job fills yet, as its caller says. Finds nothing once it was completed
-- or has ended.
WITH moved AS (
    UPDATE batches
       SET state = :target::text,
           errors = errors || :errors::jsonb,
           finished_at = now(),
           version = version + 1,
           updated_by = :actor,
           updated_at = now()
     WHERE id = :id
       AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
       AND job_id IS NULL
       AND state = ANY (:sources::text[])
 RETURNING *
), noted AS (
    INSERT INTO batch_events (batch_id, event, state, actor)
    SELECT id, :event, state, :actor FROM moved
)
SELECT *, false AS is_worked_on FROM moved

-- name: activate
-- Makes the files of a job visible: all its batches become active, each with its files, in one
-- statement. What was written is counted here, from the files themselves.
WITH files AS (
    SELECT * FROM unnest(:batch_ids::text[], :numbers::integer[], :names::text[], :keys::text[],
                         :sizes::bigint[], :rows::bigint[], :hashes::text[])
               AS file (batch_id, number, name, key, size_bytes, row_count, sha256)
), moved AS (
    UPDATE batches
       SET state = :target::text,
           metrics = batches.metrics || :metrics::jsonb || (
               SELECT jsonb_build_object(
                          'output_file_count', count(*),
                          'output_size_bytes', coalesce(sum(files.size_bytes), 0),
                          'output_row_count', coalesce(sum(files.row_count), 0))
                 FROM files WHERE files.batch_id = batches.id),
           errors = errors || :errors::jsonb,
           ignored_fields = :ignored_fields,
           finished_at = now(),
           version = version + 1,
           updated_by = :actor,
           updated_at = now()
     WHERE job_id = :job_id
       AND state = ANY (:sources::text[])
 RETURNING id, state
), noted AS (
    INSERT INTO batch_events (batch_id, event, state, actor)
    SELECT id, :event, state, :actor FROM moved
), shown AS (
    INSERT INTO dataset_files (batch_id, number, name, key, size_bytes, row_count, sha256)
    SELECT files.* FROM files JOIN moved ON moved.id = files.batch_id
)
SELECT id FROM moved

-- name: finish
-- Ends all batches of a job without showing anything of them, and keeps what is known of why.
WITH moved AS (
    UPDATE batches
       SET state = :target::text,
           metrics = metrics || :metrics::jsonb,
           errors = errors || :errors::jsonb,
           ignored_fields = :ignored_fields,
           finished_at = now(),
           version = version + 1,
           updated_by = :actor,
           updated_at = now()
     WHERE job_id = :job_id
       AND state = ANY (:sources::text[])
 RETURNING id, state
), noted AS (
    INSERT INTO batch_events (batch_id, event, state, actor)
    SELECT id, :event, state, :actor FROM moved
)
SELECT id FROM moved

-- name: withdraw
-- Takes active batches from their readers, and notes why. Those that are not active are left.
WITH moved AS (
    UPDATE batches
       SET state = :target::text,
           version = version + 1,
           updated_by = :actor,
           updated_at = now()
     WHERE id = ANY (:ids::text[])
       AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
       AND state = ANY (:sources::text[])
 RETURNING id, state
), noted AS (
    INSERT INTO batch_events (batch_id, event, state, actor)
    SELECT id, :event, state, :actor FROM moved
)
SELECT id FROM moved

-- name: tell
-- Adds to what a batch says of itself.
WITH told AS (
    UPDATE batches SET errors = errors || :errors::jsonb
     WHERE id = :id
       AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
 RETURNING *
)
SELECT told.*, coalesce(jobs.state = 'running', false) AS is_worked_on
  FROM told LEFT JOIN jobs ON jobs.id = told.job_id

-- name: describe
-- Changes what callers say of a batch.
WITH described AS (
    UPDATE batches
       SET external_id = :external_id,
           tags = :tags,
           version = version + 1,
           updated_by = :actor,
           updated_at = clock_timestamp()
     WHERE id = :id
       AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
       AND deleted_at IS NULL
 RETURNING *
)
SELECT described.*, coalesce(jobs.state = 'running', false) AS is_worked_on
  FROM described LEFT JOIN jobs ON jobs.id = described.job_id

-- name: keep_upload
-- Names the file a caller sent under a path, and says which key it replaces, if any. Asked with
-- the batch's row locked, so that of two repeats each replaces the one before.
WITH earlier AS (
    SELECT key FROM uploads WHERE batch_id = :batch_id AND path = :path
)
INSERT INTO uploads (batch_id, path, key, size_bytes, sha256)
VALUES (:batch_id, :path, :key, :size_bytes, :sha256)
ON CONFLICT (batch_id, path) DO UPDATE
   SET key = excluded.key,
       size_bytes = excluded.size_bytes,
       sha256 = excluded.sha256,
       created_at = now()
RETURNING (SELECT key FROM earlier) AS replaced_key

-- name: uploads
-- What callers sent for a batch, in the order of its rows: by the bytes of the path.
SELECT path, key, size_bytes FROM uploads WHERE batch_id = :batch_id ORDER BY path

-- name: upload
-- What a caller sent under one path.
SELECT path, key, size_bytes FROM uploads WHERE batch_id = :batch_id AND path = :path

-- name: count_others
-- How many files of a batch were sent, or begun, under other paths than one.
SELECT count(*) AS files
  FROM (SELECT path FROM uploads WHERE batch_id = :batch_id
         UNION SELECT path FROM large_files WHERE batch_id = :batch_id) AS sent
 WHERE path <> :path

-- name: count_files
-- How many files readers find in a batch: none until it is active.
SELECT count(dataset_files.number) AS files
  FROM batches
  LEFT JOIN dataset_files ON dataset_files.batch_id = batches.id AND batches.state = 'active'
 WHERE batches.id = :batch_id
   AND batches.sandbox_id = :sandbox_id AND batches.organisation_id = :organisation_id
   AND batches.deleted_at IS NULL
 GROUP BY batches.id

-- name: files
-- One page of the files readers find in a batch.
SELECT dataset_files.*, batches.dataset_id
  FROM dataset_files JOIN batches ON batches.id = dataset_files.batch_id
 WHERE batches.id = :batch_id
   AND batches.sandbox_id = :sandbox_id AND batches.organisation_id = :organisation_id
   AND batches.state = 'active'
 ORDER BY dataset_files.number
 LIMIT :most OFFSET :skip

-- name: file
-- One file of an active batch, by its number.
SELECT dataset_files.*, batches.dataset_id
  FROM dataset_files JOIN batches ON batches.id = dataset_files.batch_id
 WHERE batches.id = :batch_id
   AND batches.sandbox_id = :sandbox_id AND batches.organisation_id = :organisation_id
   AND batches.state = 'active'
   AND dataset_files.number = :number
