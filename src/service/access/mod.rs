//! Who may do what. Every verb of the service wants a permit, and only
//! [`Service::authorize`] makes one: no front end can forget the policy.

pub mod actions;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

pub use actions::{Action, Scope};

use super::policy::Target;
use super::{Error, Result, Service};
use crate::model::{Identity, ProjectId, QueueKind, QueueName};

/// The right to do `A` to what it dereferences to.
pub struct Permit<A: Action> {
    scope: A::Scope,
}

impl<A: Action> Permit<A> {
    /// A permit that nobody was asked for.
    #[cfg(test)]
    pub(in crate::service) fn of(scope: A::Scope) -> Self {
        Self { scope }
    }
}

impl<A: Action> Deref for Permit<A> {
    type Target = A::Scope;

    fn deref(&self) -> &A::Scope {
        &self.scope
    }
}

impl<A: Action> fmt::Debug for Permit<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&actions::ALL[A::index(&self.scope)].name).finish()
    }
}

impl Service {
    /// Asks the policy whether the caller may do `A` to `scope`. Who is calling
    /// is asked for only if that makes a difference.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`].
    pub fn authorize<A: Action>(
        &self,
        scope: A::Scope,
        identity: impl FnOnce() -> Arc<Identity>,
    ) -> Result<Permit<A>> {
        let (policy, action) = (self.policy.current(), A::index(&scope));
        if policy.is_open(action) {
            return Ok(Permit { scope });
        }
        let target = Target {
            project_id: scope.project().map(ProjectId::as_str),
            queue_name: named(&scope, QueueKind::Queue),
            topic_name: named(&scope, QueueKind::Topic),
        };
        if policy.allows(action, &identity(), &target) {
            return Ok(Permit { scope });
        }
        Err(Error::Forbidden)
    }
}

/// The name of what `scope` is or lies in, if that is of this kind.
fn named(scope: &impl Scope, kind: QueueKind) -> Option<&str> {
    scope.queue().filter(|name| name.kind() == kind).map(QueueName::shown)
}
