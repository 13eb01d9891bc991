//! Callers that Keystone vouches for.
//!
//! A token is asked about once, however many requests show it at a time, and
//! then believed for `token_cache_time` seconds, which is how long a revoked one
//! may go on. While Keystone is away, that is who gets in.

mod cache;
mod client;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::runtime::Handle;

use self::cache::{Key, Verdict, Verdicts};
use self::client::KeystoneClient;
use super::{AuthError, Presented, Vouched};
use crate::clock::Clock;
use crate::config::KeystoneSettings;
use crate::http_client::ClientError;
use crate::keystone::token;
use crate::model::Identity;

/// Most tokens that are asked about or wait to be; more are answered with 503.
const MOST_WAITING: usize = 4096;

/// The longest token that is looked at, in bytes; Keystone's have a few hundred.
const LONGEST_TOKEN: usize = 8192;

type Outcome = Result<Verdict, AuthError>;
type Validation = Shared<BoxFuture<'static, Outcome>>;

/// Keystone, and what it said lately.
#[derive(Debug)]
pub struct Keystone {
    desk: Arc<Desk>,
    // Validations run here, not where a request is served: neither the end of
    // that request nor of its connection breaks them off.
    runtime: Handle,
    service_roles: Vec<String>,
    service_roles_required: bool,
}

#[derive(Debug)]
struct Desk {
    client: KeystoneClient,
    verdicts: Verdicts,
    running: Mutex<HashMap<Key, Validation>>,
    clock: Clock,
    is_away: AtomicBool,
}

impl Keystone {
    /// The Keystone in `settings`, asked on `runtime` when somebody comes.
    ///
    /// # Errors
    ///
    /// If the certificates in `cafile` cannot be read.
    pub fn new(
        settings: &KeystoneSettings,
        clock: Clock,
        runtime: Handle,
    ) -> Result<Self, ClientError> {
        if settings.insecure {
            tracing::warn!(
                "auth.keystone.insecure is true: whoever answers in Keystone's place is believed"
            );
        }
        let desk = Desk {
            client: KeystoneClient::new(settings, clock.clone())?,
            verdicts: Verdicts::new(settings, clock.clone()),
            running: Mutex::default(),
            clock,
            is_away: AtomicBool::new(false),
        };
        Ok(Self {
            desk: Arc::new(desk),
            runtime,
            service_roles: settings.service_token_roles.clone(),
            service_roles_required: settings.service_token_roles_required,
        })
    }

    /// Whose the token is; with a token of a service, who speaks for whom. Beside
    /// a service with a service's role, the caller's token may have ended lately:
    /// that of a long job does.
    ///
    /// # Errors
    ///
    /// [`AuthError`].
    pub async fn vouch(&self, shown: &Presented<'_>) -> Result<Vouched, AuthError> {
        let Some(service_token) = shown.service_token else {
            return self.known(shown.token, false).await;
        };
        let service = self.known(Some(service_token), false).await?;
        let service = service.identity;
        let is_service = service
            .roles
            .iter()
            .any(|role| self.service_roles.iter().any(|known| known.eq_ignore_ascii_case(role)));
        if self.service_roles_required && !is_service {
            return Err(AuthError::Unauthorized);
        }
        let caller = self.known(shown.token, is_service).await?;
        let service = Some(token::as_service(&service));
        let identity = Arc::new(Identity { service, ..caller.identity.as_ref().clone() });
        Ok(Vouched { identity, ..caller })
    }

    async fn known(&self, token: Option<&str>, allow_expired: bool) -> Result<Vouched, AuthError> {
        let token = token
            .filter(|token| (1..=LONGEST_TOKEN).contains(&token.len()))
            .ok_or(AuthError::Unauthorized)?;
        let key = Key::of(token, allow_expired);
        let verdict = match self.desk.verdicts.get(&key) {
            Some(verdict) => verdict,
            None => self.validation(key, token)?.await?,
        };
        verdict.ok_or(AuthError::Unauthorized)
    }

    /// The validation of this token that runs, or a new one.
    fn validation(&self, key: Key, token: &str) -> Result<Validation, AuthError> {
        let mut running = self.desk.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validation) = running.get(&key) {
            return Ok(validation.clone());
        }
        // One may have ended since we looked.
        if let Some(verdict) = self.desk.verdicts.get(&key) {
            return Ok(futures_util::future::ready(Ok(verdict)).boxed().shared());
        }
        if running.len() >= MOST_WAITING {
            return Err(AuthError::Unavailable("too many tokens wait for Keystone".into()));
        }
        let (desk, token) = (Arc::clone(&self.desk), token.to_owned());
        let task = self.runtime.spawn(async move {
            let _entry = Entry { desk: &desk, key };
            desk.validate(key, &token).await
        });
        let validation = async move {
            task.await.unwrap_or_else(|error| Err(AuthError::Unavailable(error.to_string().into())))
        };
        let validation = validation.boxed().shared();
        running.insert(key, validation.clone());
        Ok(validation)
    }
}

/// The entry of a running validation; it goes with it, however that ends.
struct Entry<'a> {
    desk: &'a Desk,
    key: Key,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut running = self.desk.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.key);
    }
}

impl Desk {
    async fn validate(&self, key: Key, token: &str) -> Outcome {
        let asked = self.clock.now();
        match self.client.validate(token, key.allows_expired()).await {
            Ok(token) => {
                if self.is_away.swap(false, Ordering::Relaxed) {
                    tracing::info!("Keystone answers again");
                }
                Ok(self.verdicts.put(key, asked, token))
            }
            Err(reason) => {
                if !self.is_away.swap(true, Ordering::Relaxed) {
                    tracing::warn!(reason, "Keystone cannot be asked");
                }
                Err(AuthError::Unavailable(reason.into()))
            }
        }
    }
}
