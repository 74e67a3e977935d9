-- Wherever a segment is read, its policy is looked up: one that names none follows the default.

-- name: add
-- Makes a segment.
INSERT INTO segments (id, sandbox_id, organisation_id, key, name, description, format, expression,
                      rule, merge_policy_id, is_batch, is_continuous, is_synchronous, ttl_days,
                      created_by, updated_by)
VALUES (:id, :sandbox_id, :organisation_id, :key, :name, :description, :format, :expression,
        :rule, :merge_policy_id, :is_batch, :is_continuous, :is_synchronous, :ttl_days,
        :actor, :actor)

-- name: find_many
-- Those of some ids that are segments of the sandbox.
SELECT segments.*,
       coalesce(segments.merge_policy_id, defaults.id) AS policy_id
  FROM segments
  LEFT JOIN merge_policies AS defaults
         ON defaults.sandbox_id = segments.sandbox_id
        AND defaults.organisation_id = segments.organisation_id
        AND defaults.schema_name = :schema_name
        AND defaults.is_default
 WHERE segments.id = ANY (:ids::text[])
   AND segments.sandbox_id = :sandbox_id AND segments.organisation_id = :organisation_id
 ORDER BY segments.created_at, segments.id

-- name: find_by_key
-- The segment of a sandbox that is known by a key.
SELECT id
  FROM segments
 WHERE key = :key AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id

-- name: find_by_name
-- The segment of a sandbox that has a name.
SELECT id
  FROM segments
 WHERE name = :name AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id

-- name: every
-- All segments of a sandbox in the order of their making.
SELECT segments.*,
       coalesce(segments.merge_policy_id, defaults.id) AS policy_id
  FROM segments
  LEFT JOIN merge_policies AS defaults
         ON defaults.sandbox_id = segments.sandbox_id
        AND defaults.organisation_id = segments.organisation_id
        AND defaults.schema_name = :schema_name
        AND defaults.is_default
 WHERE segments.sandbox_id = :sandbox_id AND segments.organisation_id = :organisation_id
 ORDER BY segments.created_at, segments.id

-- name: page
-- One page of the segments that pass every filter given.
SELECT segments.*,
       coalesce(segments.merge_policy_id, defaults.id) AS policy_id
  FROM segments
  LEFT JOIN merge_policies AS defaults
         ON defaults.sandbox_id = segments.sandbox_id
        AND defaults.organisation_id = segments.organisation_id
        AND defaults.schema_name = :schema_name
        AND defaults.is_default
 WHERE segments.sandbox_id = :sandbox_id AND segments.organisation_id = :organisation_id
   AND (:is_continuous::boolean IS NULL OR segments.is_continuous = :is_continuous)
 ORDER BY CASE WHEN :sort = 'name' AND NOT :is_descending THEN segments.name END,
          CASE WHEN :sort = 'name' AND :is_descending THEN segments.name END DESC,
          CASE WHEN :sort = 'creation' AND NOT :is_descending THEN segments.created_at END,
          CASE WHEN :sort = 'creation' AND :is_descending THEN segments.created_at END DESC,
          CASE WHEN :sort = 'update' AND NOT :is_descending THEN segments.updated_at END,
          CASE WHEN :sort = 'update' AND :is_descending THEN segments.updated_at END DESC,
          segments.id
 LIMIT :limit OFFSET :skip

-- name: count
-- How many segments of a sandbox pass every filter given.
SELECT count(*) AS count
  FROM segments
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND (:is_continuous::boolean IS NULL OR is_continuous = :is_continuous)

-- name: lock_changes
-- Holds the segments of a sandbox against change until the transaction ends.
SELECT pg_advisory_xact_lock(hashtext('segments'), hashtext(:sandbox_id::uuid::text))

-- name: revise
-- Changes all that a caller says of a segment.
UPDATE segments
   SET name = :name,
       description = :description,
       format = :format,
       expression = :expression,
       rule = :rule,
       merge_policy_id = :merge_policy_id,
       is_batch = :is_batch,
       is_continuous = :is_continuous,
       is_synchronous = :is_synchronous,
       ttl_days = :ttl_days,
       version = version + 1,
       updated_by = :actor,
       updated_at = clock_timestamp()
 WHERE id = :id AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
RETURNING id

-- name: remove
-- Removes a segment. Jobs keep what it said when they were submitted.
DELETE FROM segments
 WHERE id = :id AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
RETURNING id

-- name: of_policy
-- One of the segments that name a merge policy, which therefore has to stay.
SELECT id, name
  FROM segments
 WHERE merge_policy_id = :merge_policy_id
   AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
 ORDER BY created_at, id
 LIMIT 1
