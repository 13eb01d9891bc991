//! The parsers of this front end, for those who feed them garbage on purpose:
//! the targets in `fuzz/`. Not for anybody else; errors come as their text.

use bytes::Bytes;

use super::authenticate;
use super::query::{Link, Query};
use super::v2::{json_patch, posted, share};
use crate::service::{Draft, MetadataChange, ShareRequest};

/// Reads the body of a post.
///
/// # Errors
///
/// The answer to a body that is refused, as text; so for all here.
pub fn post(body: &Bytes) -> Result<Vec<Draft>, String> {
    posted::parse(body).map_err(|error| error.to_string())
}

/// Reads the body of a change of metadata.
pub fn patch(body: &Bytes) -> Result<Vec<MetadataChange>, String> {
    json_patch::changes(body).map_err(|error| error.to_string())
}

/// Reads the body of a share.
pub fn share(body: &Bytes) -> Result<ShareRequest, String> {
    share::permission(body).map_err(|error| error.to_string())
}

/// Reads the token in an `Authorization`.
#[must_use]
pub fn bearer(authorization: &str) -> Option<&str> {
    authenticate::bearer(authorization)
}

/// What a parameter is in a query, read in each way there is.
#[derive(Debug)]
pub struct Parameter {
    /// As a list.
    pub list: Option<Vec<String>>,
    /// As one text.
    pub text: Option<String>,
    /// As an integer.
    pub integer: Result<Option<i64>, String>,
    /// As a yes or no.
    pub boolean: Result<Option<bool>, String>,
}

/// Reads the parameter `name` of a query.
#[must_use]
pub fn parameter(query: &str, name: &str) -> Parameter {
    let query = Query::parse(query);
    Parameter {
        list: query.list(name),
        text: query.text(name).map(str::to_owned),
        integer: query.integer(name).map_err(|error| error.to_string()),
        boolean: query.boolean(name).map_err(|error| error.to_string()),
    }
}

/// The parameters of a query that are conditions on metadata.
pub fn conditions(query: &str) -> Result<Vec<(String, String)>, String> {
    let query = Query::parse(query);
    let others = query.others(&[]).map_err(|error| error.to_string())?;
    Ok(others.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// A query with one parameter, as links have it.
#[must_use]
pub fn link(name: &str, value: &str) -> String {
    Link::to(String::new()).with(name, value).href()
}
