//! Which pages may talk to the hub: `Origin` (RFC 6454 §7), for polling as for WebSocket, which CORS does not cover.
//!
//! Who the person in front of the page is does not belong here.

/// Which pages a browser may bring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origins {
    allowed: Vec<String>,
    local_pages: bool,
}

impl Origins {
    /// The hub's own pages, those of `allowed`, and with `local_pages` those of local development.
    pub(super) fn new(allowed: &[String], local_pages: bool) -> Self {
        let allowed = allowed.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect();
        Self { allowed, local_pages }
    }

    /// Whether a page from `origin` may talk to the hub that it reached as `host`. Without `Origin` it is no page.
    pub(super) fn allow(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        let origin = origin.to_ascii_lowercase();
        is_same(&origin, host) || self.allowed.contains(&origin) || (self.local_pages && is_local_page(&origin))
    }
}

fn is_same(origin: &str, host: Option<&str>) -> bool {
    let site = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    site.zip(host).is_some_and(|(site, host)| site.eq_ignore_ascii_case(host))
}

/// A page from a development server on this machine, or from a file (whose origin is `null`).
fn is_local_page(origin: &str) -> bool {
    if origin == "null" {
        return true;
    }
    let site = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    site.is_some_and(is_loopback_host)
}

/// Whether `host`, with or without a port, names this machine's loopback.
pub(super) fn is_loopback_host(host: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].into_iter().any(|name| {
        let Some(rest) =
            host.get(..name.len()).filter(|head| head.eq_ignore_ascii_case(name)).map(|_| &host[name.len()..])
        else {
            return false;
        };
        match rest.strip_prefix(':') {
            Some(port) => !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()),
            None => rest.is_empty(),
        }
    })
}

#[cfg(test)]
mod tests;
