-- name: submit
-- Records a new job in its first state and notes who asked.
WITH submitted AS (
    INSERT INTO jobs (sandbox_id, organisation_id, kind, dataset_id, "order", snapshot,
                      created_by, request_id)
    VALUES (:sandbox_id, :organisation_id, :kind, :dataset_id, :order, :snapshot,
            :actor, :request_id)
    RETURNING *
), noted AS (
    INSERT INTO job_events (job_id, event, state, attempt, actor)
    SELECT id, 'submit', state, attempt, :actor FROM submitted
)
SELECT submitted.*, sandboxes.name AS sandbox_name
  FROM submitted JOIN sandboxes ON sandboxes.id = submitted.sandbox_id

-- name: find
-- One job of one sandbox.
SELECT jobs.*, sandboxes.name AS sandbox_name
  FROM jobs JOIN sandboxes ON sandboxes.id = jobs.sandbox_id
 WHERE jobs.id = :job_id
   AND jobs.kind = :kind
   AND jobs.sandbox_id = :sandbox_id
   AND jobs.organisation_id = :organisation_id

-- name: lock
-- One job of one sandbox, held against every change until the transaction ends.
SELECT jobs.*, sandboxes.name AS sandbox_name
  FROM jobs JOIN sandboxes ON sandboxes.id = jobs.sandbox_id
 WHERE jobs.id = :job_id
   AND jobs.kind = :kind
   AND jobs.sandbox_id = :sandbox_id
   AND jobs.organisation_id = :organisation_id
   FOR UPDATE OF jobs

-- name: claim_next
-- Leases one waiting job to a worker: of the sandbox with the fewest running jobs, the oldest.
-- SKIP LOCKED lets workers ask at the same moment without waiting on one another. A promotion
-- waits for the earlier ones of its data set, so that a data set changes in ingest order.
WITH busy AS (
    SELECT sandbox_id, count(*) AS running FROM jobs WHERE state = 'running' GROUP BY sandbox_id
), next AS (
    SELECT waiting.id
      FROM jobs AS waiting LEFT JOIN busy USING (sandbox_id)
     WHERE waiting.state = 'queued'
       AND waiting.run_after <= now()
       AND NOT (waiting.kind = 'promotion' AND EXISTS (
               SELECT FROM jobs AS earlier
                WHERE earlier.kind = 'promotion'
                  AND earlier.state IN ('queued', 'running')
                  AND earlier.dataset_id = waiting.dataset_id
                  AND earlier.id < waiting.id))
     ORDER BY coalesce(busy.running, 0), waiting.id
     LIMIT 1
       FOR UPDATE OF waiting SKIP LOCKED
), claimed AS (
    UPDATE jobs
       SET state = 'running',
           attempt = attempt + 1,
           worker_id = :worker_id,
           lease_expires_at = now() + :lease::interval,
           started_at = coalesce(started_at, now()),
           updated_at = now()
      FROM next
     WHERE jobs.id = next.id
    RETURNING jobs.*
), noted AS (
    INSERT INTO job_events (job_id, event, state, attempt, actor)
    SELECT id, 'claim', state, attempt, worker_id FROM claimed
)
SELECT claimed.*, sandboxes.name AS sandbox_name
  FROM claimed JOIN sandboxes ON sandboxes.id = claimed.sandbox_id

-- name: next_due
-- How long until the first job that was put off may be claimed; null when none was.
SELECT min(run_after) - now() AS due FROM jobs WHERE state = 'queued' AND run_after > now()

-- name: renew
-- Extends a lease and keeps what the engine reports. Finds nothing when the lease was lost.
UPDATE jobs
   SET lease_expires_at = now() + :lease::interval,
       progress = :progress,
       updated_at = CASE WHEN progress IS DISTINCT FROM :progress THEN now() ELSE updated_at END
 WHERE id = :job_id AND attempt = :attempt AND state = 'running'
RETURNING id

-- name: hold
-- Keeps a job from being moved until the transaction ends. Finds nothing when the attempt is
-- no longer the one that runs.
SELECT id FROM jobs WHERE id = :job_id AND attempt = :attempt AND state = 'running' FOR SHARE

-- name: move
-- Takes one job along one edge of its lifecycle and notes who did it. Finds nothing when the
-- job stands in a state the event may not leave, or runs under another attempt.
WITH moved AS (
    UPDATE jobs
       SET state = :target::text,
           worker_id = NULL,
           lease_expires_at = NULL,
           run_after = now() + :delay::interval,
           failed_attempts = failed_attempts + :failed_attempts::integer,
           errors = errors || :errors::jsonb,
           metrics = metrics || :metrics::jsonb,
           updated_at = clock_timestamp(),
           finished_at = CASE WHEN :target = ANY (:ended::text[]) THEN clock_timestamp() END
     WHERE id = :job_id
       AND state = ANY (:sources::text[])
       AND (:attempt::integer IS NULL OR attempt = :attempt)
    RETURNING *
), noted AS (
    INSERT INTO job_events (job_id, event, state, attempt, actor, reason)
    SELECT id, :event, state, attempt, :actor, :reason FROM moved
)
SELECT moved.*, sandboxes.name AS sandbox_name
  FROM moved JOIN sandboxes ON sandboxes.id = moved.sandbox_id

-- name: expired
-- Locks one running job whose lease ran out, so that it is handed back or failed just once.
SELECT jobs.*, sandboxes.name AS sandbox_name
  FROM jobs JOIN sandboxes ON sandboxes.id = jobs.sandbox_id
 WHERE state = 'running' AND lease_expires_at < now()
 ORDER BY lease_expires_at
 LIMIT 1
   FOR UPDATE OF jobs SKIP LOCKED

-- name: running_of
-- The running jobs a worker holds, for doctor.
SELECT id, kind, worker_id, attempt, lease_expires_at, lease_expires_at < now() AS is_expired
  FROM jobs
 WHERE state = 'running'
 ORDER BY id
