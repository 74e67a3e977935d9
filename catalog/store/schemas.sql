-- name: add
-- Registers a schema.
INSERT INTO schemas (sandbox_id, organisation_id, id, alt_id, class_id, is_event, title, document,
                     fields, is_union, created_by)
VALUES (:sandbox_id, :organisation_id, :id, :alt_id, :class_id, :is_event, :title, :document,
        :fields, :is_union, :actor)
RETURNING *

-- name: find
-- One schema of a sandbox, by its id or its alternative id.
SELECT *
  FROM schemas
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND (id = :id OR alt_id = :id)

-- name: lock
-- One schema of a sandbox, held against every change until the transaction ends.
SELECT *
  FROM schemas
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND (id = :id OR alt_id = :id)
   FOR NO KEY UPDATE

-- name: hold
-- One schema of a sandbox, held against change, but not against others who hold it, until the
-- transaction ends.
SELECT *
  FROM schemas
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND (id = :id OR alt_id = :id)
   FOR SHARE

-- name: is_used
-- Whether a data set has a schema.
SELECT EXISTS (SELECT FROM datasets
                WHERE schema_id = :id AND deleted_at IS NULL
                  AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id) AS answer

-- name: all
-- The schemas of a sandbox, or those of its unions, in the order they were registered: of two
-- that disagree the older one was there first.
SELECT *
  FROM schemas
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND (is_union OR NOT :only_unions)
 ORDER BY created_at, id

-- name: revise
-- Gives a schema a new document.
UPDATE schemas
   SET title = :title,
       document = :document,
       fields = :fields,
       is_union = :is_union,
       version = version + 1,
       updated_at = clock_timestamp()
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id AND id = :id
RETURNING *

-- name: begin
-- Holds the schemas of a sandbox, and what they are composed of, against change by others until the
-- transaction ends.
SELECT pg_advisory_xact_lock(hashtext('schemas'), hashtext(:sandbox_id::uuid::text))

-- name: remove
-- Forgets a schema, and its descriptors with it.
DELETE FROM schemas
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id AND id = :id
RETURNING id

-- name: row_shape
-- What is known of the rows of a data set. Without a schema row it is on a union schema.
SELECT datasets.schema_id, schemas.is_event, schemas.fields
  FROM datasets
  LEFT JOIN schemas ON schemas.sandbox_id = datasets.sandbox_id
                   AND schemas.organisation_id = datasets.organisation_id
                   AND schemas.id = datasets.schema_id
 WHERE datasets.id = :dataset_id
   AND datasets.sandbox_id = :sandbox_id AND datasets.organisation_id = :organisation_id
