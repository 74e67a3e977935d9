-- name: next_commit
-- Takes the sandbox's next commit number and an ingest time later than any before, whatever the
-- clock does. The row stays locked until the transaction ends: snapshots become visible in order.
UPDATE sandboxes
   SET commit_number = commit_number + 1,
       last_ingested_at = greatest(clock_timestamp(), last_ingested_at + interval '1 microsecond')
 WHERE id = :sandbox_id AND organisation_id = :organisation_id
RETURNING commit_number, last_ingested_at

-- name: add
-- Adds the files a batch brings, in the batch's place of the merge order.
INSERT INTO store_files (sandbox_id, organisation_id, dataset_id, batch_id, kind, key, size_bytes,
                         row_count, is_upsert, ingest_number, ingested_at, added)
SELECT batches.sandbox_id, batches.organisation_id, batches.dataset_id, batches.id, file.kind,
       file.key, file.size_bytes, file.row_count, :is_upsert, batches.ingest_number, :ingested_at,
       :commit
  FROM batches,
       unnest(:kinds::text[], :keys::text[], :sizes::bigint[], :rows::bigint[])
           AS file (kind, key, size_bytes, row_count)
 WHERE batches.id = :batch_id
   AND batches.sandbox_id = :sandbox_id AND batches.organisation_id = :organisation_id
RETURNING id

-- name: remove
-- Takes the files of batches out of all later snapshots.
UPDATE store_files SET removed = :commit
 WHERE batch_id = ANY (:batch_ids::text[])
   AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND removed IS NULL
RETURNING id

-- name: snapshot
-- The last commit number of a sandbox. Who pins it keeps this lock until the pin can be seen: the
-- sweeper takes files that nobody has pinned, and waits for it. Commits do not wait.
SELECT commit_number FROM sandboxes
 WHERE id = :sandbox_id AND organisation_id = :organisation_id
   FOR KEY SHARE

-- name: files_at
-- The files of one snapshot, in merge order.
SELECT dataset_id, batch_id, kind, key, size_bytes, row_count, ingest_number, ingested_at, is_upsert,
       added
  FROM store_files
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND added <= :commit
   AND (removed IS NULL OR removed > :commit)
 ORDER BY ingest_number, key COLLATE "C"
