-- name: labelling_for
-- The labelling by which home files of a snapshot are written, if any is good enough.
SELECT labelling_for_homes(:sandbox_id, :organisation_id, :commit, :engine_version) AS key

-- name: forget_other_formats
-- Forgets the home file of a store file when it means something else than one of this release.
DELETE FROM home_files
 USING store_files
 WHERE store_files.id = store_file_id
   AND store_files.id = :id
   AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND format <> :format
RETURNING store_file_id

-- name: add
-- Adds the home file of a store file, while the labelling that it was written by is there.
INSERT INTO home_files (store_file_id, labelling_key, key, size_bytes, row_count, format)
SELECT store_files.id, labellings.key, :key, :size_bytes, :row_count, :format
  FROM store_files JOIN labellings ON labellings.key = :labelling_key
 WHERE store_files.id = :id
   AND store_files.sandbox_id = :sandbox_id AND store_files.organisation_id = :organisation_id
   AND labellings.sandbox_id = :sandbox_id AND labellings.organisation_id = :organisation_id
ON CONFLICT (store_file_id) DO NOTHING
RETURNING store_file_id

-- name: at
-- The home files of the store files of a snapshot, as far as they are of one format.
SELECT store_files.key AS store_file_key, home_files.key, home_files.size_bytes,
       home_files.row_count, labelling_key
  FROM home_files JOIN store_files ON store_files.id = store_file_id
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND format = :format
   AND added <= :commit
   AND (removed IS NULL OR removed > :commit)
 ORDER BY store_files.key COLLATE "C"
