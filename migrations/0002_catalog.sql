-- What rows look like and what they are called: schemas with their identity descriptors,
-- namespaces, data sets and merge policies.

CREATE TABLE schemas (
    sandbox_id uuid        NOT NULL,
    organisation_id text   NOT NULL,
    id         text        NOT NULL,
    alt_id     text        NOT NULL,
    class_id   text        NOT NULL,
    is_event   boolean     NOT NULL DEFAULT false,
    title      text        NOT NULL,
    document   json        NOT NULL,
    fields     jsonb       NOT NULL,
    is_union   boolean     NOT NULL DEFAULT false,
    version    integer     NOT NULL DEFAULT 1,
    created_by text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (sandbox_id, id),
    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    CONSTRAINT a_schema_has_one_alt_id UNIQUE (sandbox_id, alt_id)
);

COMMENT ON COLUMN schemas.document IS
    'As the caller wrote it. json, not jsonb: exported columns stand in the order of its fields.';
COMMENT ON COLUMN schemas.is_event IS
    'Rows happened at a time, rather than describe something until further notice. Follows from '
    'the class.';
COMMENT ON COLUMN schemas.fields IS 'The same, resolved into a tree of fields.';
COMMENT ON COLUMN schemas.is_union IS 'Takes part in the union schema. Cannot be undone.';

CREATE TABLE schema_parts (
    sandbox_id uuid        NOT NULL,
    organisation_id text   NOT NULL,
    id         text        NOT NULL,
    alt_id     text        NOT NULL,
    kind       text        NOT NULL,
    title      text        NOT NULL,
    document   json        NOT NULL,
    version    integer     NOT NULL DEFAULT 1,
    created_by text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (sandbox_id, id),
    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    CONSTRAINT a_part_has_one_alt_id UNIQUE (sandbox_id, alt_id),
    CONSTRAINT part_kind_is_known CHECK (kind IN ('classes', 'fieldgroups', 'datatypes'))
);

COMMENT ON TABLE schema_parts IS
    'What callers registered for schemas to be composed of. Those that come with the service are '
    'not kept here. What refers to what is read from the documents.';

CREATE TABLE descriptors (
    sandbox_id uuid        NOT NULL,
    organisation_id text   NOT NULL,
    id         text        NOT NULL,
    schema_id  text        NOT NULL,
    type       text        NOT NULL DEFAULT 'xdm:descriptorIdentity',
    path       text[],
    namespace  text,
    is_primary boolean     NOT NULL DEFAULT false,
    document   json        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (sandbox_id, id),
    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    FOREIGN KEY (sandbox_id, schema_id) REFERENCES schemas ON DELETE CASCADE,
    CONSTRAINT only_identities_name_a_field CHECK (
        (type = 'xdm:descriptorIdentity') = (path IS NOT NULL AND namespace IS NOT NULL)),
    CONSTRAINT a_field_is_one_identity UNIQUE (sandbox_id, schema_id, path)
);

COMMENT ON COLUMN descriptors.path IS
    'The field that holds an identity. Descriptors of other types are kept and have no effect.';

CREATE UNIQUE INDEX a_schema_has_one_primary_identity
    ON descriptors (sandbox_id, schema_id) WHERE is_primary;

CREATE TABLE namespaces (
    sandbox_id  uuid        NOT NULL,
    organisation_id text    NOT NULL,
    code        text        NOT NULL,
    lower_code  text        NOT NULL,
    id          integer     NOT NULL GENERATED ALWAYS AS IDENTITY (START WITH 10000000),
    name        text        NOT NULL,
    description text        NOT NULL DEFAULT '',
    id_type     text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),

    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    CONSTRAINT a_namespace_code_is_taken_in_any_spelling PRIMARY KEY (sandbox_id, lower_code),
    CONSTRAINT a_namespace_has_one_number UNIQUE (sandbox_id, id),
    CONSTRAINT id_type_is_known CHECK (id_type IN (
        'COOKIE', 'CROSS_DEVICE', 'DEVICE', 'EMAIL', 'MOBILE', 'NON_PEOPLE', 'PARTNER', 'PHONE'))
);

COMMENT ON TABLE namespaces IS
    'Custom namespaces. The standard ones are the same in every sandbox and not kept here; their '
    'numbers lie below the first of these.';
