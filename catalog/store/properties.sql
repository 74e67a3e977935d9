-- name: add
-- Makes a property, or finds that its key is taken and returns nothing.
INSERT INTO properties (sandbox_id, organisation_id, kind, key, name, description, value_type,
                        is_array, path, namespace, created_by, updated_by)
VALUES (:sandbox_id, :organisation_id, :kind, :key, :name, :description, :value_type,
        :is_array, :path, :namespace, :actor, :actor)
ON CONFLICT DO NOTHING
RETURNING *

-- name: find
-- One property of a sandbox, by its key.
SELECT *
  FROM properties
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id AND key = :key

-- name: numbered
-- One property of a sandbox, by its number.
SELECT *
  FROM properties
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id AND number = :number

-- name: keyed
-- Those of some keys that are properties of a sandbox.
SELECT *
  FROM properties
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND key = ANY (:keys::text[])

-- name: existing
-- Which of some numbers are properties of a sandbox.
SELECT number
  FROM properties
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND number = ANY (:numbers::bigint[])

-- name: all
-- The properties of a sandbox, of a kind or of all, in the order they were made.
SELECT *
  FROM properties
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND (:kind::text IS NULL OR kind = :kind)
 ORDER BY number

-- name: revise
-- Changes all of a property but its key, or finds that its name is taken and returns nothing.
UPDATE properties
   SET name = :name,
       description = :description,
       value_type = :value_type,
       is_array = :is_array,
       path = :path,
       namespace = :namespace,
       updated_by = :actor,
       updated_at = clock_timestamp()
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id AND key = :key
   AND NOT EXISTS (SELECT FROM properties AS others
                    WHERE others.sandbox_id = properties.sandbox_id
                      AND others.organisation_id = properties.organisation_id
                      AND others.kind = properties.kind
                      AND others.name = :name AND others.key <> :key)
RETURNING *

-- name: lock_changes
-- Lets one transaction after the other make and change the properties of a sandbox.
SELECT id
  FROM sandboxes
 WHERE id = :sandbox_id AND organisation_id = :organisation_id
   FOR NO KEY UPDATE

-- name: remove
-- Forgets a property.
DELETE FROM properties
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id AND key = :key
RETURNING number
