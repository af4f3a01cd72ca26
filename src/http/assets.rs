//! The dashboard's files, which are part of the binary (in a debug build they are read from `web/`).

use std::{
    collections::HashMap,
    io::Write as _,
    sync::{Mutex, PoisonError},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use rust_embed::RustEmbed;

use super::problem::Problem;

#[derive(RustEmbed)]
#[folder = "web/"]
#[allow_missing = true]
struct Web;

/// Files, compressed when they were asked for first.
#[derive(Debug, Default)]
pub(super) struct Assets {
    compressed: Mutex<HashMap<String, Compressed>>,
}

#[derive(Debug, Clone)]
struct Compressed {
    etag: String,
    /// None where it is not worth it.
    gzip: Option<Bytes>,
}

/// Files smaller than this are sent as they are, in bytes.
const COMPRESS_FROM_BYTES: usize = 512;

impl Assets {
    /// Answers a request for `path`, which has no leading slash.
    pub(super) fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response {
        if method != Method::GET && method != Method::HEAD {
            let mut response = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This is read only.").into_response();
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let path = if path.is_empty() { "index.html" } else { path };
        let Some(file) = Web::get(path) else {
            return Problem::new(StatusCode::NOT_FOUND, "There is nothing at this address.").into_response();
        };
        let etag = format!("\"{}\"", hex(&file.metadata.sha256_hash()[..16]));
        let kind = content_type(path);
        let mut response = Response::new(Body::empty());
        let out = response.headers_mut();
        let mut set = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                out.insert(name, value);
            }
        };
        set(header::CONTENT_TYPE, kind);
        set(header::ETAG, &etag);
        // Asked for again each time, answered with 304 while nothing changed: an update of the hub shows at once.
        set(header::CACHE_CONTROL, "no-cache");
        set(header::VARY, "accept-encoding");
        if kind.starts_with("text/javascript") {
            // Nothing secret; pages of others may import the client.
            set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        }
        if lists(headers, header::IF_NONE_MATCH, &etag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        let gzip = if lists(headers, header::ACCEPT_ENCODING, "gzip") {
            self.gzip(path, &etag, kind, &file.data)
        } else {
            None
        };
        let body = match gzip {
            Some(gzip) => {
                set(header::CONTENT_ENCODING, "gzip");
                gzip
            }
            None => Bytes::from(file.data.into_owned()),
        };
        set(header::CONTENT_LENGTH, &body.len().to_string());
        if method == Method::GET {
            *response.body_mut() = Body::from(body);
        }
        response
    }

    /// A file of texts that is put into another answer.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        String::from_utf8(Web::get(path)?.data.into_owned()).ok()
    }

    fn gzip(&self, path: &str, etag: &str, kind: &str, data: &[u8]) -> Option<Bytes> {
        let mut compressed = self.compressed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = compressed.get(path).filter(|known| known.etag == etag) {
            return known.gzip.clone();
        }
        let is_text = kind.contains("charset") || kind.contains("svg") || kind.contains("json");
        let gzip = (is_text && data.len() >= COMPRESS_FROM_BYTES)
            .then(|| {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(data).ok()?;
                encoder.finish().ok().map(Bytes::from)
            })
            .flatten();
        compressed.insert(path.to_owned(), Compressed { etag: etag.to_owned(), gzip: gzip.clone() });
        gzip
    }
}

/// Whether the comma-separated header `name` lists `wanted`, whatever its weight but zero.
fn lists(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    let all = headers.get_all(name);
    let mut words = all.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    words.any(|word| {
        let (word, weight) = word.split_once(';').unwrap_or((word, ""));
        word.trim().trim_start_matches("W/") == wanted && !matches!(weight.trim(), "q=0" | "q=0.0")
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("ts") => "text/plain; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
