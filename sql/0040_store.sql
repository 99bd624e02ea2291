-- Stores and what is needed to call their scheduling platform. if2_bearer is sealed with the organisation's data key.
CREATE TABLE store_head (
    id KEY,
    org_id INT NOT NULL REFERENCES account_org (id),
    state INT NOT NULL,
    version INT NOT NULL,
    last_event_id INT NOT NULL,
    name TEXT NOT NULL,
    uscc TEXT NOT NULL,
    legal_name TEXT NOT NULL,
    description TEXT NOT NULL,
    contact_name TEXT NOT NULL,
    contact_phone TEXT NOT NULL,
    region_code TEXT NOT NULL,
    if2_base_url TEXT NOT NULL,
    auto_listing INT NOT NULL CHECK (auto_listing IN (0, 1)),
    demo INT NOT NULL CHECK (demo IN (0, 1)),
    commission_bp INT NOT NULL CHECK (commission_bp BETWEEN 0 AND 10000),
    review_reasons TEXT NOT NULL,
    rules_version TEXT NOT NULL,
    created_at INT NOT NULL,
    updated_at INT NOT NULL
);
CREATE INDEX store_head_org ON store_head (org_id, id);
CREATE INDEX store_head_state ON store_head (state, id);

CREATE TABLE store_credential (
    store_id KEY,
    client_id INT NOT NULL,
    if2_bearer BYTES NOT NULL,
    created_at INT NOT NULL
);
