-- Users, organisations, members, sessions, machine clients. Small or rarely written tables: the indexes on e-mail and user
-- are not on the path of an order.
CREATE TABLE account_org (
    id KEY,
    name TEXT NOT NULL,
    kind INT NOT NULL CHECK (kind BETWEEN 1 AND 3),
    personal INT NOT NULL CHECK (personal IN (0, 1)),
    created_by INT NOT NULL,
    created_at INT NOT NULL
);
CREATE UNIQUE INDEX account_org_operator ON account_org (kind) WHERE kind = 3;

-- status: 1 active, 2 disabled. email is lower case.
CREATE TABLE account_user (
    id KEY,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    locale TEXT NOT NULL,
    verifier TEXT NOT NULL,
    status INT NOT NULL CHECK (status IN (1, 2)),
    personal_org_id INT NOT NULL REFERENCES account_org (id),
    consent_version TEXT NOT NULL,
    consent_at INT NOT NULL,
    created_at INT NOT NULL,
    version INT NOT NULL
);

CREATE TABLE account_member (
    org_id INT NOT NULL REFERENCES account_org (id),
    user_id INT NOT NULL REFERENCES account_user (id),
    roles INT NOT NULL CHECK (roles BETWEEN 1 AND 127),
    joined_at INT NOT NULL,
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX account_member_user ON account_member (user_id, org_id);

-- digest: SM3 of the secret half of the token. Closing a session deletes it.
CREATE TABLE account_session (
    id KEY,
    user_id INT NOT NULL REFERENCES account_user (id),
    digest BYTES NOT NULL,
    user_agent TEXT NOT NULL,
    ip TEXT NOT NULL,
    created_at INT NOT NULL,
    last_seen_at INT NOT NULL,
    expires_at INT NOT NULL
);
CREATE INDEX account_session_user ON account_session (user_id, id);

-- Failed logins by a keyed hash of (address, e-mail) or of the address alone; rows die after an hour without failure.
CREATE TABLE account_throttle (
    id KEY,
    failures INT NOT NULL,
    failed_at INT NOT NULL,
    blocked_until INT NOT NULL
);

-- Machine clients act for one store; scopes are bits (1 product write, 2 order write, 4 order read). expires_at 0: none.
CREATE TABLE account_client (
    id KEY,
    org_id INT NOT NULL REFERENCES account_org (id),
    store_id INT NOT NULL,
    digest BYTES NOT NULL,
    scopes INT NOT NULL,
    created_at INT NOT NULL,
    expires_at INT NOT NULL
);
CREATE INDEX account_client_store ON account_client (store_id, id);

CREATE TABLE account_token (
    id KEY,
    client_id INT NOT NULL REFERENCES account_client (id),
    digest BYTES NOT NULL,
    scopes INT NOT NULL,
    expires_at INT NOT NULL
);

-- Who a user is to one provider: random, kept from its first use.
CREATE TABLE account_subject (
    provider_org_id INT NOT NULL,
    user_id INT NOT NULL,
    subject TEXT NOT NULL,
    PRIMARY KEY (provider_org_id, user_id)
);
