-- Catalogue. Versions are written once; state, price and stock live beside them. Keys are time-ordered, so that every index
-- grows at its right edge; what an order touches (stock, holds, changes) carries no other index.

-- Small dictionaries with stable numbers: 1 category, 2 region, 3 accelerator, 4 source.
CREATE TABLE catalog_code (
    kind INT NOT NULL CHECK (kind BETWEEN 1 AND 4),
    number INT NOT NULL CHECK (number BETWEEN 1 AND 65535),
    class INT NOT NULL,
    code TEXT NOT NULL,
    name_zh TEXT NOT NULL,
    name_en TEXT NOT NULL,
    PRIMARY KEY (kind, number),
    UNIQUE (kind, code)
);

CREATE TABLE catalog_norm (
    category TEXT NOT NULL,
    version INT NOT NULL CHECK (version > 0),
    document TEXT NOT NULL,
    created_at INT NOT NULL,
    PRIMARY KEY (category, version)
);

-- Lists of specifications, each text once: many products of one instance type share it.
CREATE TABLE catalog_specs (
    id KEY,
    digest BYTES NOT NULL UNIQUE,
    specs TEXT NOT NULL
);

CREATE TABLE catalog_product (
    id KEY,
    store_id INT NOT NULL,
    org_id INT NOT NULL,
    external_id TEXT NOT NULL,
    state INT NOT NULL,
    version INT NOT NULL,
    last_event_id INT NOT NULL,
    provider_version INT NOT NULL,
    listed_version INT NOT NULL,
    latest_version INT NOT NULL,
    listed_at INT NOT NULL,
    listing_event_id INT NOT NULL,
    created_at INT NOT NULL,
    updated_at INT NOT NULL,
    UNIQUE (store_id, external_id)
);
CREATE INDEX catalog_product_waiting ON catalog_product (id) WHERE latest_version > listed_version;

CREATE TABLE catalog_version (
    product_id INT NOT NULL REFERENCES catalog_product (id),
    number INT NOT NULL CHECK (number > 0),
    digest BYTES NOT NULL,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    norm_version INT NOT NULL,
    specs_id INT NOT NULL REFERENCES catalog_specs (id),
    description TEXT NOT NULL,
    usage_mode INT NOT NULL,
    usage_guide TEXT NOT NULL,
    tool_url TEXT NOT NULL,
    delivery_mode TEXT NOT NULL,
    sla_bp INT NOT NULL,
    source TEXT NOT NULL,
    report TEXT NOT NULL,
    reported_at INT NOT NULL,
    PRIMARY KEY (product_id, number)
);

CREATE TABLE catalog_sku (
    id KEY,
    product_id INT NOT NULL REFERENCES catalog_product (id),
    external_id TEXT NOT NULL,
    active INT NOT NULL,
    charge_mode INT NOT NULL,
    price_unit INT NOT NULL,
    unit_price INT NOT NULL CHECK (unit_price >= 0),
    price_since INT NOT NULL,
    setup_fee INT NOT NULL CHECK (setup_fee >= 0),
    term TEXT NOT NULL,
    lead_h INT NOT NULL,
    rate_bp INT NOT NULL CHECK (rate_bp BETWEEN 0 AND 10000),
    tax_code TEXT NOT NULL,
    min_qty INT NOT NULL CHECK (min_qty > 0),
    max_qty INT NOT NULL CHECK (max_qty >= min_qty),
    region_code TEXT NOT NULL,
    UNIQUE (product_id, external_id)
);

-- held: what our holds take away from `available`; last_item is the newest of them, each hold names the one before.
CREATE TABLE catalog_stock (
    sku_id KEY,
    product_id INT NOT NULL,
    available INT NOT NULL CHECK (available >= 0),
    held INT NOT NULL CHECK (held >= 0),
    total INT NOT NULL CHECK (total >= 0),
    as_of INT NOT NULL,
    last_item INT NOT NULL,
    prev_item INT NOT NULL
);

CREATE TABLE catalog_hold (
    item_id KEY,
    sku_id INT NOT NULL,
    quantity INT NOT NULL CHECK (quantity > 0),
    phase INT NOT NULL CHECK (phase BETWEEN 1 AND 3),
    acknowledged_at INT NOT NULL,
    prev_item INT NOT NULL
);

CREATE TABLE catalog_price_history (
    id KEY,
    sku_id INT NOT NULL,
    unit_price INT NOT NULL,
    valid_from INT NOT NULL,
    valid_to INT NOT NULL
);

-- What the index in memory loads: typed codes of a product that was ever listed, packed, and the words it is found by.
CREATE TABLE catalog_entry (
    product_id KEY,
    codes BYTES NOT NULL,
    name TEXT NOT NULL,
    source_type TEXT NOT NULL
);

-- The change sequence: each write that a search could see leaves the product's key here.
CREATE TABLE catalog_change (
    id KEY,
    product_id INT NOT NULL
);

CREATE TABLE catalog_quote (
    id KEY,
    org_id INT NOT NULL,
    user_id INT NOT NULL,
    valid_until INT NOT NULL,
    payable INT NOT NULL,
    lines TEXT NOT NULL
);

CREATE TABLE catalog_batch (
    id KEY,
    store_id INT NOT NULL,
    client_id INT NOT NULL,
    org_id INT NOT NULL,
    status INT NOT NULL CHECK (status BETWEEN 1 AND 4),
    done INT NOT NULL,
    total INT NOT NULL,
    accepted INT NOT NULL,
    rejected TEXT NOT NULL,
    products TEXT NOT NULL,
    created_at INT NOT NULL,
    updated_at INT NOT NULL
);
