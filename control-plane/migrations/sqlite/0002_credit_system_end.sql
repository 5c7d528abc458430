-- After the journal was copied: the old one goes, the new one takes its name.

DROP TABLE draw;
DROP TABLE posting;
DROP TABLE entry;
ALTER TABLE new_entry RENAME TO entry;
ALTER TABLE new_posting RENAME TO posting;
ALTER TABLE new_draw RENAME TO draw;

CREATE INDEX draw_lot ON draw (lot, entry);
CREATE INDEX entry_fact_lot ON entry (fact_lot, number) WHERE fact_lot IS NOT NULL;
-- What is rare among usage and lending is found without going through those.
CREATE INDEX entry_seldom_kind ON entry (account, kind, number) WHERE kind NOT IN ('usage', 'lending');
CREATE INDEX entry_seldom_reason ON entry (account, reason, number) WHERE reason NOT IN ('USAGE', 'LEASE_LENDING');

CREATE TRIGGER entry_is_not_changed BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER entry_is_not_deleted BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER posting_is_not_changed BEFORE UPDATE ON posting BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER posting_is_not_deleted BEFORE DELETE ON posting BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER draw_is_not_changed BEFORE UPDATE ON draw BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER draw_is_not_deleted BEFORE DELETE ON draw BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
