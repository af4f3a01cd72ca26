//! Invitations: codes by which somebody becomes a user once, without a password, such as by a phone's camera.
//!
//! They live in memory and end with the hub. How a code gets to somebody does not belong here.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use sha1::{Digest as _, Sha1};

use crate::domain::time::Mono;

/// How long an invitation may be taken.
pub const INVITATION_LASTS: Duration = Duration::from_secs(600);
/// How many there may be at a time; the oldest goes.
const INVITATIONS_MAX: usize = 32;
/// Bytes of randomness in a code.
const CODE_BYTES: usize = 18;

/// The invitations that nobody has taken yet. Cheap to clone.
#[derive(Clone, Default)]
pub struct Invitations(Arc<Mutex<Vec<Invitation>>>);

struct Invitation {
    /// A hash, so that comparing takes as long whatever the code is.
    code: [u8; 20],
    user: String,
    made_at: Mono,
}

impl fmt::Debug for Invitations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitations").field("waiting", &self.invitations().len()).finish()
    }
}

impl Invitations {
    /// A new code that makes somebody `user`; none where the system has no randomness.
    #[must_use]
    pub fn invite(&self, user: &str, now: Mono) -> Option<String> {
        let mut bytes = [0; CODE_BYTES];
        getrandom::fill(&mut bytes).ok()?;
        let code = BASE64.encode(bytes);
        let mut invitations = self.invitations();
        invitations.retain(|invitation| now.since(invitation.made_at) < INVITATION_LASTS);
        if invitations.len() >= INVITATIONS_MAX {
            invitations.remove(0);
        }
        invitations.push(Invitation { code: hash(&code), user: user.to_owned(), made_at: now });
        Some(code)
    }

    /// Takes an invitation: the user, once.
    #[must_use]
    pub fn take(&self, code: &str, now: Mono) -> Option<String> {
        let code = hash(code);
        let mut invitations = self.invitations();
        let at = invitations.iter().position(|invitation| invitation.code == code)?;
        let invitation = invitations.remove(at);
        (now.since(invitation.made_at) < INVITATION_LASTS).then_some(invitation.user)
    }

    fn invitations(&self) -> MutexGuard<'_, Vec<Invitation>> {
        // Entries are whole between two statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(code: &str) -> [u8; 20] {
    Sha1::digest(code.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

    use super::*;

    #[test]
    fn an_invitation_is_taken_once_and_not_too_late() {
        let at = |seconds| Mono::default().after(Duration::from_secs(seconds));
        let invitations = Invitations::default();
        let (first, second) = (invitations.invite("anna", at(0)).unwrap(), invitations.invite("ben", at(1)).unwrap());
        assert_eq!((first.len(), first == second), (24, false));
        assert_eq!(invitations.take("", at(2)), None);
        assert_eq!(invitations.take(&first, at(2)).as_deref(), Some("anna"));
        assert_eq!(invitations.take(&first, at(2)), None, "twice");
        assert_eq!(invitations.take(&second, at(601)), None, "too late");
        assert_eq!(invitations.take(&second, at(2)), None, "it is gone");
    }

    #[test]
    fn there_are_never_many() {
        let invitations = Invitations::default();
        let codes: Vec<_> = (0..=INVITATIONS_MAX).map(|_| invitations.invite("x", Mono::default()).unwrap()).collect();
        assert_eq!(invitations.take(&codes[0], Mono::default()), None);
        assert!(invitations.take(&codes[1], Mono::default()).is_some());
    }
}
