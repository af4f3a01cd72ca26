//! Who may do what, as the door asks it: on connect, publish, subscribe, delivery, for a will and for a response.
//!
//! Users, roles and ACL lines do not belong here; they answer through these traits.

use std::{fmt, future::Future, net::IpAddr, pin::Pin, sync::Arc};

use bytes::Bytes;

use crate::domain::topic::{Filter, Topic};

/// What a connecting client shows.
#[derive(Clone)]
pub struct Credentials {
    /// Its client id.
    pub client_id: Arc<str>,
    /// User name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Bytes>,
    /// Where it connects from.
    pub address: IpAddr,
    /// The common name of its TLS certificate, where it showed one that the hub trusts.
    pub certificate: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("client_id", &self.client_id)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Why nobody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Wrong user name or password.
    Credentials,
    /// Known, or anonymous, and not allowed to connect.
    Forbidden,
    /// Too many attempts; later it will do.
    Busy,
}

/// The future of [`Gate::authenticate`].
pub type Admission = Pin<Box<dyn Future<Output = Result<Arc<dyn Access>, Denied>> + Send>>;

/// Lets clients in.
pub trait Gate: fmt::Debug + Send + Sync {
    /// Who shows these `credentials`, and what they may do.
    fn authenticate(&self, credentials: Credentials) -> Admission;
}

/// What one client may do. Asked for every message, so it must be quick.
pub trait Access: fmt::Debug + Send + Sync {
    /// Whether it may publish to `topic`.
    fn may_publish(&self, topic: &Topic) -> bool;
    /// Whether it may subscribe to `filter`.
    fn may_subscribe(&self, filter: &Filter) -> bool;
    /// Whether a message of `topic` may be delivered to it.
    fn may_receive(&self, topic: &str) -> bool;
    /// The name it logged in with, where it did.
    fn user(&self) -> Option<&str> {
        None
    }
}

/// Everybody may do everything: a hub that listens on loopback alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Open;

impl Access for Open {
    fn may_publish(&self, _: &Topic) -> bool {
        true
    }

    fn may_subscribe(&self, _: &Filter) -> bool {
        true
    }

    fn may_receive(&self, _: &str) -> bool {
        true
    }
}

impl Gate for Open {
    fn authenticate(&self, _: Credentials) -> Admission {
        Box::pin(std::future::ready(Ok(Arc::new(Self) as Arc<dyn Access>)))
    }
}
