//! From the document to conditions.

use super::super::glob::Glob;
use super::super::{ConditionsDocument, FieldConditionDocument, RateCardError};
use super::{CONDITION_LENGTH_MAX, CONDITIONS_MAX, Conditions, Field, Host, Test};

const HOST_LENGTH_MAX: usize = 253;

type Result<T> = std::result::Result<T, RateCardError>;

impl Conditions {
    /// `None` if nothing is asked for. `body_bytes_max` is how much of a body may be read to
    /// learn the model.
    pub(in crate::rate_card) fn compile(
        source: &ConditionsDocument,
        body_bytes_max: u64,
        pointer: &str,
    ) -> Result<Option<Self>> {
        let header = |field: &FieldConditionDocument, pointer: &str| {
            header_name(&field.name, &format!("{pointer}/name"))
        };
        let parameter = |field: &FieldConditionDocument, pointer: &str| {
            text(&field.name, 1, &format!("{pointer}/name")).map(Into::into)
        };
        let route = source.route.as_deref();
        let model = source.model.as_deref();
        let conditions = Self {
            hosts: hosts(&source.hosts, &format!("{pointer}/hosts"))?,
            headers: fields(&source.headers, header, &format!("{pointer}/headers"))?,
            query: fields(&source.query, parameter, &format!("{pointer}/query"))?,
            route: route
                .map(|route| text(route, 1, &format!("{pointer}/route")).map(Into::into))
                .transpose()?,
            model: model
                .map(|model| Glob::compile(model, &format!("{pointer}/model")))
                .transpose()?,
            body_bytes_max: if model.is_some() { body_bytes_max } else { 0 },
        };
        Ok((conditions.count() > 0).then_some(conditions))
    }

    /// Whether these hold for just the requests those hold for.
    pub(in crate::rate_card) fn same(one: Option<&Self>, other: Option<&Self>) -> bool {
        match (one, other) {
            (None, None) => true,
            (Some(one), Some(other)) => {
                // How much is read to find out makes no difference to what is found.
                one.hosts == other.hosts
                    && one.headers == other.headers
                    && one.query == other.query
                    && one.route == other.route
                    && one.model == other.model
            }
            _ => false,
        }
    }
}

/// The name of a header, in lower case.
pub(in crate::rate_card) fn header_name(name: &str, pointer: &str) -> Result<Box<str>> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > CONDITION_LENGTH_MAX || !name.bytes().all(token) {
        let message = "not the name of a header";
        return Err(RateCardError::new(pointer, "header_invalid", message));
    }
    Ok(name.to_ascii_lowercase().into())
}

fn hosts(sources: &[String], pointer: &str) -> Result<Vec<Host>> {
    bounded(sources.len(), pointer)?;
    let mut hosts = sources
        .iter()
        .enumerate()
        .map(|(index, source)| host(source, &format!("{pointer}/{index}")))
        .collect::<Result<Vec<_>>>()?;
    hosts.sort();
    hosts.dedup();
    Ok(hosts)
}

fn host(source: &str, pointer: &str) -> Result<Host> {
    let (name, is_below) = match source.strip_prefix('*') {
        Some(end) => (end, true),
        None => (source, false),
    };
    let labels = name.strip_prefix('.').filter(|_| is_below).unwrap_or(name);
    let literal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let address = |byte: u8| byte.is_ascii_hexdigit() || b":.".contains(&byte);
    let in_brackets = labels
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_valid = match in_brackets {
        Some(ip) => !is_below && !ip.is_empty() && ip.bytes().all(address),
        None => labels.bytes().all(literal) && labels.split('.').all(|label| !label.is_empty()),
    };
    if !is_valid || name.len() > HOST_LENGTH_MAX || is_below != name.starts_with('.') {
        let message = "not a host; write api.example.com, or *.example.com for all below it, without scheme and port";
        return Err(RateCardError::new(pointer, "host_invalid", message));
    }
    let name = name.to_ascii_lowercase().into();
    Ok(if is_below {
        Host::Below(name)
    } else {
        Host::Exact(name)
    })
}

fn fields(
    sources: &[FieldConditionDocument],
    name: impl Fn(&FieldConditionDocument, &str) -> Result<Box<str>>,
    pointer: &str,
) -> Result<Vec<Field>> {
    bounded(sources.len(), pointer)?;
    let mut fields: Vec<Field> = Vec::with_capacity(sources.len());
    for (index, source) in sources.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        let name = name(source, &pointer)?;
        if fields.iter().any(|field| field.name == name) {
            let message =
                "this name has a condition already; a second would be needless or never hold";
            let pointer = pointer + "/name";
            return Err(RateCardError::new(pointer, "condition_repeated", message));
        }
        let test = test(source, &pointer)?;
        fields.push(Field { name, test });
    }
    fields.sort();
    Ok(fields)
}

fn test(source: &FieldConditionDocument, pointer: &str) -> Result<Test> {
    match (&source.equals, &source.prefix, source.present) {
        (Some(value), None, None) => {
            text(value, 0, &format!("{pointer}/equals")).map(|value| Test::Equals(value.into()))
        }
        (None, Some(value), None) => {
            text(value, 1, &format!("{pointer}/prefix")).map(|value| Test::Prefix(value.into()))
        }
        (None, None, Some(true)) => Ok(Test::Present),
        (None, None, Some(false)) => Ok(Test::Absent),
        _ => {
            let message = "give just one of equals, prefix and present";
            Err(RateCardError::new(pointer, "condition_invalid", message))
        }
    }
}

fn text<'a>(text: &'a str, length_min: usize, pointer: &str) -> Result<&'a str> {
    if text.len() < length_min || text.len() > CONDITION_LENGTH_MAX {
        let message = format!("{length_min} to {CONDITION_LENGTH_MAX} bytes");
        return Err(RateCardError::new(pointer, "condition_invalid", message));
    }
    Ok(text)
}

fn bounded(count: usize, pointer: &str) -> Result<()> {
    if count > CONDITIONS_MAX {
        let message = format!("at most {CONDITIONS_MAX}");
        return Err(RateCardError::new(pointer, "too_many_conditions", message));
    }
    Ok(())
}
