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
-- Leases one waiting job to a worker. Sandboxes take turns: the one with the fewest running jobs,
-- of those the one whose last turn is longest ago, gets its oldest. However many jobs wait, only
-- those of one sandbox are looked at. SKIP LOCKED lets workers ask at the same moment without
-- waiting on one another; NO KEY keeps them from skipping a job only because a row that names it is
-- being written. A promotion waits for the earlier ones of its data set, so that a data
-- set changes in ingest order; and a segmentation for those of its sandbox, on which it builds. A
-- rebuild and a compaction of one sandbox wait for each other, since they replace the same files, and
-- a rebuild for the earlier ones of its sandbox, waiting or running: of two that are claimed at one
-- moment neither sees that the other runs. Whatever reads a snapshot waits for the rebuilds that it
-- lacks rows without, also for those that reach back to it.
WITH RECURSIVE waiting AS (
    (SELECT sandbox_id FROM jobs WHERE state = 'queued' ORDER BY sandbox_id LIMIT 1)
    UNION ALL
    SELECT (SELECT jobs.sandbox_id FROM jobs
             WHERE jobs.state = 'queued' AND jobs.sandbox_id > waiting.sandbox_id
             ORDER BY jobs.sandbox_id LIMIT 1)
      FROM waiting
     WHERE waiting.sandbox_id IS NOT NULL
), busy AS (
    SELECT sandbox_id, count(*) AS running FROM jobs WHERE state = 'running' GROUP BY sandbox_id
), in_turn AS (
    SELECT waiting.sandbox_id
      FROM waiting LEFT JOIN busy USING (sandbox_id) LEFT JOIN turns USING (sandbox_id)
     WHERE waiting.sandbox_id IS NOT NULL
       AND (:most_running::integer IS NULL OR coalesce(busy.running, 0) < :most_running)
     ORDER BY coalesce(busy.running, 0), turns.taken_at NULLS FIRST,
              (SELECT id FROM jobs
                WHERE jobs.sandbox_id = waiting.sandbox_id AND jobs.state = 'queued'
                ORDER BY jobs.id + 0 LIMIT 1)
), next AS (
    SELECT oldest.id
      FROM in_turn CROSS JOIN LATERAL (
           SELECT id FROM jobs
            WHERE jobs.sandbox_id = in_turn.sandbox_id
              AND jobs.state = 'queued'
              AND jobs.run_after <= now()
              AND NOT (jobs.kind = 'promotion' AND EXISTS (
                      SELECT FROM jobs AS earlier
                       WHERE earlier.kind = 'promotion'
                         AND earlier.state IN ('queued', 'running')
                         AND earlier.dataset_id = jobs.dataset_id
                         AND earlier.id < jobs.id))
              AND NOT (jobs.kind = 'segmentation' AND EXISTS (
                      SELECT FROM jobs AS earlier
                       WHERE earlier.kind = 'segmentation'
                         AND earlier.state IN ('queued', 'running')
                         AND earlier.sandbox_id = jobs.sandbox_id
                         AND earlier.id < jobs.id))
              AND NOT (jobs.kind NOT IN ('promotion', 'rebuild') AND EXISTS (
                      SELECT FROM jobs AS rebuild
                       WHERE rebuild.kind = 'rebuild'
                         AND rebuild.state IN ('queued', 'running')
                         AND rebuild.sandbox_id = jobs.sandbox_id
                         AND (rebuild.snapshot <= jobs.snapshot
                              OR jobs.kind = 'compaction'
                              OR EXISTS (
                                 SELECT FROM store_files
                                   JOIN store_file_gaps_at(jobs.snapshot) AS gap
                                     ON gap.file_id = store_files.id
                                  WHERE store_files.sandbox_id = jobs.sandbox_id
                                    AND store_files.dataset_id = rebuild.dataset_id
                                    AND store_files.added <= jobs.snapshot
                                    AND (store_files.removed IS NULL
                                         OR store_files.removed > jobs.snapshot)))))
              AND NOT (jobs.kind = 'rebuild' AND EXISTS (
                      SELECT FROM jobs AS other
                       WHERE other.sandbox_id = jobs.sandbox_id
                         AND ((other.kind = 'compaction' AND other.state = 'running')
                              OR (other.kind = 'rebuild' AND other.id < jobs.id
                                  AND other.state IN ('queued', 'running')))))
            ORDER BY jobs.id + 0
            LIMIT 1
              FOR NO KEY UPDATE SKIP LOCKED) AS oldest
     LIMIT 1
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
), turn AS (
    INSERT INTO turns (sandbox_id, taken_at) SELECT sandbox_id, clock_timestamp() FROM claimed
    ON CONFLICT (sandbox_id) DO UPDATE SET taken_at = excluded.taken_at
)
SELECT claimed.*, sandboxes.name AS sandbox_name
  FROM claimed JOIN sandboxes ON sandboxes.id = claimed.sandbox_id

-- name: count_waiting
-- How many jobs of a sandbox wait, counted up to a bound.
SELECT count(*) AS count
  FROM (SELECT FROM jobs
         WHERE state = 'queued'
           AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
         LIMIT :at_most) AS counted

-- name: queue_up
-- Lets those who add a job to a sandbox through one after the other until the transaction ends.
SELECT pg_advisory_xact_lock(hashtext('waiting jobs'), hashtext(:sandbox_id::uuid::text))

-- name: announce
-- Tells workers that jobs wait, whichever. It is no loss when that is lost, so nobody waits for
-- the disk: a notice makes all commits behind it wait for its own.
SELECT set_config('synchronous_commit', 'off', true), pg_notify('jobs', 'queued:')

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

-- name: was_released_for
-- Whether an attempt of a job was given up for a reason that begins so.
SELECT EXISTS (SELECT FROM job_events
                WHERE job_id = :job_id AND event = 'release'
                  AND starts_with(reason, :reason)) AS answer

-- name: expired
-- Locks one running job whose lease ran out, so that it is handed back or failed just once. Those
-- that the asking worker keeps itself are none of them.
SELECT jobs.*, sandboxes.name AS sandbox_name
  FROM jobs JOIN sandboxes ON sandboxes.id = jobs.sandbox_id
 WHERE state = 'running' AND lease_expires_at < now()
   AND jobs.id <> ALL (:kept::bigint[])
 ORDER BY lease_expires_at
 LIMIT 1
   FOR NO KEY UPDATE OF jobs SKIP LOCKED

-- name: running_of
-- The running jobs a worker holds, for doctor.
SELECT id, kind, worker_id, attempt, lease_expires_at, lease_expires_at < now() AS is_expired
  FROM jobs
 WHERE state = 'running'
 ORDER BY id
