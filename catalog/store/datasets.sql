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

-- name: lock
-- One data set of a sandbox, held against every change until the transaction ends.
SELECT *
  FROM datasets
 WHERE id = :id AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   FOR NO KEY UPDATE

-- name: existing
-- Which of some ids are data sets of the sandbox.
SELECT id
  FROM datasets
 WHERE id = ANY (:ids::text[])
   AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id

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
RETURNING *

-- name: table_of
-- A data set of the sandbox that has a name as a table.
SELECT id
  FROM datasets
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND jsonb_exists(tags -> :tag, :table)
 LIMIT 1

-- name: in_use
-- Data sets with what their schemas and batches say of them: one, or a page of those whose name
-- fits a pattern (or fits none).
SELECT datasets.*,
       coalesce(schemas.class_id = :event_class, datasets.schema_id = :event_union) AS is_event,
       last.id AS last_id, last.state AS last_state,
       successful.id AS last_successful, failed.id AS last_failed
  FROM datasets
  LEFT JOIN schemas ON schemas.sandbox_id = datasets.sandbox_id
                   AND schemas.organisation_id = datasets.organisation_id
                   AND schemas.id = datasets.schema_id
  LEFT JOIN LATERAL (SELECT id, state FROM batches
                      WHERE batches.dataset_id = datasets.id
                      ORDER BY created_at DESC, id DESC LIMIT 1) AS last ON true
  LEFT JOIN LATERAL (SELECT id FROM batches
                      WHERE batches.dataset_id = datasets.id AND state = 'active'
                      ORDER BY created_at DESC, id DESC LIMIT 1) AS successful ON true
  LEFT JOIN LATERAL (SELECT id FROM batches
                      WHERE batches.dataset_id = datasets.id AND state = 'failed'
                      ORDER BY created_at DESC, id DESC LIMIT 1) AS failed ON true
 WHERE datasets.sandbox_id = :sandbox_id AND datasets.organisation_id = :organisation_id
   AND (:id::text IS NULL OR datasets.id = :id)
   AND (:names::text[] IS NULL OR (datasets.name LIKE ANY (:names)) <> :is_negated::boolean)
 ORDER BY CASE WHEN :sort = 'name' AND NOT :is_descending THEN datasets.name END,
          CASE WHEN :sort = 'name' AND :is_descending THEN datasets.name END DESC,
          CASE WHEN :sort = 'created' AND NOT :is_descending THEN datasets.created_at END,
          CASE WHEN :sort = 'created' AND :is_descending THEN datasets.created_at END DESC,
          CASE WHEN :sort = 'updated' AND NOT :is_descending THEN datasets.updated_at END,
          CASE WHEN :sort = 'updated' AND :is_descending THEN datasets.updated_at END DESC,
          datasets.id
 LIMIT :limit OFFSET :skip
