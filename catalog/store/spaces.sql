-- name: add
-- Makes a space, or finds that its name is taken and returns nothing.
INSERT INTO spaces (sandbox_id, organisation_id, name, description, identities, user_properties,
                    tags, created_by, updated_by)
VALUES (:sandbox_id, :organisation_id, :name, :description, :identities, :user_properties,
        :tags, :actor, :actor)
ON CONFLICT ON CONSTRAINT a_space_has_one_name DO NOTHING
RETURNING *

-- name: numbered
-- One space of a sandbox, by its number.
SELECT *
  FROM spaces
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id AND number = :number

-- name: all
-- The spaces of a sandbox, in the order they were made.
SELECT *
  FROM spaces
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
 ORDER BY number

-- name: lock_changes
-- Lets one transaction after the other make and change the spaces of a sandbox.
SELECT id
  FROM sandboxes
 WHERE id = :sandbox_id AND organisation_id = :organisation_id
   FOR NO KEY UPDATE

-- name: revise
-- Changes a space, or finds that its name is taken and returns nothing.
UPDATE spaces
   SET name = :name,
       description = :description,
       identities = :identities,
       user_properties = :user_properties,
       tags = :tags,
       updated_by = :actor,
       updated_at = clock_timestamp()
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id AND number = :number
   AND NOT EXISTS (SELECT FROM spaces AS others
                    WHERE others.sandbox_id = spaces.sandbox_id
                      AND others.organisation_id = spaces.organisation_id
                      AND others.name = :name AND others.number <> :number)
RETURNING *

-- name: vacate
-- Gives the segments of a space to its project.
UPDATE placed_segments
   SET space_number = NULL
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id AND space_number = :number

-- name: remove
-- Forgets a space that has no segments.
DELETE FROM spaces
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id AND number = :number
RETURNING number
