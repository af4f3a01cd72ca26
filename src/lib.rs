#![doc = include_str!("ARCHITECTURE.md")]

pub mod domain;

#[cfg(feature = "hub")]
pub mod clock;
#[cfg(feature = "hub")]
pub mod discovery;
#[cfg(feature = "hub")]
pub mod engine;
#[cfg(feature = "hub")]
pub mod link;
