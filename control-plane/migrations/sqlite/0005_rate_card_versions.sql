-- Versions of rate cards are in force from an instant on, which may be to come.
ALTER TABLE rate_card ADD COLUMN state TEXT NOT NULL DEFAULT 'active';
ALTER TABLE rate_card ADD COLUMN effective_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rate_card ADD COLUMN ended_at INTEGER;

UPDATE rate_card SET effective_at = created_at;
UPDATE rate_card SET
    state = 'superseded',
    ended_at = (SELECT min(next.created_at) FROM rate_card AS next
        WHERE next.name = rate_card.name AND next.version = rate_card.version + 1)
WHERE version < (SELECT max(newest.version) FROM rate_card AS newest WHERE newest.name = rate_card.name);
