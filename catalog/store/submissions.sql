-- Exports are submitted by one statement, upon what an earlier one found: see the functions of
-- migration 0012.

-- name: look
-- What a new export would rest on, with marks that change with it.
SELECT schema_id, has_default_policy, shape_mark, mark
  FROM export_ground(:sandbox_id, :organisation_id, :dataset_id, :schema_name)

-- name: submit
-- Queues export jobs, opens their batches and notes who asked; or finds that their ground changed.
SELECT id, sandbox_id, organisation_id, :sandbox_name::text AS sandbox_name, kind, state,
       dataset_id, snapshot, attempt, failed_attempts, worker_id, progress, metrics, errors,
       created_by, request_id, created_at, updated_at, started_at, finished_at
  FROM submit_exports(:sandbox_id, :organisation_id, :dataset_id, :schema_name, :mark,
                      :shapes::text::jsonb, :orders, :selections, :actors, :request_ids,
                      :batch_ids, :batch_places, :places, :batch_state, :input_format)
