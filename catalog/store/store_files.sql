-- name: next_commit
-- Takes the sandbox's next commit number and an ingest time later than any before, whatever the
-- clock does. The row stays locked until the transaction ends: snapshots become visible in order.
UPDATE sandboxes
   SET commit_number = commit_number + 1,
       files_commit = CASE WHEN :is_of_files THEN commit_number + 1 ELSE files_commit END,
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

-- name: remove_from_compacted
-- Takes the rows of batches out of all later snapshots where others lie in the same file.
UPDATE store_file_sources SET removed = :commit
  FROM store_files
 WHERE store_files.id = file_id
   AND store_file_sources.batch_id = ANY (:batch_ids::text[])
   AND store_files.sandbox_id = :sandbox_id AND store_files.organisation_id = :organisation_id
   AND store_files.removed IS NULL
   AND store_file_sources.removed IS NULL
RETURNING file_id

-- name: remove_empty
-- Takes compacted files out of all later snapshots of which no batch is left.
UPDATE store_files SET removed = :commit
 WHERE id = ANY (:ids::bigint[])
   AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND NOT EXISTS (SELECT FROM store_file_sources WHERE file_id = id AND removed IS NULL)
RETURNING id

-- name: whole
-- Which of some files are still read, or went because their batches were taken back: not because
-- others took their place.
SELECT id FROM store_files
 WHERE id = ANY (:ids::bigint[])
   AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND NOT is_replaced

-- name: replace
-- Takes files out of all later snapshots because their rows go on in another. Those that went
-- meanwhile are left as they are.
UPDATE store_files SET removed = :commit, is_replaced = true
 WHERE id = ANY (:ids::bigint[])
   AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND removed IS NULL
RETURNING id

-- name: add_compacted
-- Adds a file that holds what others hold, and says of which batches. A batch that was taken back
-- while the file was made counts no more, and so do the batches of a file that was taken out by
-- others. Adds nothing when that is all.
WITH sources AS (
    SELECT given.number, source.*
      FROM unnest(:numbers::integer[], :ingest_numbers::bigint[]) AS given (number, ingest_number)
      JOIN LATERAL (
           SELECT batch_id, is_upsert, ingest_number, ingested_at, added, removed,
                  false AS is_relied_on
             FROM store_files
            WHERE id = ANY (:ids::bigint[]) AND batch_id IS NOT NULL
              AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
            UNION ALL
           SELECT inner_source.batch_id, inner_source.is_upsert, inner_source.ingest_number,
                  inner_source.ingested_at, inner_source.added,
                  least(inner_source.removed, store_files.removed), inner_source.is_relied_on
             FROM store_file_sources AS inner_source JOIN store_files ON store_files.id = file_id
            WHERE file_id = ANY (:ids)
              AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
           ) AS source USING (ingest_number)
), new AS (
    INSERT INTO store_files (sandbox_id, organisation_id, dataset_id, kind, key, size_bytes,
                             row_count, superseded_count, is_upsert, ingest_number, ingested_at,
                             added)
    SELECT :sandbox_id, :organisation_id, :dataset_id, :kind, :key, :size_bytes, :row_count,
           :superseded_count, false, min(ingest_number), max(ingested_at), :commit
      FROM sources
    HAVING NOT bool_and(removed IS NOT NULL)
    RETURNING id
)
INSERT INTO store_file_sources (file_id, number, batch_id, is_upsert, ingest_number, ingested_at,
                                added, removed, is_relied_on)
SELECT new.id, number, batch_id, is_upsert, ingest_number, ingested_at, added, removed,
       is_relied_on OR number = ANY (:relied_on::integer[])
  FROM new, sources
RETURNING file_id

