-- name: first
-- Files of a data set that have rows, the first opened batch first. None of batches that are not
-- active.
SELECT dataset_files.*, batches.dataset_id
  FROM dataset_files JOIN batches ON batches.id = dataset_files.batch_id
 WHERE batches.dataset_id = :dataset_id
   AND batches.sandbox_id = :sandbox_id AND batches.organisation_id = :organisation_id
   AND batches.state = 'active'
   AND dataset_files.row_count > 0
 ORDER BY batches.created_at, batches.id, dataset_files.number
 LIMIT :most

-- name: last
-- Files of a data set that have rows, of its active batches, the last opened batch first.
SELECT dataset_files.*, batches.dataset_id
  FROM dataset_files JOIN batches ON batches.id = dataset_files.batch_id
 WHERE batches.dataset_id = :dataset_id
   AND batches.sandbox_id = :sandbox_id AND batches.organisation_id = :organisation_id
   AND batches.state = 'active'
   AND dataset_files.row_count > 0
 ORDER BY batches.created_at DESC, batches.id DESC, dataset_files.number
 LIMIT :most

-- name: listing
-- The files of a sandbox's active batches with who made those, as listings filter and order them.
SELECT dataset_files.*, dataset_files.batch_id || '-' || dataset_files.number AS id,
       batches.dataset_id, batches.created_by
  FROM dataset_files JOIN batches ON batches.id = dataset_files.batch_id
 WHERE batches.sandbox_id = :sandbox_id AND batches.organisation_id = :organisation_id
   AND batches.state = 'active'
