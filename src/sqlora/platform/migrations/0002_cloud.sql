-- What the on-demand server needs beside what the commands need: AWS's attributes, tags, tokens, requests and keys.

ALTER TABLE custom_models ADD COLUMN origin TEXT NOT NULL DEFAULT 'trained'
    CHECK (origin IN ('trained', 'imported', 'escrow'));   -- escrow: by a SageMaker job, to be imported by its URI
ALTER TABLE custom_models ADD COLUMN status TEXT NOT NULL DEFAULT 'Active'
    CHECK (status IN ('Creating', 'Active', 'Failed'));
ALTER TABLE custom_models ADD COLUMN failure_message TEXT
    CHECK ((status = 'Failed') = (failure_message IS NOT NULL));

CREATE TRIGGER custom_models_transition BEFORE UPDATE OF status ON custom_models
WHEN NOT (OLD.status = 'Creating' AND NEW.status IN ('Active', 'Failed'))
BEGIN
    SELECT RAISE(ABORT, 'no such transition');
END;

ALTER TABLE deployments ADD COLUMN description TEXT;
ALTER TABLE deployments ADD COLUMN update_status TEXT
    CHECK (update_status IN ('Updating', 'UpdateCompleted', 'UpdateFailed'));
-- Not a foreign key: an update is told of also when the model it was to has been deleted since.
ALTER TABLE deployments ADD COLUMN update_model_id TEXT
    CHECK ((update_status IS NULL) = (update_model_id IS NULL));

CREATE TABLE tags (
    resource TEXT NOT NULL,            -- job/<id>, model/<id> or deployment/<id>
    key      TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (resource, key)
) WITHOUT ROWID;

-- Whoever deletes a row, and in whatever way, takes its tags along.
CREATE TRIGGER jobs_forget_tags AFTER DELETE ON jobs
BEGIN
    DELETE FROM tags WHERE resource = 'job/' || OLD.id;
END;
CREATE TRIGGER custom_models_forget_tags AFTER DELETE ON custom_models
BEGIN
    DELETE FROM tags WHERE resource = 'model/' || OLD.id;
END;
CREATE TRIGGER deployments_forget_tags AFTER DELETE ON deployments
BEGIN
    DELETE FROM tags WHERE resource = 'deployment/' || OLD.id;
END;

CREATE TABLE idempotency (
    operation   TEXT NOT NULL,
    token       TEXT NOT NULL,
    fingerprint TEXT NOT NULL,         -- equal for requests that ask for the same
    resource_id TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    PRIMARY KEY (operation, token)
) WITHOUT ROWID;

-- A job that came over the wire: what was asked for, and how far it has got around its training.
CREATE TABLE customizations (
    job_id     TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN ('bedrock', 'sagemaker')),
    region     TEXT NOT NULL,
    request    TEXT NOT NULL,          -- JSON of the call's parameters
    details    TEXT NOT NULL DEFAULT '{}',
    phase      TEXT NOT NULL DEFAULT 'validation',
    error      TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);

-- Nothing here opens anything: the bearer token is a hash, the SigV4 secret is derived with the file keys.secret.
CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY,     -- the access key id
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL,        -- sorted, a space between them
    version      INTEGER NOT NULL DEFAULT 1,   -- counts rotations; a secret is of one version
    bearer_hash  TEXT NOT NULL UNIQUE, -- SHA-256, hexadecimal
    created_at   TEXT NOT NULL,
    rotated_at   TEXT,
    expires_at   TEXT,
    revoked_at   TEXT,
    last_used_at TEXT
);
CREATE UNIQUE INDEX api_keys_name ON api_keys (name) WHERE revoked_at IS NULL;