-- name: to_be_replaced
-- Some files with what is left of them at a commit, as :meth:`files_at` has them: those that nothing
-- has taken the place of since, and that lack no rows there.
SELECT id, dataset_id, batch_id, kind, key, size_bytes, row_count, ingest_number, ingested_at,
       is_upsert, added,
       coalesce((SELECT jsonb_agg(to_jsonb(source) - 'file_id' - 'removed' - 'is_relied_on'
                                    ORDER BY number)
                   FROM store_file_sources AS source
                  WHERE file_id = store_files.id
                    AND (source.removed IS NULL OR source.removed > :commit)), '[]') AS sources,
       coalesce((SELECT max(number) + 1 FROM store_file_sources
                  WHERE file_id = store_files.id), 1) AS source_count
  FROM store_files
 WHERE id = ANY (:ids::bigint[])
   AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND NOT is_replaced
   AND NOT EXISTS (SELECT FROM store_file_gaps_at(:commit) AS gap
                    WHERE gap.file_id = store_files.id)
 ORDER BY ingest_number, key COLLATE "C"

-- name: live
-- Every file of the last snapshots, of all sandboxes in which no compaction runs or has failed
-- lately, and no rebuild either; but none that lacks rows, which a rebuild has to find as it is.
-- Says whether it has rows that are to be erased, or many that nothing will bring back, whether jobs
-- wait there, and whether it could have a home file and has none: for those who keep the store in
-- order, never for callers.
WITH waiting AS (
    SELECT DISTINCT sandbox_id FROM jobs WHERE state = 'queued'
), compacting AS (
    SELECT sandbox_id FROM jobs
     WHERE kind IN ('compaction', 'rebuild') AND finished_at IS NULL
    UNION
    SELECT sandbox_id FROM jobs
     WHERE kind = 'compaction' AND state = 'failed' AND finished_at > now() - :patience::interval
), labelled AS (
    SELECT id FROM sandboxes
     WHERE labelling_for_homes(id, organisation_id, commit_number, :engine_version) IS NOT NULL
)
SELECT store_files.id, store_files.sandbox_id, store_files.organisation_id,
       sandboxes.name AS sandbox_name, dataset_id, store_files.kind, size_bytes,
       (superseded_count > :worth::float8 * row_count
        AND ingested_at <= now() - :revertible::interval)
       OR EXISTS (SELECT FROM store_file_sources AS source
                    JOIN batches ON batches.id = source.batch_id
                   WHERE file_id = store_files.id AND source.removed IS NOT NULL
                     AND (batches.deleted_at IS NOT NULL
                          OR batches.updated_at <= now() - :horizon::interval)) AS is_to_be_rid,
       store_files.sandbox_id IN (SELECT sandbox_id FROM waiting) AS is_busy,
       store_files.kind <> 'links'
       AND NOT EXISTS (SELECT FROM home_files
                        WHERE store_file_id = store_files.id AND format = :home_format)
       AND store_files.sandbox_id IN (SELECT id FROM labelled) AS is_homeless
  FROM store_files JOIN sandboxes ON sandboxes.id = store_files.sandbox_id
 WHERE removed IS NULL
   AND store_files.sandbox_id NOT IN (SELECT sandbox_id FROM compacting)
   AND NOT EXISTS (SELECT FROM store_file_gaps AS gap
                    WHERE gap.file_id = store_files.id AND gap.until IS NULL)
 ORDER BY sandbox_id, dataset_id, store_files.kind, size_bytes, store_files.id

-- name: snapshot
-- The last commit number of a sandbox. Who pins it keeps this lock until the pin can be seen: the
-- sweeper takes files that nobody has pinned, and waits for it. Commits do not wait.
SELECT commit_number FROM sandboxes
 WHERE id = :sandbox_id AND organisation_id = :organisation_id
   FOR KEY SHARE

-- name: files_at
-- The files of one snapshot, in merge order.
SELECT id, dataset_id, batch_id, kind, key, size_bytes, row_count, ingest_number, ingested_at,
       is_upsert, added,
       coalesce((SELECT jsonb_agg(to_jsonb(source) - 'file_id' - 'removed' - 'is_relied_on'
                                    ORDER BY number)
                   FROM store_file_sources AS source
                  WHERE file_id = store_files.id
                    AND (source.removed IS NULL OR source.removed > :commit)), '[]') AS sources,
       coalesce((SELECT max(number) + 1 FROM store_file_sources
                  WHERE file_id = store_files.id), 1) AS source_count
  FROM store_files
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND added <= :commit
   AND (removed IS NULL OR removed > :commit)
 ORDER BY ingest_number, key COLLATE "C"
