-- Timers and deliveries: what is due when, and who runs it until when. Indexes cover only what is still open, but for the
-- one that finds the jobs of a subject.
CREATE TABLE job_row (
    id KEY,
    kind INT NOT NULL,
    status INT NOT NULL CHECK (status BETWEEN 1 AND 4),
    subject_id INT NOT NULL,
    lane_id INT NOT NULL,
    payload TEXT NOT NULL,
    due_at INT NOT NULL,
    lease_until INT NOT NULL,
    attempts INT NOT NULL,
    last_error TEXT NOT NULL,
    progress TEXT NOT NULL,
    created_at INT NOT NULL
);
CREATE INDEX job_row_due ON job_row (kind, due_at) WHERE status = 1;
CREATE INDEX job_row_leased ON job_row (kind, lease_until) WHERE status = 2;
CREATE INDEX job_row_lane ON job_row (lane_id, id) WHERE status IN (1, 2) AND lane_id > 0;
CREATE INDEX job_row_subject ON job_row (subject_id, kind, id);
CREATE INDEX job_row_dead ON job_row (kind, id) WHERE status = 4;
