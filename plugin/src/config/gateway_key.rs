//! The gateway's key, which comes from the environment.

use creditgate_core::key::{KeyKind, check};

use super::{Config, ConfigError};

/// The gateway's key. It can be sent, not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct GatewayKey(String);

impl GatewayKey {
    /// The value of the `authorization` header.
    #[must_use]
    pub fn bearer(&self) -> String {
        ["Bearer ", &self.0].concat()
    }
}

impl core::fmt::Debug for GatewayKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("GatewayKey(…)")
    }
}

impl Config {
    /// The gateway's key, by way of `environment`, which looks a variable up.
    ///
    /// # Errors
    /// [`ConfigError`] if it is absent or no gateway key.
    pub fn gateway_key(
        &self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<GatewayKey, ConfigError> {
        let field = "control_plane.gateway_key_env";
        let name = &self.control_plane.gateway_key_env;
        let key = environment(name).filter(|key| !key.is_empty()).ok_or_else(|| {
            let hint = "set it, and name it in the proxy's vm_config.environment_variables.host_env_keys";
            ConfigError::of(field, format!("the environment variable {name} is empty or not passed to the filter; {hint}"))
        })?;
        match check(&key) {
            Ok(KeyKind::Gateway) => Ok(GatewayKey(key)),
            Ok(_) => Err(ConfigError::of(
                field,
                format!("{name} holds a key that is not a gateway's (cgg_…)"),
            )),
            Err(error) => Err(ConfigError::of(
                field,
                format!("{name} holds no gateway key: {error}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use creditgate_core::key::{KeyKind, compose};

    use crate::config::Config;

    #[test]
    fn an_absent_or_foreign_gateway_key_is_refused() {
        let config = Config::parse(br#"{"control_plane": {"cluster": "creditgate"}}"#).unwrap();
        let consumer = compose(KeyKind::Consumer, &[1; 32]);
        let gateway = compose(KeyKind::Gateway, &[1; 32]);
        assert!(config.gateway_key(|_| None).is_err());
        assert!(config.gateway_key(|_| Some(consumer.clone())).is_err());
        let error = config
            .gateway_key(|_| Some("secret-value".into()))
            .unwrap_err();
        assert!(!error.to_string().contains("secret-value"));
        let key = config.gateway_key(|_| Some(gateway.clone())).unwrap();
        assert_eq!(key.bearer(), format!("Bearer {gateway}"));
        assert!(!format!("{key:?}").contains(&gateway[4..]));
    }
}
