-- An export is submitted by one statement, upon what an earlier one found: see the functions of
-- migration 0012.

-- name: look
-- What a new export would rest on, with marks that change with it.
SELECT schema_id, has_default_policy, shape_mark, mark
  FROM export_ground(:sandbox_id, :organisation_id, :dataset_id, :schema_name)

-- name: submit
-- Queues an export job, opens its batches and notes who asked; or finds that its ground changed.
SELECT id, sandbox_id, organisation_id, :sandbox_name::text AS sandbox_name, kind, state,
       dataset_id, snapshot, attempt, failed_attempts, worker_id, progress, metrics, errors,
       created_by, request_id, created_at, updated_at, started_at, finished_at
  FROM submit_export(:sandbox_id, :organisation_id, :dataset_id, :schema_name, :mark,
                     :order::jsonb || jsonb_build_object(
                         'selection', :selection::jsonb || :shapes::text::jsonb),
                     :actor, :request_id, :batch_ids, :batch_state, :input_format)
