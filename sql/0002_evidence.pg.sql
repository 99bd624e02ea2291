-- Facts. evidence_entry is insert-only; only a payload (its salt within) may be erased. position is dense over all
-- logs and epochs and the cursor of every reader; log_index begins anew with each epoch of its log. Full tiles are
-- rows and name the position of their first entry (level 0).
CREATE TABLE evidence_entry (
    position KEY,
    log INT NOT NULL CHECK (log BETWEEN 1 AND 4),
    epoch INT NOT NULL CHECK (epoch >= 1),
    log_index INT NOT NULL CHECK (log_index >= 0),
    event_id INT NOT NULL UNIQUE,
    root_id INT NOT NULL,
    type INT NOT NULL CHECK (type > 0),
    object_id INT NOT NULL,
    object_text TEXT NOT NULL,
    owner_org_id INT NOT NULL,
    actor_kind INT NOT NULL CHECK (actor_kind BETWEEN 0 AND 2),
    actor_id INT NOT NULL,
    audience BYTES NOT NULL,
    time_ms INT NOT NULL,
    entry BYTES NOT NULL,
    leaf BYTES NOT NULL,
    payload BYTES
);
CREATE FUNCTION evidence_entry_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.payload IS NULL AND (to_jsonb(NEW) - 'payload') = (to_jsonb(OLD) - 'payload') THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'of evidence_entry only a payload may be erased';
    END IF;
    RAISE EXCEPTION 'evidence_entry is insert-only';
END
$$;
CREATE TRIGGER evidence_entry_still BEFORE UPDATE OR DELETE ON evidence_entry
    FOR EACH ROW EXECUTE FUNCTION evidence_entry_guard();
CREATE TRIGGER evidence_entry_keep BEFORE TRUNCATE ON evidence_entry
    FOR EACH STATEMENT EXECUTE FUNCTION evidence_entry_guard();

-- How an epoch of a log ended and which followed it, when an older copy of the database had to go on. Epoch 1 needs no
-- row; the newest epoch is the greatest opened. covered_size: how many entries of the ended epoch a head of it covers.
CREATE TABLE evidence_epoch (
    log INT NOT NULL CHECK (log BETWEEN 1 AND 4),
    epoch INT NOT NULL CHECK (epoch > closed_epoch),
    first_position INT NOT NULL,
    closed_epoch INT NOT NULL CHECK (closed_epoch >= 1),
    closed_size INT NOT NULL CHECK (closed_size >= 0),
    covered_size INT NOT NULL CHECK (covered_size BETWEEN 0 AND closed_size),
    PRIMARY KEY (log, epoch)
);

-- The newest leaf of each object in its log, over all epochs: what the next entry of the object names as its predecessor.
CREATE TABLE evidence_object (
    object_id INT NOT NULL,
    log INT NOT NULL,
    leaf BYTES NOT NULL,
    PRIMARY KEY (object_id, log)
);

CREATE TABLE evidence_tile (
    log INT NOT NULL,
    epoch INT NOT NULL,
    level INT NOT NULL,
    n INT NOT NULL,
    first_position INT NOT NULL,
    hashes BYTES NOT NULL,
    PRIMARY KEY (log, epoch, level, n)
);

-- The open tiles of each log as they were when a head was stored, or when its epoch ended: proofs against that head, and
-- a quick start.
CREATE TABLE evidence_edge (
    log INT NOT NULL,
    epoch INT NOT NULL,
    size INT NOT NULL,
    position INT NOT NULL,
    tile_first INT NOT NULL,
    hashes BYTES NOT NULL,
    PRIMARY KEY (log, epoch)
);

-- Heads; signed = 0: the text that was decided and waits for its signature.
CREATE TABLE evidence_head (
    log INT NOT NULL,
    epoch INT NOT NULL,
    height INT NOT NULL CHECK (height > 0),
    size INT NOT NULL CHECK (size >= 0),
    time_ms INT NOT NULL,
    signed INT NOT NULL CHECK (signed IN (0, 1)),
    note TEXT NOT NULL,
    PRIMARY KEY (log, epoch, height)
);

-- Facts of committed transactions that the sequencer has not numbered yet.
CREATE TABLE evidence_pending (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    log INT NOT NULL,
    event_id INT NOT NULL UNIQUE,
    root_id INT NOT NULL,
    type INT NOT NULL,
    object_id INT NOT NULL,
    object_text TEXT NOT NULL,
    owner_org_id INT NOT NULL,
    actor_kind INT NOT NULL,
    actor_id INT NOT NULL,
    actor_hash BYTES NOT NULL,
    audience BYTES NOT NULL,
    time_ms INT NOT NULL,
    refs BYTES NOT NULL,
    commitment BYTES NOT NULL,
    payload BYTES NOT NULL
);
CREATE INDEX evidence_pending_object ON evidence_pending (object_id, seq);

-- Whoever holds the lease numbers entries and makes heads; taking it also locks out everybody else meanwhile.
CREATE TABLE evidence_lease (
    id KEY,
    holder INT NOT NULL,
    until_ms INT NOT NULL
);
INSERT INTO evidence_lease (id, holder, until_ms) VALUES (1, 0, 0);
