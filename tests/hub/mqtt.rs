//! The door over real sockets: raw packets where a statement of the standard is at stake, stock clients where people are.

mod client;
mod limits;
mod publish;
mod rig;
mod robustness;
mod router;
mod sessions;
mod stock;
mod subscribe;
mod wills;
