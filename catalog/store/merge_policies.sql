-- name: add
-- Makes a merge policy.
INSERT INTO merge_policies (id, sandbox_id, organisation_id, name, schema_name, identity_graph,
                            attribute_merge, dataset_order, is_default, is_active_on_edge)
VALUES (:id, :sandbox_id, :organisation_id, :name, :schema_name, :identity_graph,
        :attribute_merge, :dataset_order, :is_default, :is_active_on_edge)
RETURNING *

-- name: find
-- One merge policy of a sandbox.
SELECT *
  FROM merge_policies
 WHERE id = :id AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id

-- name: lock
-- One merge policy of a sandbox, held against every change until the transaction ends.
SELECT *
  FROM merge_policies
 WHERE id = :id AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   FOR NO KEY UPDATE

-- name: hold
-- One merge policy of a sandbox, which neither changes nor goes until the transaction ends.
SELECT *
  FROM merge_policies
 WHERE id = :id AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   FOR SHARE

-- name: find_many
-- Those of some ids that are merge policies of the sandbox.
SELECT *
  FROM merge_policies
 WHERE id = ANY (:ids::text[])
   AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
 ORDER BY created_at, id

-- name: default
-- The policy of callers who name none.
SELECT *
  FROM merge_policies
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND schema_name = :schema_name AND is_default

-- name: lock_changes
-- Holds the policies of an organisation against change until the transaction ends: of two that
-- become the default at the same time the later one stands, and neither slips past the limit.
SELECT pg_advisory_xact_lock(hashtext('merge policies'), hashtext(:organisation_id::text))

-- name: count_of_organisation
-- How many policies an organisation has, in all its sandboxes.
SELECT count(*) AS count FROM merge_policies WHERE organisation_id = :organisation_id

-- name: find_version
-- What one merge policy of a sandbox was in one of its versions.
SELECT merge_policies.id, merge_policies.created_at, versions.*
  FROM merge_policies
  JOIN merge_policy_versions AS versions ON versions.policy_id = merge_policies.id
 WHERE merge_policies.id = :id AND versions.version = :version
   AND merge_policies.sandbox_id = :sandbox_id
   AND merge_policies.organisation_id = :organisation_id

-- name: make_room
-- Takes from other policies what only one may be, the default of its class and the one that is
-- active on edge; which is a change of those.
UPDATE merge_policies
   SET is_default = is_default AND NOT (:is_default AND schema_name = :schema_name),
       is_active_on_edge = is_active_on_edge AND NOT :is_active_on_edge,
       version = version + 1,
       updated_at = clock_timestamp()
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND id <> :id
   AND ((:is_default AND is_default AND schema_name = :schema_name)
        OR (:is_active_on_edge AND is_active_on_edge))

-- name: revise
-- Gives a merge policy new rules.
UPDATE merge_policies
   SET name = :name,
       schema_name = :schema_name,
       identity_graph = :identity_graph,
       attribute_merge = :attribute_merge,
       dataset_order = :dataset_order,
       is_default = :is_default,
       is_active_on_edge = :is_active_on_edge,
       version = version + 1,
       updated_at = clock_timestamp()
 WHERE id = :id AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
RETURNING *

-- name: remove
-- Removes a merge policy. Jobs keep the rules they were submitted with.
DELETE FROM merge_policies
 WHERE id = :id AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
RETURNING id

-- name: page
-- One page of the policies that pass every filter given, and how many pass in all.
SELECT *, count(*) OVER () AS total_count
  FROM merge_policies
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND (:schema_name::text IS NULL OR schema_name = :schema_name)
   AND (:identity_graph::text IS NULL OR identity_graph = :identity_graph)
   AND (:attribute_merge::text IS NULL OR attribute_merge = :attribute_merge)
   AND (:is_default::boolean IS NULL OR is_default = :is_default)
   AND (:is_active_on_edge::boolean IS NULL OR is_active_on_edge = :is_active_on_edge)
   AND (:version::integer IS NULL OR version = :version)
 ORDER BY CASE WHEN :sort = 'name' AND NOT :is_descending THEN name END,
          CASE WHEN :sort = 'name' AND :is_descending THEN name END DESC,
          CASE WHEN :sort = 'created' AND NOT :is_descending THEN created_at END,
          CASE WHEN :sort = 'created' AND :is_descending THEN created_at END DESC,
          CASE WHEN :sort = 'updated' AND NOT :is_descending THEN updated_at END,
          CASE WHEN :sort = 'updated' AND :is_descending THEN updated_at END DESC,
          id
 LIMIT :limit OFFSET :skip
