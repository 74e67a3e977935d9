-- The sweeper's, across all sandboxes: what is due does not depend on whose it is.

-- name: note
-- Notes a folder before anything is written below it.
INSERT INTO folders (key, job_id, attempt, batch_id)
VALUES (:key, :job_id, :attempt, :batch_id)
ON CONFLICT (key) DO NOTHING

-- name: due
-- Folders below which nobody may write any more, those that wait longest first: of attempts that
-- were overtaken or whose job ended or is gone, and of batches that take no more uploads.
SELECT folders.key, folders.job_id, folders.batch_id, now() - folders.known_at AS known_for
  FROM folders
  LEFT JOIN jobs ON jobs.id = folders.job_id
  LEFT JOIN batches ON batches.id = folders.batch_id
 WHERE folders.due_at <= :until
   AND (jobs.id IS NULL OR jobs.finished_at IS NOT NULL OR folders.attempt < jobs.attempt)
   AND (batches.id IS NULL OR batches.state <> 'loading')
 ORDER BY folders.due_at, folders.key
 LIMIT :most::bigint

-- name: lock_job
-- How a job stands, held until the transaction ends; null when it is gone.
SELECT attempt, finished_at, now() - finished_at AS ended_for FROM jobs WHERE id = :job_id
   FOR NO KEY UPDATE

-- name: lock_batch
-- How a batch stands, held until the transaction ends; null when it is gone.
SELECT state, finished_at, now() - finished_at AS ended_for FROM batches WHERE id = :batch_id
   FOR NO KEY UPDATE

-- name: drop_plan
-- Forgets the plan of a job that ended, with its parts: those of a success are dataset files, or
-- pieces of a user list.
DELETE FROM plans WHERE job_id = :job_id

-- name: drop_rebuilt
-- Forgets what a rebuild that ended has kept: files that a success needed are store files.
DELETE FROM rebuilt_files WHERE job_id = :job_id

-- name: plan_key
-- The plan a job would go on from.
SELECT key FROM plans WHERE job_id = :job_id

-- name: named_of_job
-- Which of some files a row names that a job wrote.
SELECT key FROM store_files WHERE key = ANY (:keys::text[])
UNION ALL
SELECT key FROM labellings WHERE key = ANY (:keys::text[])
UNION ALL
SELECT key FROM home_files WHERE key = ANY (:keys::text[])
UNION ALL
SELECT key FROM membership_files WHERE key = ANY (:keys::text[])
UNION ALL
SELECT unnest(ARRAY[key, merged_key]) FROM numberings
 WHERE key = ANY (:keys::text[]) OR merged_key = ANY (:keys::text[])
UNION ALL
SELECT key FROM user_list_pieces WHERE job_id = :job_id
UNION ALL
SELECT key FROM rebuilt_files WHERE job_id = :job_id
UNION ALL
SELECT unnest(ARRAY[parts.key, parts.exclusions])
  FROM parts JOIN plans ON plans.id = parts.plan_id
 WHERE plans.job_id = :job_id
UNION ALL
SELECT dataset_files.key
  FROM dataset_files JOIN batches ON batches.id = dataset_files.batch_id
 WHERE batches.job_id = :job_id
UNION ALL
SELECT meta_files.key
  FROM meta_files JOIN batches ON batches.id = meta_files.batch_id
 WHERE batches.job_id = :job_id

-- name: named_of_batch
-- The files a row names that callers sent for a batch.
SELECT key FROM uploads WHERE batch_id = :batch_id
UNION ALL
SELECT key FROM chunks WHERE batch_id = :batch_id

-- name: put_off
-- Says when to look below a folder again.
UPDATE folders
   SET due_at = now() + :pause::interval, known_at = coalesce(known_at, now())
 WHERE key = :key

-- name: forget
-- Forgets a folder below which nothing unnamed is left and nothing will be written.
DELETE FROM folders WHERE key = :key
