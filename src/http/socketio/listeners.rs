//! The ports that the tutorials' clients have built in: 3000 for the timer, 5000 for the sliders.
//!
//! On loopback alone, and Socket.IO alone: the dashboard and the API stay where they are.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{gate, origins};

/// What became of the tutorials' ports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TutorialListeners {
    /// Where clients are served now.
    pub addresses: Vec<SocketAddr>,
    /// One sentence for each port that could not be opened.
    pub refusals: Vec<String>,
}

pub(super) async fn start(
    ports: &[u16],
    routes: Router,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> TutorialListeners {
    let router = routes.fallback(elsewhere).layer(middleware::from_fn(check_host));
    let mut started = TutorialListeners::default();
    for &port in ports {
        match open(port).await {
            Ok(listeners) => {
                for listener in listeners {
                    started.addresses.extend(listener.local_addr());
                    let server = axum::serve(listener, router.clone());
                    let stop = stop.clone();
                    tasks.spawn(async move {
                        tokio::select! {
                            () = stop.cancelled() => {}
                            served = server.into_future() => {
                                if let Err(error) = served {
                                    tracing::warn!(port, %error, "a tutorial's port is served no more");
                                }
                            }
                        }
                    });
                }
            }
            Err(error) => {
                let refusal = refusal(port, &error);
                tracing::warn!("{refusal}");
                started.refusals.push(refusal);
            }
        }
    }
    started
}

/// Both loopback addresses, because a browser may take `localhost` for either; the older one must do.
async fn open(port: u16) -> std::io::Result<Vec<TcpListener>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let port = listener.local_addr()?.port();
    let mut listeners = vec![listener];
    // A machine without IPv6 has nobody who would ask there.
    listeners.extend(TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await);
    Ok(listeners)
}

fn refusal(port: u16, error: &std::io::Error) -> String {
    let ways_out = format!(
        "the tutorials' clients that dial {port} do not reach the hub; stop that program, or give the client the hub's own \
         HTTP address"
    );
    if error.kind() == ErrorKind::AddrInUse {
        format!("Port {port} belongs to another program: {ways_out}.")
    } else {
        format!("Port {port} cannot be opened ({error}): {}.", ways_out.replace("stop that program, or ", ""))
    }
}

/// A page that made its own name point to this machine (DNS rebinding) is not served.
async fn check_host(request: Request, next: Next) -> Response {
    match gate::text(request.headers(), header::HOST) {
        Some(host) if origins::is_loopback_host(host) => next.run(request).await,
        _ => (StatusCode::MISDIRECTED_REQUEST, "This port is for localhost alone.\n").into_response(),
    }
}

async fn elsewhere() -> Response {
    let text = "Lockstep serves the tutorials' Socket.IO clients here. Its dashboard is on the hub's own HTTP port.\n";
    (StatusCode::NOT_FOUND, text).into_response()
}
