//! What lasts: the retained tree, the history of finished phases, the MQTT sessions and the logins, in one file.
//!
//! What a value means does not belong here, nor when a sender is answered beyond «it is on disk now». Types of redb appear in
//! this module alone.

mod backup;
mod changes;
mod error;
mod file;
mod history;
mod journal;
mod kept;
mod logins;
mod record;

pub use backup::{Restoration, RestoreError, check, restore};
pub use error::{OpenError, StoreError};
pub use file::Restored;
pub use journal::{Journal, JournalHandle, JournalSettings};
