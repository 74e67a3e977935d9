-- name: add
-- Registers a part.
INSERT INTO schema_parts (sandbox_id, organisation_id, id, alt_id, kind, title, document,
                          created_by)
VALUES (:sandbox_id, :organisation_id, :id, :alt_id, :kind, :title, :document, :actor)
RETURNING *

-- name: find
-- One part of a kind, by its id or its alternative id.
SELECT *
  FROM schema_parts
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND kind = :kind
   AND (id = :id OR alt_id = :id)

-- name: all
-- The parts of a sandbox, of a kind or of all, in the order they were registered.
SELECT *
  FROM schema_parts
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND (:kind::text IS NULL OR kind = :kind)
 ORDER BY created_at, id

-- name: revise
-- Gives a part a new document.
UPDATE schema_parts
   SET title = :title,
       document = :document,
       version = version + 1,
       updated_at = clock_timestamp()
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id AND id = :id
RETURNING *

-- name: remove
-- Forgets a part.
DELETE FROM schema_parts
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id AND id = :id
RETURNING id
