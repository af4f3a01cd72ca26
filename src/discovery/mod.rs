//! Discovery: how other systems find the hub and what it has.
//!
//! [`homeassistant`] turns what the hub says of itself into Home Assistant's device documents, a pure function; [`edge`]
//! keeps them up to date in the retained tree. [`mdns`] tells the local network where the hub is. Everything is read from `hub/info` and `device/<id>/info`, so that a new kind
//! of thing is discovered without an edit here.
//!
//! What things are and do does not belong here, nor do connections to other brokers: that is `link`.

pub mod command;
pub mod edge;
pub mod homeassistant;
pub mod info;
pub mod mdns;

pub use edge::{Discovery, concern, start};
pub use homeassistant::{Document, Settings, documents};
pub use info::{BoxInfo, HubInfo};
