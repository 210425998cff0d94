-- Times are ISO-8601 UTC text. Ids are 12 characters of a-z and 0-9, except usage rows, which are numbered.

CREATE TABLE jobs (
    id                TEXT PRIMARY KEY,
    name              TEXT NOT NULL UNIQUE,
    status            TEXT NOT NULL CHECK (status IN ('InProgress', 'Completed', 'Failed', 'Stopping', 'Stopped')),
    model_name        TEXT NOT NULL,
    base_model        TEXT NOT NULL,
    dataset_id        TEXT NOT NULL,
    recipe            TEXT NOT NULL,
    fingerprint       TEXT NOT NULL,   -- equal for jobs that would train the same adapter
    reserved_model_id TEXT NOT NULL UNIQUE,   -- where the adapter goes, so that a worker killed on the way leaves no stray
    created_at        TEXT NOT NULL,
    updated_at        TEXT NOT NULL,
    ended_at          TEXT,
    progress          TEXT NOT NULL DEFAULT '{}',
    failure_message   TEXT,
    model_id          TEXT,            -- not a foreign key: the job remains when its model is deleted
    pid               INTEGER,
    pid_started       REAL,            -- start of the process, Unix seconds: a pid alone may be another's by now
    CHECK ((status = 'Completed') = (model_id IS NOT NULL)),
    CHECK ((status = 'Failed') = (failure_message IS NOT NULL)),
    CHECK ((status IN ('Completed', 'Failed', 'Stopped')) = (ended_at IS NOT NULL))
);

-- Two unfinished jobs must not both promise a model of the same name.
CREATE UNIQUE INDEX jobs_promised_model ON jobs (model_name) WHERE status IN ('InProgress', 'Stopping');
CREATE INDEX jobs_fingerprint ON jobs (fingerprint);

CREATE TRIGGER jobs_start BEFORE INSERT ON jobs WHEN NEW.status <> 'InProgress'
BEGIN
    SELECT RAISE(ABORT, 'a job starts as InProgress');
END;

-- Stopped and Failed go back to InProgress when a run is resumed from its checkpoint; Completed is final.
-- A status is never set to itself: that would be the end of a job told twice.
CREATE TRIGGER jobs_transition BEFORE UPDATE OF status ON jobs
WHEN NOT (
       (OLD.status = 'InProgress' AND NEW.status IN ('Completed', 'Failed', 'Stopping'))
    OR (OLD.status = 'Stopping'   AND NEW.status IN ('Completed', 'Failed', 'Stopped'))
    OR (OLD.status = 'Stopped'    AND NEW.status = 'InProgress')
    OR (OLD.status = 'Failed'     AND NEW.status = 'InProgress'))
BEGIN
    SELECT RAISE(ABORT, 'no such transition');
END;

CREATE TABLE custom_models (
    id              TEXT PRIMARY KEY,
    name            TEXT NOT NULL UNIQUE,
    job_id          TEXT REFERENCES jobs (id) ON DELETE SET NULL,
    base_model      TEXT NOT NULL,
    folder          TEXT NOT NULL,     -- relative to the state folder, so that a project can be moved
    created_at      TEXT NOT NULL,
    train_loss      REAL,
    validation_loss REAL
);

CREATE TABLE deployments (
    id              TEXT PRIMARY KEY,
    name            TEXT NOT NULL UNIQUE,
    model_id        TEXT NOT NULL REFERENCES custom_models (id) ON DELETE RESTRICT,
    status          TEXT NOT NULL CHECK (status IN ('Creating', 'Active', 'Failed')),
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL,
    failure_message TEXT,
    CHECK ((status = 'Failed') = (failure_message IS NOT NULL))
);
CREATE INDEX deployments_model ON deployments (model_id);

-- No foreign keys: what was used stays on the bill after a deployment is gone.
CREATE TABLE usage (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    at                  TEXT NOT NULL,
    deployment          TEXT NOT NULL,
    caller              TEXT NOT NULL,
    input_tokens        INTEGER NOT NULL CHECK (input_tokens >= 0),
    output_tokens       INTEGER NOT NULL CHECK (output_tokens >= 0),
    cached_tokens       INTEGER NOT NULL CHECK (cached_tokens BETWEEN 0 AND input_tokens),
    seconds             REAL NOT NULL,
    first_token_seconds REAL
);
CREATE INDEX usage_deployment_at ON usage (deployment, at);
