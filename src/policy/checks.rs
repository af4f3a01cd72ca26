//! Checks of passwords, on threads of their own.
//!
//! A check takes some 20 MB for some 50 ms, by design. Each thread keeps that memory and uses it again: given back, the allocator
//! would hardly ever find it fit for the next check. A check whose asker is gone is not begun. What a right password is worth does not belong here.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use tokio::sync::{mpsc, oneshot};

use super::users;

/// How many passwords are checked at a time.
const CHECKS_AT_A_TIME: usize = 2;
/// How many wait for their check; whoever comes then waits for a place among them.
const CHECKS_WAITING_MAX: usize = 64;

#[derive(Debug)]
struct Check {
    hash: Option<String>,
    password: Vec<u8>,
    told: oneshot::Sender<bool>,
}

/// Where passwords are checked. The threads end with it.
#[derive(Debug)]
pub(super) struct Checks(mpsc::Sender<Check>);

impl Checks {
    /// Starts the threads, which wait.
    ///
    /// # Errors
    /// The system has no threads to give.
    pub(super) fn start() -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(CHECKS_WAITING_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..CHECKS_AT_A_TIME {
            let receiver = Arc::clone(&receiver);
            thread::Builder::new().name("passwords".to_owned()).spawn(move || run(&receiver))?;
        }
        Ok(Self(sender))
    }

    /// Whether `password` is the one of `hash`; without a hash it takes as long and says no.
    ///
    /// # Cancel safety
    /// A check that nobody waits for any more is not begun.
    pub(super) async fn verify(&self, hash: Option<String>, password: Vec<u8>) -> bool {
        let (told, answer) = oneshot::channel();
        self.0.send(Check { hash, password, told }).await.is_ok() && answer.await.unwrap_or(false)
    }
}

fn run(checks: &Mutex<mpsc::Receiver<Check>>) {
    let mut memory = Vec::new();
    loop {
        // The lock is let go before the check: only one thread at a time waits for the next.
        let next = checks.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(Check { hash, password, told }) = next else { return };
        if !told.is_closed() {
            // Who asked may be gone by now.
            let _ = told.send(users::verify(hash.as_deref(), &password, &mut memory));
        }
    }
}
