-- Replies kept for 24 hours for requests that carried an Idempotency-Key. Several instances may meet the same
-- key at once: the unique index lets one of them through.
CREATE TABLE http_reply (
    id KEY,
    scope_hash INT NOT NULL,
    scope BYTES NOT NULL,
    request_digest BYTES NOT NULL,
    status INT NOT NULL CHECK (status BETWEEN 200 AND 399),
    headers TEXT NOT NULL,
    body BYTES NOT NULL
);
CREATE UNIQUE INDEX http_reply_scope ON http_reply (scope_hash);
