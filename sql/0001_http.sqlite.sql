-- Replies kept for 24 hours for requests that carried an Idempotency-Key. The key is time-ordered; recent scopes are
-- found in memory, so that no random value is indexed on the hot path.
CREATE TABLE http_reply (
    id KEY,
    scope_hash INT NOT NULL,
    scope BYTES NOT NULL,
    request_digest BYTES NOT NULL,
    status INT NOT NULL CHECK (status BETWEEN 200 AND 399),
    headers TEXT NOT NULL,
    body BYTES NOT NULL
);
-- Both grow at the right edge; a start reads this and not the replies.
CREATE INDEX http_reply_window ON http_reply (id, scope_hash);
