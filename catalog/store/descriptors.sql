-- name: add
-- Adds a descriptor to a schema, or finds that the field is an identity already, or that the schema
-- has a primary one, and returns nothing.
INSERT INTO descriptors (sandbox_id, organisation_id, id, schema_id, type, path, namespace,
                         is_primary, document)
VALUES (:sandbox_id, :organisation_id, :id, :schema_id, :type, :path, :namespace, :is_primary,
        :document)
ON CONFLICT DO NOTHING
RETURNING *

-- name: all
-- The descriptors of a sandbox, or of one of its schemas, in the order they were added.
SELECT *
  FROM descriptors
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND (:schema_id::text IS NULL OR schema_id = :schema_id)
 ORDER BY created_at, id

-- name: find
-- One descriptor of a sandbox.
SELECT *
  FROM descriptors
 WHERE id = :id AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id

-- name: remove
-- Forgets a descriptor.
DELETE FROM descriptors
 WHERE id = :id AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
RETURNING id
