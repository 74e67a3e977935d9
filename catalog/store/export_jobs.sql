-- name: find
-- One export job of one sandbox, without the schemas it pinned.
SELECT jobs.id, jobs.sandbox_id, jobs.organisation_id, kind, state, dataset_id, attempt, worker_id,
       progress, metrics, errors, created_by, request_id, created_at, updated_at, started_at,
       finished_at, "order" - 'selection' AS "order", sandboxes.name AS sandbox_name
  FROM jobs JOIN sandboxes ON sandboxes.id = jobs.sandbox_id
 WHERE jobs.id = :job_id
   AND kind = 'export'
   AND jobs.sandbox_id = :sandbox_id
   AND jobs.organisation_id = :organisation_id

-- name: newest_first
-- A page of export jobs, by creation, that follows the job a cursor names.
SELECT jobs.id, jobs.sandbox_id, jobs.organisation_id, kind, state, dataset_id, attempt, worker_id,
       progress, metrics, errors, created_by, request_id, created_at, updated_at, started_at,
       finished_at, "order" - 'selection' AS "order", :sandbox_name::text AS sandbox_name
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
SELECT jobs.id, jobs.sandbox_id, jobs.organisation_id, kind, state, dataset_id, attempt, worker_id,
       progress, metrics, errors, created_by, request_id, created_at, updated_at, started_at,
       finished_at, "order" - 'selection' AS "order", :sandbox_name::text AS sandbox_name
  FROM jobs
 WHERE kind = 'export'
   AND sandbox_id = :sandbox_id
   AND organisation_id = :organisation_id
   AND state = ANY (:states::text[])
   AND (:after_id::bigint IS NULL
        OR (created_at, id) > (SELECT created_at, id FROM jobs WHERE id = :after_id))
 ORDER BY created_at, id
 LIMIT :limit OFFSET :skip
