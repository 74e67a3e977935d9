-- name: name
-- Gives a job the UUID by which callers call it.
INSERT INTO segment_jobs (job_id, sandbox_id, organisation_id)
VALUES (:job_id, :sandbox_id, :organisation_id)
RETURNING id::text AS segment_job_id

-- name: find
-- One segment job of one sandbox, without the schemas it pinned, which only the engine needs.
SELECT segment_jobs.id::text AS segment_job_id, jobs.id, jobs.sandbox_id, jobs.organisation_id,
       sandboxes.name AS sandbox_name, jobs.kind, jobs.state, jobs.dataset_id, jobs.snapshot,
       jobs.attempt, jobs.failed_attempts, jobs.worker_id, jobs.progress, jobs.metrics,
       jobs.errors, jobs.created_by, jobs.request_id, jobs.created_at, jobs.updated_at,
       jobs.started_at, jobs.finished_at, jobs."order" - 'shapes' AS "order"
  FROM segment_jobs
  JOIN jobs ON jobs.id = segment_jobs.job_id
  JOIN sandboxes ON sandboxes.id = jobs.sandbox_id
 WHERE segment_jobs.id::text = lower(:id::text)
   AND segment_jobs.sandbox_id = :sandbox_id AND segment_jobs.organisation_id = :organisation_id

-- name: page
-- A page of segment jobs, in the order asked for: by creation, which ids ascend with, or by their
-- last change.
SELECT segment_jobs.id::text AS segment_job_id, jobs.id, jobs.sandbox_id, jobs.organisation_id,
       sandboxes.name AS sandbox_name, jobs.kind, jobs.state, jobs.dataset_id, jobs.snapshot,
       jobs.attempt, jobs.failed_attempts, jobs.worker_id, jobs.progress, jobs.metrics,
       jobs.errors, jobs.created_by, jobs.request_id, jobs.created_at, jobs.updated_at,
       jobs.started_at, jobs.finished_at, jobs."order" - 'shapes' AS "order"
  FROM segment_jobs
  JOIN jobs ON jobs.id = segment_jobs.job_id
  JOIN sandboxes ON sandboxes.id = jobs.sandbox_id
 WHERE segment_jobs.sandbox_id = :sandbox_id AND segment_jobs.organisation_id = :organisation_id
   AND jobs.state = ANY (:states::text[])
   AND (:segment_id::text IS NULL
        OR jsonb_path_exists(jobs."order", '$.policies.segments.id ? (@ == $id)',
                             jsonb_build_object('id', :segment_id::text)))
 ORDER BY :direction::integer
        * CASE WHEN :is_by_update::boolean THEN extract(epoch FROM jobs.updated_at) ELSE 0 END,
          :direction * jobs.id
 LIMIT :limit OFFSET :skip

-- name: count
-- How many segment jobs of a sandbox stand in some states.
SELECT count(*) AS count
  FROM segment_jobs JOIN jobs ON jobs.id = segment_jobs.job_id
 WHERE segment_jobs.sandbox_id = :sandbox_id AND segment_jobs.organisation_id = :organisation_id
   AND jobs.state = ANY (:states::text[])
   AND (:segment_id::text IS NULL
        OR jsonb_path_exists(jobs."order", '$.policies.segments.id ? (@ == $id)',
                             jsonb_build_object('id', :segment_id::text)))
