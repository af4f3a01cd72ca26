//! The log's level: which forms are understood.
//!
//! Writing the log does not belong here.

/// The levels, in lower case.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Looks whether `text` is a list of levels, each for everything (`info`) or for a part (`lockstep::mqtt=debug`). The log's own reader
/// takes any other word for the name of a part, which then logs while everything else is silent.
///
/// # Errors
/// What is wrong, and what is allowed.
pub(super) fn check_level(text: &str) -> Result<(), String> {
    const ALLOWED: &str =
        "error, warn, info, debug, trace and off are allowed, also by part, as in `info,lockstep::mqtt=debug`";
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let is_part = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-'))
    };
    for directive in text.split(',') {
        let is_known = match directive.split_once('=') {
            Some((part, level)) => is_part(part) && is_level(level),
            None => is_level(directive),
        };
        if !is_known {
            return Err(format!("`{directive}` is no level; {ALLOWED}"));
        }
    }
    Ok(())
}
