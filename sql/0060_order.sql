-- Orders, items, instances, payments, refunds. Keys are time-ordered; indexes only on time-ordered keys, so that they
-- grow at their right edge. Listings by organisation come from the narrow tables order_of_org and order_service.
CREATE TABLE order_head (
    id KEY,
    kind INT NOT NULL CHECK (kind IN (1, 2)),
    parent_id INT NOT NULL,
    buyer_org_id INT NOT NULL,
    buyer_user_id INT NOT NULL,
    store_id INT NOT NULL,
    provider_org_id INT NOT NULL,
    state INT NOT NULL,
    version INT NOT NULL,
    last_event_id INT NOT NULL,
    list_fen INT NOT NULL CHECK (list_fen >= 0),
    discount_fen INT NOT NULL CHECK (discount_fen >= 0),
    payable_fen INT NOT NULL CHECK (payable_fen = list_fen - discount_fen),
    tax_fen INT NOT NULL CHECK (tax_fen >= 0),
    paid_fen INT NOT NULL CHECK (paid_fen IN (0, payable_fen)),
    refunded_fen INT NOT NULL CHECK (refunded_fen >= 0 AND refunded_fen <= paid_fen),
    commission_bp INT NOT NULL,
    cancel_from INT NOT NULL,
    pay_deadline INT NOT NULL,
    paid_at INT NOT NULL,
    acknowledged_at INT NOT NULL,
    external_order_id TEXT NOT NULL,
    provider_sequence INT NOT NULL,
    outbound_sequence INT NOT NULL,
    item_count INT NOT NULL,
    title TEXT NOT NULL,
    cost_centre TEXT NOT NULL,
    purchase_order_no TEXT NOT NULL,
    note TEXT NOT NULL,
    created_at INT NOT NULL,
    updated_at INT NOT NULL
);
CREATE INDEX order_head_parent ON order_head (parent_id) WHERE parent_id > 0;

CREATE TABLE order_item (
    id KEY,
    order_id INT NOT NULL REFERENCES order_head (id),
    state INT NOT NULL,
    version INT NOT NULL,
    last_event_id INT NOT NULL,
    sku_id INT NOT NULL,
    product_id INT NOT NULL,
    product_version INT NOT NULL,
    instance_id INT NOT NULL,
    refund_id INT NOT NULL,
    product_name TEXT NOT NULL,
    category TEXT NOT NULL,
    external_product_id TEXT NOT NULL,
    external_sku_id TEXT NOT NULL,
    region_code TEXT NOT NULL,
    term TEXT NOT NULL,
    specs TEXT NOT NULL,
    config TEXT NOT NULL,
    charge_mode INT NOT NULL,
    price_unit INT NOT NULL,
    quantity INT NOT NULL CHECK (quantity > 0),
    rate_bp INT NOT NULL,
    lead_h INT NOT NULL,
    unit_price INT NOT NULL,
    list_fen INT NOT NULL,
    discount_fen INT NOT NULL,
    payable_fen INT NOT NULL CHECK (payable_fen >= 0),
    tax_fen INT NOT NULL,
    updated_at INT NOT NULL
);
CREATE INDEX order_item_order ON order_item (order_id);

CREATE TABLE order_instance (
    id KEY,
    item_id INT NOT NULL,
    order_id INT NOT NULL,
    parent_id INT NOT NULL,
    buyer_org_id INT NOT NULL,
    store_id INT NOT NULL,
    state INT NOT NULL,
    version INT NOT NULL,
    last_event_id INT NOT NULL,
    external_instance_id TEXT NOT NULL,
    units TEXT NOT NULL,
    tool_url TEXT NOT NULL,
    error TEXT NOT NULL,
    started_at INT NOT NULL,
    expires_at INT NOT NULL,
    created_at INT NOT NULL,
    updated_at INT NOT NULL
);
CREATE INDEX order_instance_order ON order_instance (order_id);

CREATE TABLE order_payment (
    id KEY,
    order_id INT NOT NULL,
    buyer_org_id INT NOT NULL,
    user_id INT NOT NULL,
    state INT NOT NULL,
    version INT NOT NULL,
    last_event_id INT NOT NULL,
    amount_fen INT NOT NULL CHECK (amount_fen >= 0),
    channel INT NOT NULL,
    paid_at INT NOT NULL,
    created_at INT NOT NULL,
    updated_at INT NOT NULL
);
CREATE INDEX order_payment_order ON order_payment (order_id);

CREATE TABLE order_refund (
    id KEY,
    item_id INT NOT NULL,
    order_id INT NOT NULL,
    parent_id INT NOT NULL,
    buyer_org_id INT NOT NULL,
    state INT NOT NULL,
    version INT NOT NULL,
    last_event_id INT NOT NULL,
    amount_fen INT NOT NULL CHECK (amount_fen >= 0),
    reason INT NOT NULL,
    created_at INT NOT NULL,
    done_at INT NOT NULL,
    updated_at INT NOT NULL
);
CREATE INDEX order_refund_order ON order_refund (order_id);

CREATE TABLE order_of_org (
    org_id INT NOT NULL,
    order_id INT NOT NULL,
    PRIMARY KEY (org_id, order_id)
);
CREATE TABLE order_service (
    org_id INT NOT NULL,
    instance_id INT NOT NULL,
    PRIMARY KEY (org_id, instance_id)
);

-- Reports of the provider that were applied: a repeated one gets the same answer.
CREATE TABLE order_report (
    order_id INT NOT NULL,
    sequence INT NOT NULL,
    report_id TEXT NOT NULL,
    digest BYTES NOT NULL,
    received_at INT NOT NULL,
    PRIMARY KEY (order_id, sequence)
);

CREATE TABLE order_cart (
    id KEY,
    org_id INT NOT NULL,
    user_id INT NOT NULL,
    sku_id INT NOT NULL,
    quantity INT NOT NULL CHECK (quantity BETWEEN 1 AND 100000),
    updated_at INT NOT NULL,
    UNIQUE (org_id, user_id, sku_id)
);
