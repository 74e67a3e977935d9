-- The sweeper's, across all sandboxes: what has had its time does not depend on whose it is. Each
-- block takes a bounded share; the rows' files are noted by triggers in discarded_files.

-- name: try_lock
-- Makes this the one sweeper until the transaction ends, unless there is one.
SELECT pg_try_advisory_xact_lock(:lock) AS is_ours

-- name: discarded
-- Files whose row went.
SELECT key FROM discarded_files ORDER BY discarded_at, key LIMIT :most

-- name: removed
-- Forgets discarded files that are gone.
DELETE FROM discarded_files WHERE key = ANY (:keys::text[])

-- name: abandoned_batches
-- Batches that were opened, and that nobody has sent anything for or completed for long.
SELECT batches.id, batches.sandbox_id, batches.organisation_id, sandboxes.name AS sandbox_name
  FROM batches JOIN sandboxes ON sandboxes.id = batches.sandbox_id
 WHERE batches.state = 'loading'
   AND batches.updated_at <= now() - :age::interval
   AND NOT EXISTS (SELECT FROM uploads
                    WHERE batch_id = batches.id AND created_at > now() - :age)
   AND NOT EXISTS (SELECT FROM large_files
                    WHERE batch_id = batches.id AND begun_at > now() - :age)
 ORDER BY batches.updated_at
 LIMIT :most

-- name: expire_uploads
-- Forgets what callers sent for batches that ended a while ago; their rows are in data set files.
DELETE FROM uploads
 WHERE (batch_id, path) IN (
       SELECT uploads.batch_id, uploads.path
         FROM uploads JOIN batches ON batches.id = uploads.batch_id
        WHERE batches.finished_at <= now() - :age::interval
        LIMIT :most)
RETURNING key

-- name: expire_chunks
-- Forgets chunks of large files of such batches.
DELETE FROM chunks
 WHERE (batch_id, path, first_byte) IN (
       SELECT chunks.batch_id, chunks.path, chunks.first_byte
         FROM chunks JOIN batches ON batches.id = chunks.batch_id
        WHERE batches.finished_at <= now() - :age::interval
        LIMIT :most)
RETURNING key

