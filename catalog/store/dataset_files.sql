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
