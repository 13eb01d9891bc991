//! What a policy can ask about the caller.
//!
//! The names are those under which Zaqar hands its caller to oslo.policy, of
//! all its releases. None of them has parts, so no dotted name is ever known.

use crate::model::{Identity, ProjectId};

/// Something known about the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    User(&'static str),
    UserDomain(&'static str),
    Project(&'static str),
    ProjectDomain(&'static str),
    Domain(&'static str),
    SystemScope,
    System,
    Roles,
    IsAdmin,
    IsAdminProject,
    ServiceUser,
    ServiceUserDomain,
    ServiceProject,
    ServiceProjectDomain,
    ServiceRoles,
}

use Attribute::{
    Domain, IsAdmin, IsAdminProject, Project, ProjectDomain, Roles, ServiceProject,
    ServiceProjectDomain, ServiceRoles, ServiceUser, ServiceUserDomain, System, SystemScope, User,
    UserDomain,
};

/// All of them; what the caller is has a name for each release of Zaqar.
const ALL: [Attribute; 22] = [
    User("user_id"),
    User("user"),
    UserDomain("user_domain_id"),
    UserDomain("user_domain"),
    Project("project_id"),
    Project("project"),
    Project("tenant"),
    Project("tenant_id"),
    ProjectDomain("project_domain_id"),
    ProjectDomain("project_domain"),
    Domain("domain_id"),
    Domain("domain"),
    SystemScope,
    System,
    Roles,
    IsAdmin,
    IsAdminProject,
    ServiceUser,
    ServiceUserDomain,
    ServiceProject,
    ServiceProjectDomain,
    ServiceRoles,
];

impl Attribute {
    /// The attribute of that name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        ALL.into_iter().find(|attribute| attribute.name() == name)
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            User(name) | UserDomain(name) | Project(name) | ProjectDomain(name) | Domain(name) => {
                name
            }
            SystemScope => "system_scope",
            System => "system",
            Roles => "roles",
            IsAdmin => "is_admin",
            IsAdminProject => "is_admin_project",
            ServiceUser => "service_user_id",
            ServiceUserDomain => "service_user_domain_id",
            ServiceProject => "service_project_id",
            ServiceProjectDomain => "service_project_domain_id",
            ServiceRoles => "service_roles",
        }
    }

    /// Whether that is what the attribute of `caller` is, as Python prints it,
    /// or, of a list, whether it is in it.
    pub(super) fn matches(self, caller: &Identity, value: &str) -> bool {
        let is = |text: Option<&str>| text.unwrap_or("None") == value;
        let service = caller.service.as_ref();
        match self {
            User(_) => is(caller.user_id.as_deref()),
            UserDomain(_) => is(caller.user_domain_id.as_deref()),
            Project(_) => is(caller.project_id.as_ref().map(ProjectId::as_str)),
            ProjectDomain(_) => is(caller.project_domain_id.as_deref()),
            Domain(_) => is(caller.domain_id.as_deref()),
            SystemScope => is(caller.system_scope.as_deref()),
            System => caller.system_scope.as_deref().is_some_and(|scope| scope == value),
            Roles => caller.roles.iter().any(|role| role == value),
            // Zaqar never sets it.
            IsAdmin => is(Some("False")),
            IsAdminProject => is(Some(if caller.is_admin_project { "True" } else { "False" })),
            ServiceUser => is(service.and_then(|it| it.user_id.as_deref())),
            ServiceUserDomain => is(service.and_then(|it| it.user_domain_id.as_deref())),
            ServiceProject => is(service.and_then(|it| it.project_id.as_deref())),
            ServiceProjectDomain => is(service.and_then(|it| it.project_domain_id.as_deref())),
            ServiceRoles => service.is_some_and(|it| it.roles.iter().any(|role| role == value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, Attribute};

    #[test]
    fn every_name_is_found_again() {
        for attribute in ALL {
            assert_eq!(Attribute::parse(attribute.name()), Some(attribute));
        }
        assert_eq!(Attribute::parse("user_id.name"), None);
    }
}
