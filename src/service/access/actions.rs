//! Everything that a policy can allow or forbid.
//!
//! Names and defaults are Zaqar's. An action has a type of its own, so that the
//! permit for one thing cannot be used for another.

use crate::model::{Namespace, ProjectId, QueueKey, QueueKind, QueueName};

/// Something a caller may or may not do.
pub trait Action: 'static {
    /// What it is done to.
    type Scope: Scope;
    /// Its place in [`ALL`], which may depend on what it is done to: some things
    /// have a rule for queues and another one for topics.
    fn index(scope: &Self::Scope) -> usize;
}

/// What an action is done to, as policies see it.
pub trait Scope: Send + Sync + 'static {
    /// The project it belongs to, if it belongs to one.
    fn project(&self) -> Option<&ProjectId>;
    /// The queue or topic, if it is one or lies in one.
    fn queue(&self) -> Option<&QueueName>;
    /// Whether it is about queues or about topics.
    fn kind(&self) -> QueueKind {
        self.queue().map_or(QueueKind::Queue, QueueName::kind)
    }
}

impl Scope for QueueKey {
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project)
    }

    fn queue(&self) -> Option<&QueueName> {
        Some(&self.name)
    }
}

impl Scope for Namespace {
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project)
    }

    fn queue(&self) -> Option<&QueueName> {
        None
    }

    fn kind(&self) -> QueueKind {
        self.kind
    }
}

impl Scope for ProjectId {
    fn project(&self) -> Option<&ProjectId> {
        Some(self)
    }

    fn queue(&self) -> Option<&QueueName> {
        None
    }
}

/// The whole installation.
impl Scope for () {
    fn project(&self) -> Option<&ProjectId> {
        None
    }

    fn queue(&self) -> Option<&QueueName> {
        None
    }
}

/// What the policy says of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Zaqar's name for it.
    pub name: &'static str,
    /// What a caller needs if the operator says nothing: a check in the policy
    /// language; everybody passes an empty one.
    pub default: &'static str,
    /// What it allows.
    pub description: &'static str,
}

/// Everybody who got this far.
const OPEN: &str = "";
/// Administrators.
const ADMIN: &str = "role:admin";

macro_rules! actions {
    (
        { $($name:ident $(/ $topic:ident)? ($scope:ty) =
            $rule:literal, $default:ident, $description:literal;)* }
        topics: { $($other:ident = $other_rule:literal, $other_description:literal;)* }
    ) => {
        #[allow(clippy::enum_variant_names, reason = "actions are named by their verbs")]
        enum Index { $($name,)* $($other),* }

        $(
            #[doc = $description]
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}

            impl Action for $name {
                type Scope = $scope;

                fn index(scope: &$scope) -> usize {
                    match scope.kind() {
                        $(QueueKind::Topic => Index::$topic as usize,)?
                        _ => Index::$name as usize,
                    }
                }
            }
        )*

        /// All actions.
        pub const ALL: &[Rule] = &[
            $(Rule { name: $rule, default: $default, description: $description },)*
            $(Rule { name: $other_rule, default: OPEN, description: $other_description }),*
        ];
    };
}

actions! {
    {
        ListQueues / ListTopics(Namespace) = "queues:get_all", OPEN, "List the queues of a project.";
        CreateQueue / CreateTopic(QueueKey) = "queues:create", OPEN, "Make a queue.";
        GetQueue / GetTopic(QueueKey) = "queues:get", OPEN, "Look at the metadata of a queue.";
        DeleteQueue / DeleteTopic(QueueKey) = "queues:delete", OPEN, "Delete a queue.";
        UpdateQueue / UpdateTopic(QueueKey) = "queues:update", OPEN, "Change the metadata of a queue.";
        GetQueueStats / GetTopicStats(QueueKey) = "queues:stats", OPEN, "Count the messages of a queue.";
        ShareQueue(QueueKey) = "queues:share", OPEN, "Sign a URL for a queue.";
        PurgeQueue / PurgeTopic(QueueKey) = "queues:purge", OPEN, "Empty a queue.";
        ListMessages(QueueKey) = "messages:get_all", OPEN, "List messages, or get some by their ids.";
        PostMessages(QueueKey) = "messages:create", OPEN, "Post messages.";
        GetMessage(QueueKey) = "messages:get", OPEN, "Look at a message.";
        DeleteMessage(QueueKey) = "messages:delete", OPEN, "Delete a message.";
        DeleteMessages(QueueKey) = "messages:delete_all", OPEN, "Delete messages by their ids, or pop some.";
        CreateClaim(QueueKey) = "claims:create", OPEN, "Claim messages.";
        GetClaim(QueueKey) = "claims:get", OPEN, "Look at a claim.";
        RenewClaim(QueueKey) = "claims:update", OPEN, "Renew a claim.";
        ReleaseClaim(QueueKey) = "claims:delete", OPEN, "Release a claim.";
        ListSubscriptions(QueueKey) = "subscription:get_all", OPEN, "List the subscriptions to a queue.";
        CreateSubscription(QueueKey) = "subscription:create", OPEN, "Subscribe to a queue.";
        GetSubscription(QueueKey) = "subscription:get", OPEN, "Look at a subscription.";
        DeleteSubscription(QueueKey) = "subscription:delete", OPEN, "End a subscription.";
        UpdateSubscription(QueueKey) = "subscription:update", OPEN, "Change a subscription.";
        ConfirmSubscription(QueueKey) = "subscription:confirm", OPEN, "Confirm a subscription.";
        ListPools(()) = "pools:get_all", ADMIN, "List the pools.";
        GetPool(()) = "pools:get", ADMIN, "Look at a pool.";
        PutPool(()) = "pools:create", ADMIN, "Register a pool.";
        UpdatePool(()) = "pools:update", ADMIN, "Change a pool.";
        DeletePool(()) = "pools:delete", ADMIN, "Remove a pool.";
        ListFlavors(ProjectId) = "flavors:get_all", OPEN, "List the flavors of a project.";
        GetFlavor(ProjectId) = "flavors:get", OPEN, "Look at a flavor.";
        PutFlavor(ProjectId) = "flavors:create", ADMIN, "Make a flavor.";
        UpdateFlavor(ProjectId) = "flavors:update", ADMIN, "Change a flavor.";
        DeleteFlavor(ProjectId) = "flavors:delete", ADMIN, "Delete a flavor.";
        Ping(()) = "ping:get", OPEN, "Ask whether the service answers.";
        GetHealth(()) = "health:get", ADMIN, "Ask how the stores are.";
    }
    topics: {
        ListTopics = "topics:get_all", "List the topics of a project.";
        CreateTopic = "topics:create", "Make a topic.";
        GetTopic = "topics:get", "Look at the metadata of a topic.";
        DeleteTopic = "topics:delete", "Delete a topic.";
        UpdateTopic = "topics:update", "Change the metadata of a topic.";
        GetTopicStats = "topics:stats", "Count the messages of a topic.";
        PurgeTopic = "topics:purge", "Empty a topic.";
    }
}
