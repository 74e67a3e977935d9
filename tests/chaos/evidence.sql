-- name: attempts
-- Every job with its state and attempt: both only ever go one way.
SELECT id, state, attempt FROM jobs

-- name: shown_too_early
-- Files that readers find though the job that wrote them has not succeeded.
SELECT batches.id, jobs.id AS job_id, jobs.state
  FROM batches JOIN jobs ON jobs.id = batches.job_id
 WHERE jobs.state <> 'succeeded'
   AND (batches.state IN ('active', 'inactive')
        OR EXISTS (SELECT FROM dataset_files WHERE dataset_files.batch_id = batches.id)
        OR EXISTS (SELECT FROM store_files WHERE store_files.batch_id = batches.id))

-- name: ends_apart
-- Ended jobs whose batches did not end the same way in the same transaction.
SELECT jobs.id AS job_id, jobs.state, batches.id, batches.state AS batch_state
  FROM jobs LEFT JOIN batches ON batches.job_id = jobs.id
 WHERE (jobs.state = 'succeeded' AND batches.state NOT IN ('active', 'inactive'))
    OR (jobs.state = 'failed' AND batches.state <> 'failed')
    OR (jobs.state = 'cancelled' AND batches.state NOT IN ('failed', 'aborted'))
    OR (jobs.state IN ('queued', 'running') AND batches.state NOT IN ('loaded', 'exporting'))
    OR (batches.id IS NULL AND jobs.kind IN ('promotion', 'export'))

-- name: unfinished
-- Jobs that have not ended.
SELECT id, kind, state, attempt, failed_attempts, run_after - now() AS waits FROM jobs
 WHERE state IN ('queued', 'running')

-- name: lacking
-- Data sets whose store files lack rows, for the sake of a batch that was taken back.
SELECT DISTINCT dataset_id
  FROM store_files JOIN store_file_gaps AS gap ON gap.file_id = store_files.id
 WHERE store_files.removed IS NULL AND gap.until IS NULL

-- name: jobs
-- Every job.
SELECT jobs.*, sandboxes.name AS sandbox_name
  FROM jobs JOIN sandboxes ON sandboxes.id = jobs.sandbox_id
 ORDER BY jobs.id

-- name: job_events
-- What happened to every job, in order.
SELECT job_id AS id, event, state, attempt FROM job_events ORDER BY job_id, at

-- name: batches
-- Every batch.
SELECT id, state, job_id, dataset_id, ingest_number FROM batches

-- name: batch_events
-- What happened to every batch, in order.
SELECT batch_id AS id, event, state FROM batch_events ORDER BY batch_id, at

-- name: files
-- Every file that readers may find.
SELECT dataset_files.*, batches.job_id, batches.state AS batch_state
  FROM dataset_files JOIN batches ON batches.id = dataset_files.batch_id
 ORDER BY batch_id, number

-- name: parts
-- What every part of an export counted, and the attempt that wrote it.
SELECT plans.job_id, plans.task_count, parts.number, parts.attempt, parts.key, parts.row_count,
       parts.sha256, parts.counters
  FROM parts JOIN plans ON plans.id = parts.plan_id
 ORDER BY plans.job_id, parts.number

-- name: store_files
-- Every file of the profile store and the commits at which it came and went. What comes of a batch
-- after its first files was made anew by a rebuild.
SELECT dataset_id, batch_id, kind, key, size_bytes, row_count, ingest_number, added, removed,
       batch_id IS NOT NULL AND added > min(added) OVER (PARTITION BY batch_id) AS is_rebuilt,
       EXISTS (SELECT FROM home_files WHERE home_files.store_file_id = store_files.id) AS has_home
  FROM store_files ORDER BY added, key

-- name: contributions
-- Which batch is read from which commit on and up to which, one row for each file of its rows.
SELECT coalesce(source.batch_id, store_files.batch_id) AS batch_id, kind, store_files.added,
       least(store_files.removed, source.removed) AS removed
  FROM store_files LEFT JOIN store_file_sources AS source ON source.file_id = store_files.id

-- name: meta_files
-- Every file told about a batch.
SELECT batch_id, key, size_bytes, sha256 FROM meta_files

-- name: uploads
-- Every file a caller sent that is still named.
SELECT batch_id, key, size_bytes, sha256 FROM uploads
