-- name: find
-- The plan a job goes on from, if an earlier attempt made one.
SELECT * FROM plans WHERE job_id = :job_id

-- name: discard
-- Forgets a plan and, with it, its parts: they were cut differently.
DELETE FROM plans WHERE job_id = :job_id

-- name: add
-- Records the plan of a job.
INSERT INTO plans (job_id, attempt, engine_version, key, task_count, numbering)
VALUES (:job_id, :attempt, :engine_version, :key, :task_count, :numbering)
RETURNING *

-- name: add_part
-- Records a finished part under the plan of its job. Of two attempts that finish the same
-- task, the first stands: their bytes are the same.
INSERT INTO parts (plan_id, number, batch, attempt, key, size_bytes, row_count, sha256, counters,
                   exclusions)
SELECT id, :number, :batch, :attempt, :key, :size_bytes, :row_count, :sha256, :counters, :exclusions
  FROM plans
 WHERE job_id = :job_id
ON CONFLICT (plan_id, number, batch) DO NOTHING

-- name: parts
-- The finished parts of a job's plan, in order.
SELECT parts.*
  FROM parts JOIN plans ON plans.id = parts.plan_id
 WHERE plans.job_id = :job_id
 ORDER BY parts.number, parts.batch
