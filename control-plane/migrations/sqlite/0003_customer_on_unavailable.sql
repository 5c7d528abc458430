-- What befalls a customer's requests when the control plane does not answer; null leaves it to
-- rule and gateway.
ALTER TABLE customer ADD COLUMN on_unavailable TEXT;
