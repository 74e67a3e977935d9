-- name: add
-- Adds a set, to be seen from a commit on.
INSERT INTO membership_sets (sandbox_id, organisation_id, job_id, merge_policy_id, evaluated_at,
                             added)
VALUES (:sandbox_id, :organisation_id, :job_id, :merge_policy_id, :evaluated_at, :commit)
RETURNING id

-- name: add_segments
-- Names the segments of a set by their numbers. Those that were deleted meanwhile never count.
INSERT INTO membership_segments (set_id, number, segment_id, removed)
SELECT :set_id, told.number - 1, told.segment_id,
       CASE WHEN NOT EXISTS (SELECT FROM segments
                              WHERE segments.id = told.segment_id
                                AND segments.sandbox_id = :sandbox_id
                                AND segments.organisation_id = :organisation_id)
            THEN :commit::bigint END
  FROM unnest(:segment_ids::text[]) WITH ORDINALITY AS told (segment_id, number)

-- name: add_files
-- Names the files of a set.
INSERT INTO membership_files (set_id, key, size_bytes, row_count)
SELECT :set_id, file.key, file.size_bytes, file.row_count
  FROM unnest(:keys::text[], :sizes::bigint[], :rows::bigint[])
           AS file (key, size_bytes, row_count)

-- name: supersede
-- Takes segments out of all later snapshots, in whichever set they count.
UPDATE membership_segments SET removed = :commit
  FROM membership_sets
 WHERE membership_sets.id = set_id
   AND membership_sets.sandbox_id = :sandbox_id
   AND membership_sets.organisation_id = :organisation_id
   AND membership_segments.segment_id = ANY (:segment_ids::text[])
   AND membership_segments.removed IS NULL
RETURNING set_id

-- name: remove_empty
-- Takes sets out of all later snapshots of which no segment counts any more.
UPDATE membership_sets SET removed = :commit
 WHERE id = ANY (:ids::bigint[])
   AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND removed IS NULL
   AND NOT EXISTS (SELECT FROM membership_segments WHERE set_id = id AND removed IS NULL)
RETURNING id

-- name: sets_at
-- The sets of a merge policy in one snapshot, oldest first, with the segments that count in it.
SELECT id, evaluated_at, added,
       (SELECT jsonb_object_agg(number, segment_id) FROM membership_segments
         WHERE set_id = membership_sets.id
           AND (membership_segments.removed IS NULL OR membership_segments.removed > :commit)
       ) AS segment_ids,
       (SELECT jsonb_object_agg(number, ttl_days)
          FROM membership_segments JOIN segments ON segments.id = segment_id
         WHERE set_id = membership_sets.id AND ttl_days IS NOT NULL) AS ttl_days,
       (SELECT count(*) FROM membership_segments
         WHERE set_id = membership_sets.id) AS segment_count,
       coalesce((SELECT jsonb_agg(to_jsonb(file) - 'set_id' ORDER BY key COLLATE "C")
                   FROM membership_files AS file
                  WHERE set_id = membership_sets.id AND row_count > 0), '[]') AS files
  FROM membership_sets
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND merge_policy_id = :merge_policy_id
   AND added <= :commit
   AND (removed IS NULL OR removed > :commit)
 ORDER BY id
