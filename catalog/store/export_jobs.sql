-- Each block leaves the pinned schemas behind: they are large and only the engine needs them.

-- name: find
-- One export job of one sandbox.
SELECT id, sandbox_id, organisation_id, kind, state, dataset_id, snapshot, attempt,
       failed_attempts, worker_id, progress, metrics, errors, created_by, request_id, created_at,
       updated_at, started_at, finished_at, "order" - 'selection' AS "order",
       :sandbox_name::text AS sandbox_name,
       (SELECT min(batches.id) FROM batches WHERE batches.job_id = jobs.id) AS batch_id
  FROM jobs
 WHERE id = :job_id
   AND kind = 'export'
   AND sandbox_id = :sandbox_id
   AND organisation_id = :organisation_id

-- name: newest_first
-- A page of export jobs, by creation, that follows the job a cursor names.
SELECT id, sandbox_id, organisation_id, kind, state, dataset_id, snapshot, attempt,
       failed_attempts, worker_id, progress, metrics, errors, created_by, request_id, created_at,
       updated_at, started_at, finished_at, "order" - 'selection' AS "order",
       :sandbox_name::text AS sandbox_name,
       (SELECT min(batches.id) FROM batches WHERE batches.job_id = jobs.id) AS batch_id
  FROM jobs
 WHERE kind = 'export'
   AND sandbox_id = :sandbox_id
   AND organisation_id = :organisation_id
   AND state = ANY (:states::text[])
   AND (:after_id::bigint IS NULL
        OR (created_at, id) < (SELECT created_at, id FROM jobs WHERE id = :after_id))
 ORDER BY created_at DESC, id DESC
 LIMIT :limit OFFSET :skip

-- name: oldest_first
-- The same page, from the other end.
SELECT id, sandbox_id, organisation_id, kind, state, dataset_id, snapshot, attempt,
       failed_attempts, worker_id, progress, metrics, errors, created_by, request_id, created_at,
       updated_at, started_at, finished_at, "order" - 'selection' AS "order",
       :sandbox_name::text AS sandbox_name,
       (SELECT min(batches.id) FROM batches WHERE batches.job_id = jobs.id) AS batch_id
  FROM jobs
 WHERE kind = 'export'
   AND sandbox_id = :sandbox_id
   AND organisation_id = :organisation_id
   AND state = ANY (:states::text[])
   AND (:after_id::bigint IS NULL
        OR (created_at, id) > (SELECT created_at, id FROM jobs WHERE id = :after_id))
 ORDER BY created_at, id
 LIMIT :limit OFFSET :skip
