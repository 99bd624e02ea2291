-- Who hears of which fact, and whose timeline shows it: narrow, made by the follower, can be made again from the entries.
CREATE TABLE event_audience (
    org_id INT NOT NULL,
    position INT NOT NULL,
    PRIMARY KEY (org_id, position)
);
CREATE TABLE event_root (
    root_id INT NOT NULL,
    position INT NOT NULL,
    PRIMARY KEY (root_id, position)
);
CREATE TABLE event_cursor (
    id KEY,
    position INT NOT NULL
);
INSERT INTO event_cursor (id, position) VALUES (1, 0);
