//! What a message says. The body of an event is the same bytes at every attempt; the time in
//! the header, and so the signature, is the attempt's own.

use creditgate_ledger::webhook::EndpointSecret;
use creditgate_ledger::{Event, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::signing::signature;

/// One message, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `webhook-id`: the event's id. One that comes twice is the same event.
    pub id: String,
    /// `webhook-timestamp`, in seconds.
    pub timestamp_s: i64,
    /// `webhook-signature`: one for each valid secret, newest first.
    pub signatures: String,
    /// The body.
    pub body: Vec<u8>,
}

/// The fields in the order in which they are written.
#[derive(Serialize)]
struct Body {
    r#type: &'static str,
    timestamp: Timestamp,
    data: Value,
}

/// What an event says, with the customer it is about.
#[must_use]
pub fn data(event: &Event) -> Value {
    let mut data = event.data.clone();
    if let (Some(fields), Some(customer)) = (data.as_object_mut(), event.customer) {
        fields
            .entry("customer_id")
            .or_insert_with(|| Value::String(customer.to_string()));
    }
    data
}

/// The body of every message of an event.
#[must_use]
pub fn body(event: &Event) -> Vec<u8> {
    let body = Body {
        r#type: event.kind.as_str(),
        timestamp: event.at,
        data: data(event),
    };
    serde_json::to_vec(&body).unwrap_or_default()
}

impl Message {
    /// The message of an event, signed with each secret that is valid.
    #[must_use]
    pub fn of(event: &Event, secrets: &[EndpointSecret], now: Timestamp) -> Self {
        let (id, timestamp_s, body) = (event.id.to_string(), now.0.div_euclid(1_000), body(event));
        let signatures: Vec<String> = secrets
            .iter()
            .filter(|secret| secret.is_valid(now))
            .filter_map(|secret| signature(&secret.secret, &id, timestamp_s, &body))
            .collect();
        Self {
            id,
            timestamp_s,
            signatures: signatures.join(" "),
            body,
        }
    }
}

#[cfg(test)]
mod tests {
    use creditgate_ledger::EventKind;
    use creditgate_ledger::id::{CustomerId, EventId};
    use serde_json::json;

    use super::*;
    use crate::webhooks::secret_of;

    fn event() -> Event {
        Event {
            id: EventId(1),
            kind: EventKind::WalletAlert,
            at: Timestamp(1_800_000_000_001),
            customer: Some(CustomerId(2)),
            data: json!({ "state": "info", "balance": "1.5" }),
        }
    }

    #[test]
    fn the_body_is_type_timestamp_and_data_and_stays_the_same() {
        let secrets = [EndpointSecret::lasting(secret_of(&[1; 32]))];
        let first = Message::of(&event(), &secrets, Timestamp(1_800_000_001_999));
        let later = Message::of(&event(), &[], Timestamp(1_800_000_900_000));
        let text = r#"{"type":"wallet.alert","timestamp":"2027-01-15T08:00:00.001Z","data":{"balance":"1.5","customer_id":"cus_00000000000000000000000000000002","state":"info"}}"#;
        assert_eq!(String::from_utf8_lossy(&first.body), text);
        assert_eq!(first.body, later.body);
        assert_eq!(first.id, later.id);
        assert_eq!(first.timestamp_s, 1_800_000_001);
        assert_ne!(first.signatures, later.signatures);
    }

    #[test]
    fn each_valid_secret_signs_and_no_other() {
        let secret = |byte, expires_at: Option<i64>| EndpointSecret {
            secret: secret_of(&[byte; 32]),
            expires_at: expires_at.map(Timestamp),
        };
        let secrets = [
            secret(2, None),
            secret(1, Some(10_000)),
            secret(0, Some(5_000)),
        ];
        let signatures = |now_ms| {
            let message = Message::of(&event(), &secrets, Timestamp(now_ms));
            message.signatures.split(' ').count()
        };
        assert_eq!(signatures(4_999), 3);
        assert_eq!(signatures(5_000), 2);
        assert_eq!(signatures(10_000), 1);
    }
}
