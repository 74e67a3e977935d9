-- An export is submitted in two statements: one look at what it rests on, and one write.

-- name: look
-- What a new export would read and write, and a mark that changes with any schema of the union or
-- namespace of the sandbox: xmin is another after every change of a row. The lock is kept until the
-- pin can be seen: the sweeper takes files that nobody has pinned, and waits for it.
SELECT sandboxes.commit_number AS snapshot,
       (SELECT datasets.schema_id FROM datasets
         WHERE datasets.id = :dataset_id
           AND datasets.sandbox_id = sandboxes.id
           AND datasets.organisation_id = sandboxes.organisation_id
           AND datasets.deleted_at IS NULL) AS schema_id,
       EXISTS (SELECT FROM merge_policies
                WHERE merge_policies.sandbox_id = sandboxes.id
                  AND merge_policies.organisation_id = sandboxes.organisation_id
                  AND merge_policies.schema_name = :schema_name
                  AND merge_policies.is_default) AS has_default_policy,
       md5(concat((SELECT string_agg(concat(schemas.xmin::text, ' ', schemas.id), ','
                                     ORDER BY schemas.id)
                     FROM schemas
                    WHERE schemas.sandbox_id = sandboxes.id
                      AND schemas.organisation_id = sandboxes.organisation_id
                      AND schemas.is_union),
                  ';',
                  (SELECT string_agg(concat(namespaces.xmin::text, ' ', namespaces.id), ','
                                     ORDER BY namespaces.id)
                     FROM namespaces
                    WHERE namespaces.sandbox_id = sandboxes.id
                      AND namespaces.organisation_id = sandboxes.organisation_id))) AS mark
  FROM sandboxes
 WHERE sandboxes.id = :sandbox_id AND sandboxes.organisation_id = :organisation_id
   FOR KEY SHARE OF sandboxes

-- name: submit
-- Queues an export job, opens the batches it will fill, and notes who asked.
WITH submitted AS (
    INSERT INTO jobs (sandbox_id, organisation_id, kind, dataset_id, "order", snapshot,
                      created_by, request_id)
    VALUES (:sandbox_id, :organisation_id, 'export', :dataset_id, :order, :snapshot,
            :actor, :request_id)
    RETURNING *
), noted AS (
    INSERT INTO job_events (job_id, event, state, attempt, actor)
    SELECT id, 'submit', state, attempt, :actor FROM submitted
), opened AS (
    INSERT INTO batches (id, sandbox_id, organisation_id, dataset_id, state, input_format,
                         job_id, place, created_by, started_at)
    SELECT wanted.id, sandbox_id, organisation_id, dataset_id, :batch_state, :input_format,
           submitted.id, wanted.place - 1, :actor, now()
      FROM submitted
     CROSS JOIN unnest(:batch_ids::text[]) WITH ORDINALITY AS wanted (id, place)
), audited AS (
    INSERT INTO audit_entries (sandbox_id, organisation_id, actor, action, object_kind, object_id,
                               request_id, details)
    SELECT sandbox_id, organisation_id, :actor, 'create', 'export_job', id::text, request_id,
           jsonb_build_object('dataset', dataset_id)
      FROM submitted
)
SELECT id, sandbox_id, organisation_id, :sandbox_name::text AS sandbox_name, kind, state,
       dataset_id, snapshot, attempt, failed_attempts, worker_id, progress, metrics, errors,
       created_by, request_id, created_at, updated_at, started_at, finished_at
  FROM submitted
