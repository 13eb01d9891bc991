//! What a `Client-ID` must look like.

use crate::config::{ClientIdRule, Limits};
use crate::model::{ClientId, MalformedClientId};

/// Reads the id of a client by the rule in force.
///
/// # Errors
///
/// [`MalformedClientId`]: one sentence for everything, for Zaqar loses the one about
/// the length.
pub fn client_id(text: &str, limits: &Limits) -> Result<ClientId, MalformedClientId> {
    let lengths = limits.min_length_client_id..=limits.max_length_client_id;
    match limits.client_id_uuid_safe {
        ClientIdRule::Strict => ClientId::parse_uuid(text),
        ClientIdRule::Off if lengths.contains(&text.chars().count()) => {
            Ok(ClientId::parse_any(text))
        }
        ClientIdRule::Off => Err(MalformedClientId),
    }
}
