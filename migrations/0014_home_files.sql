-- Home files: rows of store files once more, where their profiles are at home, so that exports that
-- unite identities need not bring them there each time.

CREATE TABLE home_files (
    store_file_id bigint      PRIMARY KEY REFERENCES store_files ON DELETE CASCADE,
    labelling_key text        NOT NULL REFERENCES labellings (key) ON DELETE CASCADE,
    key           text        NOT NULL UNIQUE,
    size_bytes    bigint      NOT NULL,
    row_count     bigint      NOT NULL,
    format        integer     NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now()
);

-- Serves labellings that are about to be forgotten.
CREATE INDEX home_files_of_a_labelling ON home_files (labelling_key);

COMMENT ON TABLE home_files IS
    'Derived: any row may be deleted while no export is under way, and plans move rows again. A store '
    'file has one for as long as it lives.';
COMMENT ON COLUMN home_files.format IS
    'What the file and its labelling mean, by the release that wrote it. Others pass it over, and '
    'replace it.';
COMMENT ON COLUMN home_files.labelling_key IS
    'The labelling that said where profiles were at home. Who has moved since is found by comparing '
    'it with the one that counts, so it is kept as long as the home file.';

CREATE TRIGGER discard_deleted_home_file AFTER DELETE ON home_files
    FOR EACH ROW EXECUTE FUNCTION discard_file();

CREATE FUNCTION labelling_for_homes(sandbox uuid, organisation text, snapshot bigint, version text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT key
      FROM (SELECT * FROM labellings
             WHERE sandbox_id = sandbox AND organisation_id = organisation
               AND engine_version = version
               AND commit_number <= snapshot
               AND (discarded IS NULL OR discarded > snapshot)
             ORDER BY commit_number DESC
             LIMIT 1) AS newest
     WHERE row_count > 0
       AND 8 * (SELECT coalesce(sum(links.row_count), 0) FROM store_files AS links
                 WHERE links.sandbox_id = sandbox AND links.organisation_id = organisation
                   AND links.kind = 'links'
                   AND coalesce((SELECT max(source.added) FROM store_file_sources AS source
                                  WHERE source.file_id = links.id), links.added) > commit_number
                   AND links.added <= snapshot
                   AND (links.removed IS NULL OR links.removed > snapshot))
           <= row_count
$$;

COMMENT ON FUNCTION labelling_for_homes IS
    'The key of the labelling by which home files of a snapshot are written: the newest that is valid '
    'for it. Null when it knows nobody, and when there are more new links than one for each eight '
    'identities that it knows: then it is better to wait for the next.';
