//! The door over real sockets: raw packets where a statement of the standard is at stake, stock clients where people are.

mod away;
mod churn;
mod client;
mod kept;
mod kills;
mod labels;
mod limits;
mod packets;
mod policy;
mod publish;
mod rig;
mod robustness;
mod router;
mod sessions;
mod statements;
mod stock;
mod subscribe;
mod tls;
mod websocket;
mod wills;
