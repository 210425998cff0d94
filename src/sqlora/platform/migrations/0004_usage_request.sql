-- Which answer a row is of: the id that the server sent with it. What a command asked in its own process has none.
ALTER TABLE usage ADD COLUMN request_id TEXT;
CREATE UNIQUE INDEX usage_request_id ON usage (request_id);
