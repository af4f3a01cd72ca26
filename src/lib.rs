#![doc = include_str!("ARCHITECTURE.md")]

pub mod domain;

#[cfg(feature = "hub")]
pub mod app;
#[cfg(feature = "hub")]
pub mod cli;
#[cfg(feature = "hub")]
pub mod clock;
#[cfg(feature = "hub")]
pub mod config;
#[cfg(feature = "hub")]
pub mod discovery;
#[cfg(feature = "hub")]
pub mod engine;
#[cfg(feature = "hub")]
pub mod http;
#[cfg(feature = "hub")]
pub mod listen;
#[cfg(feature = "hub")]
pub mod mqtt;
#[cfg(feature = "hub")]
pub mod policy;
#[cfg(feature = "hub")]
pub mod store;
#[cfg(feature = "hub")]
pub mod tls;
