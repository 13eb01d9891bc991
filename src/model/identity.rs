//! Who is calling, as the authentication vouches for it.

use super::ProjectId;

/// The caller of a request. What is `None` is not known, not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The project that the caller acts for.
    pub project_id: Option<ProjectId>,
    /// Its name.
    pub project_name: Option<String>,
    /// The domain it belongs to.
    pub project_domain_id: Option<String>,
    /// The name of that domain.
    pub project_domain_name: Option<String>,
    /// The user.
    pub user_id: Option<String>,
    /// Its name.
    pub user_name: Option<String>,
    /// The domain it belongs to.
    pub user_domain_id: Option<String>,
    /// The name of that domain.
    pub user_domain_name: Option<String>,
    /// The domain that the caller acts for, in place of a project.
    pub domain_id: Option<String>,
    /// Its name.
    pub domain_name: Option<String>,
    /// `all` if the caller acts for the whole installation.
    pub system_scope: Option<String>,
    /// What the user is in what it acts for.
    pub roles: Vec<String>,
    /// Whether that is the project of administrators; as in Zaqar it is, unless
    /// the authentication says otherwise.
    pub is_admin_project: bool,
    /// The service that hands on the user's request, if one does.
    pub service: Option<ServiceIdentity>,
}

/// A service that acts on behalf of a user, known by a token of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceIdentity {
    /// The service's user.
    pub user_id: Option<String>,
    /// Its name.
    pub user_name: Option<String>,
    /// The domain it belongs to.
    pub user_domain_id: Option<String>,
    /// The name of that domain.
    pub user_domain_name: Option<String>,
    /// The project it acts in.
    pub project_id: Option<String>,
    /// Its name.
    pub project_name: Option<String>,
    /// The domain the project belongs to.
    pub project_domain_id: Option<String>,
    /// The name of that domain.
    pub project_domain_name: Option<String>,
    /// What the service is there.
    pub roles: Vec<String>,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            project_id: None,
            project_name: None,
            project_domain_id: None,
            project_domain_name: None,
            user_id: None,
            user_name: None,
            user_domain_id: None,
            user_domain_name: None,
            domain_id: None,
            domain_name: None,
            system_scope: None,
            roles: Vec::new(),
            is_admin_project: true,
            service: None,
        }
    }
}

impl Identity {
    /// Somebody who acts for that project and is nobody in particular.
    #[must_use]
    pub fn of_project(project: ProjectId) -> Self {
        Self { project_id: Some(project), ..Self::default() }
    }

    /// Whether the caller has this role, in capitals or not.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|given| given.eq_ignore_ascii_case(role))
    }
}
