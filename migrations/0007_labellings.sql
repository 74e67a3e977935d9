-- Labellings: who is who in the profile store, worked out once for a snapshot and extended for
-- later ones.

CREATE TABLE labellings (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sandbox_id      uuid        NOT NULL,
    organisation_id text        NOT NULL,
    commit_number   bigint      NOT NULL,
    discarded       bigint,
    engine_version  text        NOT NULL,
    main_dataset_id text,
    key             text        NOT NULL UNIQUE,
    size_bytes      bigint      NOT NULL,
    row_count       bigint      NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),

    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    CONSTRAINT a_snapshot_has_one_labelling UNIQUE (sandbox_id, commit_number, engine_version),
    CONSTRAINT a_labelling_goes_after_it_came CHECK (discarded > commit_number)
);

COMMENT ON TABLE labellings IS
    'Derived: any row may be deleted, and the next plan works out again what it said.';
COMMENT ON COLUMN labellings.commit_number IS
    'It knows every link and every record that was added by this commit.';
COMMENT ON COLUMN labellings.discarded IS
    'The first commit that removed something it was made from. It serves the snapshots C with '
    'commit_number <= C < coalesce(discarded, infinity).';
COMMENT ON COLUMN labellings.main_dataset_id IS
    'The record data set whose keys represent profiles in it.';

CREATE TRIGGER discard_deleted_labelling AFTER DELETE ON labellings
    FOR EACH ROW EXECUTE FUNCTION discard_file();
