-- What the project has made elsewhere (AWS, a vLLM server). A row is written before the thing is asked for, so that
-- nothing is made twice and nothing is forgotten, whenever the process dies.
CREATE TABLE resources (
    id         TEXT PRIMARY KEY,   -- ours; a tag of the thing and part of its idempotency token
    backend    TEXT NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('bucket', 'object', 'role', 'policy', 'job', 'model', 'deployment')),
    name       TEXT NOT NULL,
    status     TEXT NOT NULL DEFAULT 'planned' CHECK (status IN ('planned', 'created', 'deleting', 'deleted')),
    arn        TEXT,               -- whatever the service calls it; none before it has answered
    account    TEXT NOT NULL,
    region     TEXT NOT NULL,
    parent_id  TEXT REFERENCES resources (id),   -- what it was made from: a deployment's model, a model's job
    details    TEXT NOT NULL DEFAULT '{}',
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK (status <> 'created' OR arn IS NOT NULL)
);
-- A role and a bucket of one name may be wanted by two backends; what the user names may not.
CREATE UNIQUE INDEX resources_name ON resources (kind, name)
    WHERE status <> 'deleted' AND kind IN ('job', 'model', 'deployment');

CREATE TRIGGER resources_transition BEFORE UPDATE OF status ON resources
WHEN NOT (OLD.status = NEW.status
    OR (OLD.status = 'planned' AND NEW.status IN ('created', 'deleting', 'deleted'))
    OR (OLD.status = 'created' AND NEW.status IN ('deleting', 'deleted'))
    OR (OLD.status = 'deleting' AND NEW.status = 'deleted'))
BEGIN
    SELECT RAISE(ABORT, 'no such transition');
END;
