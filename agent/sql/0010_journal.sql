-- The journal: a row before every side effect, a report in the same transaction as the state it tells of.
CREATE TABLE agent_order (
    id KEY,
    provider INT NOT NULL,
    state INT NOT NULL,
    sequence INT NOT NULL,
    digest BYTES NOT NULL,
    answer_status INT NOT NULL,
    answer TEXT NOT NULL,
    change_digest BYTES NOT NULL,
    change_status INT NOT NULL,
    change_answer TEXT NOT NULL,
    report_sequence INT NOT NULL,
    received_at INT NOT NULL
);
CREATE TABLE agent_item (
    id KEY,
    order_id INT NOT NULL,
    provider INT NOT NULL,
    instance_id INT NOT NULL,
    state INT NOT NULL,
    desired INT NOT NULL,
    attempts INT NOT NULL,
    due_at INT NOT NULL,
    quantity INT NOT NULL,
    term TEXT NOT NULL,
    spec TEXT NOT NULL,
    external_instance_id TEXT NOT NULL,
    started_at INT NOT NULL,
    expires_at INT NOT NULL,
    error TEXT NOT NULL
);
CREATE INDEX agent_item_order ON agent_item (order_id);
CREATE INDEX agent_item_due ON agent_item (due_at) WHERE due_at > 0;
CREATE TABLE agent_report (
    id KEY,
    order_id INT NOT NULL,
    provider INT NOT NULL,
    sequence INT NOT NULL,
    body TEXT NOT NULL,
    attempts INT NOT NULL,
    due_at INT NOT NULL,
    created_at INT NOT NULL,
    last_error TEXT NOT NULL
);
CREATE INDEX agent_report_order ON agent_report (order_id, sequence);
CREATE INDEX agent_report_due ON agent_report (due_at) WHERE due_at > 0;
