-- Requests to raise a service quota; the last approved one is what applies.
CREATE TABLE quota_requests (
    id         TEXT PRIMARY KEY,
    code       TEXT NOT NULL,
    desired    REAL NOT NULL CHECK (desired > 0),
    status     TEXT NOT NULL CHECK (status IN ('APPROVED', 'DENIED')),   -- decided at once: nobody is asked
    requester  TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX quota_requests_code ON quota_requests (code, created_at);
