-- User lists are jobs of a kind. Callers name them by number, or by the instant of their creation,
-- which a download's path tells: and often without a sandbox, so that blocks here go by the
-- organisation alone where they say so.

-- name: find
-- One list of an organisation, in whichever sandbox.
SELECT jobs.*, sandboxes.name AS sandbox_name
  FROM jobs JOIN sandboxes ON sandboxes.id = jobs.sandbox_id
 WHERE jobs.id = :job_id AND jobs.kind = 'user_list'
   AND jobs.organisation_id = :organisation_id

-- name: created_at
-- The lists of an organisation that were made at one instant.
SELECT jobs.*, sandboxes.name AS sandbox_name
  FROM jobs JOIN sandboxes ON sandboxes.id = jobs.sandbox_id
 WHERE jobs.kind = 'user_list'
   AND jobs.organisation_id = :organisation_id
   AND jobs.created_at = :created_at
 ORDER BY jobs.id

-- name: equal
-- A list of a sandbox that was lately asked for in the same words about the same snapshot, and is
-- there or will be.
SELECT jobs.*, sandboxes.name AS sandbox_name
  FROM jobs JOIN sandboxes ON sandboxes.id = jobs.sandbox_id
 WHERE jobs.kind = 'user_list'
   AND jobs.organisation_id = :organisation_id AND jobs.sandbox_id = :sandbox_id
   AND jobs.created_at > now() - interval '1 hour'
   AND jobs.snapshot = :snapshot
   AND jobs."order" = :order::jsonb
   AND (jobs.state IN ('queued', 'running')
        OR jobs.state = 'succeeded'
       AND EXISTS (SELECT FROM user_list_pieces WHERE user_list_pieces.job_id = jobs.id))
 ORDER BY jobs.id DESC
 LIMIT 1

-- name: pieces
-- The bytes of a list, piece by piece.
SELECT key, size_bytes, row_count, sha256
  FROM user_list_pieces
 WHERE job_id = :job_id
 ORDER BY place

-- name: add_pieces
-- Lets the parts of a list be its file.
INSERT INTO user_list_pieces (job_id, place, key, size_bytes, row_count, sha256)
SELECT :job_id, place, key, size_bytes, row_count, sha256
  FROM unnest(:keys::text[], :sizes::bigint[], :rows::bigint[], :hashes::text[])
       WITH ORDINALITY AS piece (key, size_bytes, row_count, sha256, place)

-- name: erase
-- Forgets the files of lists that ended so long ago: all pieces of each, since what is left of a
-- file would be taken for the whole.
DELETE FROM user_list_pieces
 WHERE job_id IN (
       SELECT jobs.id
         FROM jobs
        WHERE jobs.kind = 'user_list' AND jobs.finished_at <= now() - :age::interval
          AND EXISTS (SELECT FROM user_list_pieces AS piece WHERE piece.job_id = jobs.id)
        LIMIT :most)
RETURNING key
