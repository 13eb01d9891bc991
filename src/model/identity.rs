//! Who is calling.

/// Who is calling, as somebody vouches for it: Keystone, a file of tokens, or
/// nobody but the headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Whose queues are asked about.
    pub project_id: Option<ProjectId>,
    /// Its name.
    pub project_name: Option<String>,
    /// The caller.
    pub user_id: Option<String>,
    /// Its name.
    pub user_name: Option<String>,
    /// The domain of the caller.
    pub user_domain_id: Option<String>,
    /// Its name.
    pub user_domain_name: Option<String>,
    /// The domain of the project.
    pub project_domain_id: Option<String>,
    /// Its name.
    pub project_domain_name: Option<String>,
    /// The domain that the caller speaks for, if it is for no project.
    pub domain_id: Option<String>,
    /// Its name.
    pub domain_name: Option<String>,
    /// `all` if the caller speaks for the whole system.
    pub system_scope: Option<String>,
    /// What the caller may call itself.
    pub roles: Vec<String>,
    /// Whether the project is the one of administrators.
    pub is_admin_project: bool,
    /// The service that speaks for the caller.
    pub service: Option<ServiceIdentity>,
}

/// The service that speaks for a caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceIdentity {
    /// The service.
    pub user_id: Option<String>,
    /// Its name.
    pub user_name: Option<String>,
    /// Its domain.
    pub user_domain_id: Option<String>,
    /// Its name.
    pub user_domain_name: Option<String>,
    /// Its project.
    pub project_id: Option<String>,
    /// Its name.
    pub project_name: Option<String>,
    /// The domain of the project.
    pub project_domain_id: Option<String>,
    /// Its name.
    pub project_domain_name: Option<String>,
    /// What the service may call itself.
    pub roles: Vec<String>,
}

use super::ProjectId;