-- name: expired_batches
-- Active batches that are older than their data set keeps rows. Its own word, rowExpiration, goes
-- before the setting; nothing is kept for ever when neither says so.
SELECT batches.id, batches.sandbox_id, batches.organisation_id, sandboxes.name AS sandbox_name
  FROM batches
  JOIN sandboxes ON sandboxes.id = batches.sandbox_id
  JOIN datasets ON datasets.id = batches.dataset_id
 WHERE batches.state = 'active'
   AND batches.finished_at <= now() - coalesce(
           CASE WHEN datasets.extras #>> '{extensions,adobe_lakeHouse,rowExpiration,ttlValue}'
                     ~ '^P(?=.)([0-9]+Y)?([0-9]+M)?([0-9]+W)?([0-9]+D)?$'
                THEN (datasets.extras #>> '{extensions,adobe_lakeHouse,rowExpiration,ttlValue}')
                     ::interval END,
           :age::interval)
 ORDER BY batches.finished_at
 LIMIT :most

-- name: erase_deleted
-- Forgets at once every file of batches that were deleted, alone or with their data set, and says
-- how many there were. No export that read them is left. What a rebuild has kept of them for its next
-- attempt is discarded here, and by no trigger: mostly such files become store files.
WITH gone AS (
    SELECT id FROM batches WHERE deleted_at IS NOT NULL
), uploaded AS (
    DELETE FROM uploads USING gone WHERE batch_id = gone.id RETURNING key
), sent AS (
    DELETE FROM chunks USING gone WHERE batch_id = gone.id RETURNING key
), shown AS (
    DELETE FROM dataset_files USING gone WHERE batch_id = gone.id RETURNING key
), told AS (
    DELETE FROM meta_files USING gone WHERE batch_id = gone.id RETURNING key
), stored AS (
    DELETE FROM store_files USING gone WHERE batch_id = gone.id RETURNING key
), rebuilt AS (
    DELETE FROM rebuilt_files USING gone WHERE batch_id = gone.id RETURNING key
), discarded AS (
    INSERT INTO discarded_files (key) SELECT key FROM rebuilt ON CONFLICT DO NOTHING
)
SELECT (SELECT count(*) FROM uploaded) + (SELECT count(*) FROM sent)
     + (SELECT count(*) FROM shown) + (SELECT count(*) FROM told)
     + (SELECT count(*) FROM stored) + (SELECT count(*) FROM rebuilt) AS count

-- name: erase_hidden
-- Forgets the files of batches that were taken back long ago, or whose data set keeps no rows as
-- old as theirs; but not where a rebuild is to read files, of a snapshot in which they counted.
DELETE FROM dataset_files
 WHERE (batch_id, number) IN (
       SELECT dataset_files.batch_id, dataset_files.number
         FROM dataset_files
         JOIN batches ON batches.id = dataset_files.batch_id
        WHERE batches.state = 'inactive'
          AND (batches.updated_at <= now() - :age::interval
               OR EXISTS (SELECT FROM batch_events
                           WHERE batch_id = batches.id AND event = 'expire'))
          AND NOT EXISTS (SELECT FROM jobs
                           WHERE jobs.kind = 'rebuild'
                             AND jobs.state IN ('queued', 'running')
                             AND jobs.dataset_id = batches.dataset_id)
        LIMIT :most)
RETURNING key

-- name: expire_meta_files
-- Forgets what was told about batches that ended long ago, or that were erased.
DELETE FROM meta_files
 WHERE (batch_id, path) IN (
       SELECT meta_files.batch_id, meta_files.path
         FROM meta_files JOIN batches ON batches.id = meta_files.batch_id
        WHERE batches.finished_at <= now() - :age::interval
        LIMIT :most)
RETURNING key

-- name: expire_answers
-- Forgets answers to creates whose keys are free again.
DELETE FROM kept_answers
 WHERE (sandbox_id, operation, key) IN (
       SELECT sandbox_id, operation, key FROM kept_answers
        WHERE expires_at <= now()
        ORDER BY expires_at
        LIMIT :most)
RETURNING key

-- name: sandboxes_with_superseded
-- Sandboxes with store files or memberships that left the last snapshot.
SELECT sandbox_id FROM store_files WHERE removed IS NOT NULL
 UNION
SELECT sandbox_id FROM membership_sets WHERE removed IS NOT NULL

-- name: lock_sandbox
-- Waits for whoever is about to pin the sandbox's last snapshot, and keeps others from it until the
-- transaction ends: pinning locks the same row, see store_files.sql, snapshot.
SELECT id FROM sandboxes WHERE id = :sandbox_id FOR UPDATE

-- name: forget_superseded
-- Forgets store files that are in no snapshot which the last or a pinned commit number names.
DELETE FROM store_files
 WHERE id IN (
       SELECT superseded.id
         FROM store_files AS superseded
        WHERE superseded.sandbox_id = :sandbox_id
          AND superseded.removed IS NOT NULL
          AND NOT EXISTS (
                  SELECT FROM jobs
                   WHERE jobs.sandbox_id = :sandbox_id
                     AND jobs.finished_at IS NULL
                     AND jobs.snapshot >= superseded.added
                     AND jobs.snapshot < superseded.removed)
        LIMIT :most)
RETURNING key

-- name: forget_memberships
-- Forgets membership sets that are in no such snapshot. One that evaluates segments reads what the
-- last snapshot has when it begins, so none of the sandbox goes meanwhile.
DELETE FROM membership_sets
 WHERE id IN (
       SELECT superseded.id
         FROM membership_sets AS superseded
        WHERE superseded.sandbox_id = :sandbox_id
          AND superseded.removed IS NOT NULL
          AND NOT EXISTS (
                  SELECT FROM jobs
                   WHERE jobs.sandbox_id = :sandbox_id
                     AND jobs.finished_at IS NULL
                     AND ((jobs.snapshot >= superseded.added
                           AND jobs.snapshot < superseded.removed)
                          OR (jobs.kind = 'segmentation' AND jobs.state = 'running')))
        LIMIT :most)
RETURNING id

-- name: note_sweep
-- Keeps what a round did, and of the rounds before it the last hundred.
WITH noted AS (
    INSERT INTO sweeps (actor, counts, started_at) VALUES (:actor, :counts, :started_at)
    RETURNING id
)
DELETE FROM sweeps USING noted WHERE sweeps.id <= noted.id - 100

-- name: last_sweep
-- What the last round did, and when.
SELECT actor, counts, started_at, ended_at FROM sweeps ORDER BY id DESC LIMIT 1

-- name: unswept_for
-- How long somebody could have swept and nobody did: not before the schema was there, nor while the
-- server was down.
SELECT clock_timestamp() - greatest(
           pg_postmaster_start_time(),
           (SELECT max(applied_at) FROM schema_migrations),
           (SELECT max(ended_at) FROM sweeps)) AS age
