-- What befalls a customer's requests when the control plane does not answer; null leaves it to
-- rule and gateway.
ALTER TABLE customer ADD COLUMN on_unavailable TEXT;

-- Who owes something, for the metrics.
CREATE INDEX account_owes ON account (currency, scale, debt) WHERE debt < 0;
