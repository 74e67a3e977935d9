-- Segments as spaces see them: those of the space and those of no space.

-- name: numbers
-- The segments that a space sees, or of a whole sandbox, by number; of one id, key or number, or
-- all. With each, how its newest job stands that was asked to compute it, what the newest that
-- succeeded found, and whether its memberships count.
SELECT placed_segments.number, placed_segments.segment_id, placed_segments.space_number,
       newest.state AS job_state,
       CASE WHEN newest.state = 'failed' THEN newest.finished_at
            ELSE done.finished_at END AS detected_at,
       done.metrics -> 'segments' -> segments.id AS counts,
       done.metrics -> 'profiles' AS profiles,
       EXISTS (SELECT FROM membership_segments
                WHERE membership_segments.segment_id = segments.id
                  AND membership_segments.removed IS NULL) AS is_computed
  FROM placed_segments
       JOIN segments ON segments.id = placed_segments.segment_id
       LEFT JOIN LATERAL (
            SELECT jobs.state, jobs.finished_at
              FROM segment_jobs
                   JOIN jobs ON jobs.id = segment_jobs.job_id
             WHERE segment_jobs.sandbox_id = placed_segments.sandbox_id
               AND segment_jobs.organisation_id = placed_segments.organisation_id
               AND jobs."order" @? format('$.policies[*].segments[*] ? (@.id == %s)',
                                          to_json(segments.id))::jsonpath
             ORDER BY segment_jobs.job_id DESC
             LIMIT 1) AS newest ON true
       LEFT JOIN LATERAL (
            SELECT jobs.metrics, jobs.finished_at
              FROM segment_jobs
                   JOIN jobs ON jobs.id = segment_jobs.job_id
             WHERE segment_jobs.sandbox_id = placed_segments.sandbox_id
               AND segment_jobs.organisation_id = placed_segments.organisation_id
               AND jobs.state = 'succeeded'
               AND jobs."order" @? format('$.policies[*].segments[*] ? (@.id == %s)',
                                          to_json(segments.id))::jsonpath
             ORDER BY segment_jobs.job_id DESC
             LIMIT 1) AS done ON true
 WHERE placed_segments.sandbox_id = :sandbox_id
   AND placed_segments.organisation_id = :organisation_id
   AND (:space_number::bigint IS NULL OR placed_segments.space_number IS NULL
        OR placed_segments.space_number = :space_number)
   AND (:key::text IS NULL OR segments.key = :key)
   AND (:number::bigint IS NULL OR placed_segments.number = :number)
 ORDER BY placed_segments.number
 LIMIT :limit OFFSET :skip

-- name: count
-- How many segments a space sees, or a whole sandbox has.
SELECT count(*) AS count
  FROM placed_segments
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND (:space_number::bigint IS NULL OR space_number IS NULL OR space_number = :space_number)

-- name: owned
-- The segments that belong to a space.
SELECT segment_id
  FROM placed_segments
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND space_number IS NOT NULL

-- name: lock
-- Holds a segment until the transaction ends against others that hold it, or that give it to a space.
SELECT placed_segments.number
  FROM placed_segments JOIN segments ON segments.id = placed_segments.segment_id
 WHERE placed_segments.sandbox_id = :sandbox_id
   AND placed_segments.organisation_id = :organisation_id
   AND segments.key = :key
   FOR NO KEY UPDATE OF placed_segments

-- name: place
-- Gives a segment to a space, or to the project as a whole.
UPDATE placed_segments
   SET space_number = :space_number
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id AND number = :number
RETURNING number
