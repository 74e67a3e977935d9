-- name: add
-- Makes a data set.
INSERT INTO datasets (id, sandbox_id, organisation_id, name, description, schema_id,
                      schema_content_type, tags, extras, is_profile_enabled, is_upsert,
                      created_by, updated_by)
VALUES (:id, :sandbox_id, :organisation_id, :name, :description, :schema_id,
        :schema_content_type, :tags, :extras, :is_profile_enabled, :is_upsert, :actor, :actor)
RETURNING *

-- name: find
-- One data set of a sandbox.
SELECT *
  FROM datasets
 WHERE id = :id AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND deleted_at IS NULL

-- name: lock
-- One data set of a sandbox, held against every change until the transaction ends.
SELECT *
  FROM datasets
 WHERE id = :id AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND deleted_at IS NULL
   FOR NO KEY UPDATE

-- name: existing
-- Which of some ids are data sets of the sandbox.
SELECT id
  FROM datasets
 WHERE id = ANY (:ids::text[])
   AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND deleted_at IS NULL

-- name: revise
-- Changes what callers may say of a data set.
UPDATE datasets
   SET name = :name,
       description = :description,
       schema_content_type = :schema_content_type,
       tags = :tags,
       extras = :extras,
       is_profile_enabled = :is_profile_enabled,
       is_upsert = :is_upsert,
       version = version + 1,
       updated_by = :actor,
       updated_at = clock_timestamp()
 WHERE id = :id AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND deleted_at IS NULL
RETURNING *

-- name: table_of
-- A data set of the sandbox that has a name as a table.
SELECT id
  FROM datasets
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND deleted_at IS NULL
   AND jsonb_exists(tags -> :tag, :table)
 LIMIT 1

-- name: in_use
-- The data sets of a sandbox with what their schemas and batches say of them, as listings filter
-- and order them. Without a schema row one is on a union schema.
SELECT datasets.*,
       coalesce(schemas.is_event, datasets.schema_id = :event_union) AS is_event,
       last.id AS last_id, last.state AS last_state,
       successful.id AS last_successful, failed.id AS last_failed
  FROM datasets
  LEFT JOIN schemas ON schemas.sandbox_id = datasets.sandbox_id
                   AND schemas.organisation_id = datasets.organisation_id
                   AND schemas.id = datasets.schema_id
  LEFT JOIN LATERAL (SELECT id, state FROM batches
                      WHERE batches.dataset_id = datasets.id AND deleted_at IS NULL
                      ORDER BY created_at DESC, id DESC LIMIT 1) AS last ON true
  LEFT JOIN LATERAL (SELECT id FROM batches
                      WHERE batches.dataset_id = datasets.id AND state = 'active'
                      ORDER BY created_at DESC, id DESC LIMIT 1) AS successful ON true
  LEFT JOIN LATERAL (SELECT id FROM batches
                      WHERE batches.dataset_id = datasets.id AND state = 'failed'
                        AND deleted_at IS NULL
                      ORDER BY created_at DESC, id DESC LIMIT 1) AS failed ON true
 WHERE datasets.sandbox_id = :sandbox_id AND datasets.organisation_id = :organisation_id
   AND datasets.deleted_at IS NULL
   AND (:id::text IS NULL OR datasets.id = :id)

-- name: delete
-- Hides a data set from callers for good.
UPDATE datasets
   SET deleted_at = now(), version = version + 1, updated_by = :actor, updated_at = now()
 WHERE id = :id AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND deleted_at IS NULL
RETURNING id
