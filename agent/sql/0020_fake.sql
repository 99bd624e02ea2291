-- What the fake backend holds: the ground truth that tests compare with. A name is made from the resource id alone and never
-- used twice; a row stays for ever, so that a second creation would be seen.
CREATE TABLE fake_resource (
    id KEY,
    name TEXT NOT NULL UNIQUE,
    spec_digest BYTES NOT NULL,
    state INT NOT NULL,
    created INT NOT NULL,
    ready_at INT NOT NULL,
    ended_at INT NOT NULL
);
