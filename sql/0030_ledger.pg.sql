-- Double-entry books. An account has no number of its own: owner, code and shard are its key, so a posting reaches its
-- accounts without a look-up. Owners are time-ordered keys (0: the platform), so accounts of orders are added at the
-- right edge; busy accounts of the platform are split over 16 shards and summed. side: 1 debit, 2 credit.
CREATE TABLE ledger_account (
    owner_id INT NOT NULL,
    code INT NOT NULL,
    shard INT NOT NULL CHECK (shard BETWEEN 0 AND 15),
    debits_fen INT NOT NULL CHECK (debits_fen >= 0),
    credits_fen INT NOT NULL CHECK (credits_fen >= 0),
    -- of a buyer's balance: what lies in escrow for its orders
    held_fen INT NOT NULL CHECK (held_fen >= 0),
    -- of an escrow: the organisation that paid
    payer_id INT NOT NULL,
    version INT NOT NULL,
    PRIMARY KEY (owner_id, code, shard),
    -- buyers and escrow never go below zero
    CHECK (code NOT IN (10, 11) OR credits_fen >= debits_fen)
);

-- biz_ref is the time-ordered key of the business event, so this index grows at its right edge too.
CREATE TABLE ledger_tx (
    id KEY,
    kind INT NOT NULL,
    biz_ref INT NOT NULL,
    occurred_at INT NOT NULL,
    booked_at INT NOT NULL,
    corrects INT NOT NULL,
    digest BYTES NOT NULL,
    UNIQUE (biz_ref, kind)
);

CREATE TABLE ledger_entry (
    tx_id INT NOT NULL REFERENCES ledger_tx (id),
    seq INT NOT NULL,
    owner_id INT NOT NULL,
    code INT NOT NULL,
    shard INT NOT NULL,
    side INT NOT NULL CHECK (side IN (1, 2)),
    amount_fen INT NOT NULL CHECK (amount_fen > 0),
    PRIMARY KEY (tx_id, seq)
);

-- What each posting did to a buyer's balance: its statement, one range read.
CREATE TABLE ledger_statement (
    org_id INT NOT NULL,
    tx_id INT NOT NULL,
    kind INT NOT NULL,
    amount_fen INT NOT NULL,
    balance_after_fen INT NOT NULL CHECK (balance_after_fen >= 0),
    biz_ref INT NOT NULL,
    order_id INT NOT NULL,
    at INT NOT NULL,
    PRIMARY KEY (org_id, tx_id)
);

-- Confirmed bank transfers; a reference of the bank is booked once.
CREATE TABLE ledger_top_up (
    id KEY,
    org_id INT NOT NULL,
    amount_fen INT NOT NULL CHECK (amount_fen > 0),
    bank_reference TEXT NOT NULL UNIQUE,
    note TEXT NOT NULL,
    event_id INT NOT NULL,
    created_at INT NOT NULL
);

CREATE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is insert-only', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER ledger_tx_still BEFORE UPDATE OR DELETE ON ledger_tx
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_tx_keep BEFORE TRUNCATE ON ledger_tx
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_entry_still BEFORE UPDATE OR DELETE ON ledger_entry
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_entry_keep BEFORE TRUNCATE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_statement_still BEFORE UPDATE OR DELETE ON ledger_statement
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_statement_keep BEFORE TRUNCATE ON ledger_statement
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_top_up_still BEFORE UPDATE OR DELETE ON ledger_top_up
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_top_up_keep BEFORE TRUNCATE ON ledger_top_up
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_account_keep BEFORE DELETE ON ledger_account
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER ledger_account_keep_all BEFORE TRUNCATE ON ledger_account
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