COMMENT ON COLUMN namespaces.lower_code IS
    'Lowered by the service, as identity keys are: a database may fold case otherwise.';

CREATE TABLE datasets (
    id                 text        PRIMARY KEY,
    sandbox_id         uuid        NOT NULL,
    organisation_id    text        NOT NULL,
    name               text        NOT NULL,
    description        text        NOT NULL DEFAULT '',
    schema_id          text        NOT NULL,
    schema_content_type text       NOT NULL,
    tags               jsonb       NOT NULL DEFAULT '{}',
    extras             jsonb       NOT NULL DEFAULT '{}',
    is_profile_enabled boolean     NOT NULL DEFAULT false,
    is_upsert          boolean     NOT NULL DEFAULT false,
    version            integer     NOT NULL DEFAULT 1,
    created_by         text        NOT NULL,
    updated_by         text        NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    deleted_at         timestamptz,

    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    CONSTRAINT a_dataset_is_named_with_its_sandbox UNIQUE (id, sandbox_id)
);

COMMENT ON COLUMN datasets.deleted_at IS
    'Callers no longer find it. The row stays: jobs and batches, which are history, name it.';

-- Serves the listing of a sandbox's data sets.
CREATE INDEX datasets_of_a_sandbox ON datasets (sandbox_id, created_at, id);

CREATE TABLE merge_policies (
    id         text        PRIMARY KEY,
    sandbox_id uuid        NOT NULL,
    organisation_id text   NOT NULL,
    version    integer     NOT NULL DEFAULT 1,
    name       text        NOT NULL,
    schema_name text       NOT NULL,
    identity_graph text    NOT NULL,
    attribute_merge text   NOT NULL,
    dataset_order text[]   NOT NULL DEFAULT '{}',
    is_default boolean     NOT NULL DEFAULT false,
    is_active_on_edge boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),

    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    CONSTRAINT identity_graph_is_known CHECK (identity_graph IN ('none', 'pdg')),
    CONSTRAINT attribute_merge_is_known CHECK (
        attribute_merge IN ('timestampOrdered', 'dataSetPrecedence')),
    CONSTRAINT only_precedence_names_datasets CHECK (
        (attribute_merge = 'dataSetPrecedence') = (dataset_order <> '{}'))
);

CREATE UNIQUE INDEX a_class_has_one_default_policy
    ON merge_policies (sandbox_id, schema_name) WHERE is_default;
CREATE UNIQUE INDEX a_sandbox_has_one_policy_on_edge
    ON merge_policies (sandbox_id) WHERE is_active_on_edge;
-- Serves the count of an organisation's policies.
CREATE INDEX merge_policies_of_an_organisation ON merge_policies (organisation_id);

CREATE TABLE merge_policy_versions (
    policy_id  text        NOT NULL REFERENCES merge_policies ON DELETE CASCADE,
    version    integer     NOT NULL,
    name       text        NOT NULL,
    schema_name text       NOT NULL,
    identity_graph text    NOT NULL,
    attribute_merge text   NOT NULL,
    dataset_order text[]   NOT NULL,
    is_default boolean     NOT NULL,
    is_active_on_edge boolean NOT NULL,
    updated_at timestamptz NOT NULL,

    PRIMARY KEY (policy_id, version)
);

CREATE FUNCTION keep_policy_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO merge_policy_versions (policy_id, version, name, schema_name, identity_graph,
                                       attribute_merge, dataset_order, is_default,
                                       is_active_on_edge, updated_at)
    VALUES (NEW.id, NEW.version, NEW.name, NEW.schema_name, NEW.identity_graph,
            NEW.attribute_merge, NEW.dataset_order, NEW.is_default, NEW.is_active_on_edge,
            NEW.updated_at);
    RETURN NULL;
END $$;

COMMENT ON TABLE merge_policy_versions IS
    'Every version a policy has had, the present one included: callers may ask for an export by an '
    'older one.';
COMMENT ON FUNCTION keep_policy_version IS
    'Whatever changes a policy, what it was can still be named.';

CREATE TRIGGER keep_policy_version AFTER INSERT OR UPDATE ON merge_policies
    FOR EACH ROW EXECUTE FUNCTION keep_policy_version();
