-- Two more kinds of tokens; earlier rows counted them as `cache_write` and `output`.
ALTER TABLE usage_detail ADD COLUMN cache_write_1h_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_detail ADD COLUMN image_output_tokens INTEGER NOT NULL DEFAULT 0;
