//! An engine and the HTTP side on a free port, and a raw client for what a WebSocket library would not send.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use lockstep::{
    clock::Clock,
    domain::{
        hub::{Hub, HubSpec, RoomSpec, ThingSpec},
        origin::Origin,
        publication::{Publish, Qos},
        things::Kind,
        topic::Topic,
    },
    engine::{Engine, EngineHandle, EngineLimits, Lane},
    http::{self, Http, Listener, Settings, TlsAcceptor},
    policy::{self, Policy},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};
use tokio_util::sync::CancellationToken;

use crate::support::LIMIT;

pub(super) struct Rig {
    pub(super) http: Http,
    pub(super) engine: EngineHandle,
    pub(super) address: SocketAddr,
    _stop: tokio_util::sync::DropGuard,
}

impl Rig {
    pub(super) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(super) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_all(open_policy(), None, change).await
    }

    /// A hub whose connections `tls` wraps.
    pub(super) async fn start_on(tls: Option<TlsAcceptor>) -> Self {
        Self::start_all(open_policy(), tls, |_| {}).await
    }

    pub(super) async fn start_for(policy: Policy, change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_all(policy, None, change).await
    }

    async fn start_all(policy: Policy, tls: Option<TlsAcceptor>, change: impl FnOnce(&mut Settings)) -> Self {
        let thing = |id: &str, kind: Kind| ThingSpec {
            id: id.parse().unwrap(),
            name: id.to_owned(),
            settings: kind.default_settings(),
        };
        let things = vec![thing("pomodoro", Kind::Pomodoro), thing("slider1", Kind::Slider)];
        let room = RoomSpec { id: "main".parse().unwrap(), name: "Main".to_owned(), things: things.clone() };
        let spec = HubSpec {
            name: "Test".to_owned(),
            version: "0".to_owned(),
            root: "lockstep".parse().unwrap(),
            boot: "b007".to_owned(),
            template: things,
            rooms: vec![room],
            rooms_max: 10,
        };
        let clock = Clock::system();
        let (mut engine, handle) = Engine::new(Hub::new(spec), clock.clone(), EngineLimits::default());
        let outlets = vec![engine.outlet(), engine.outlet()];
        engine.start(Vec::new(), 0);
        let stop = CancellationToken::new();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut settings = Settings { boot: "b007".to_owned(), ..Settings::new(policy) };
        change(&mut settings);
        let listeners = vec![Listener { socket, tls }];
        let http = http::start(listeners, handle.clone(), outlets, settings, clock).unwrap();
        tokio::spawn(engine.run(stop.clone().cancelled_owned()));
        Self { address: http.addresses()[0], http, engine: handle, _stop: stop.drop_guard() }
    }

    /// Publishes as a device would; returns the place in the one order.
    pub(super) async fn publish(&self, topic: &str, payload: &str, retain: bool) -> u64 {
        let mut publish =
            Publish::new(Topic::parse(topic).unwrap(), payload.as_bytes().to_vec(), Origin::Mqtt("test".into()));
        publish.retain = retain;
        publish.qos = Qos::AtLeastOnce;
        self.engine.publish(Lane::Client, publish).await.unwrap().seq
    }

    pub(super) async fn browser(&self) -> Browser {
        Browser::connect(self.address).await
    }

    /// Sends one request and returns the whole answer, head and body.
    pub(super) async fn request(&self, head: &str) -> String {
        String::from_utf8_lossy(&self.request_bytes(head).await).into_owned()
    }

    pub(super) async fn request_bytes(&self, head: &str) -> Vec<u8> {
        request(self.address, head).await
    }

    pub(super) async fn get(&self, path: &str) -> String {
        self.request(&format!("GET {path} HTTP/1.1\nHost: localhost\nConnection: close")).await
    }
}

/// Sends one request to `address` and returns the whole answer.
pub(super) async fn request(address: SocketAddr, head: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = head.replace('\n', "\r\n");
    let end = if text.contains("\r\n\r\n") { "" } else { "\r\n\r\n" };
    stream.write_all(format!("{text}{end}").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await.expect("an answer in time").unwrap();
    answer
}

/// What a hub that only this machine reaches allows: everything.
pub(super) fn open_policy() -> Policy {
    let none = std::path::PathBuf::from("/nonexistent");
    let settings = policy::Settings {
        root: "lockstep".parse().unwrap(),
        loopback_only: true,
        anonymous: None,
        users_file: none.clone(),
        acl_file: none,
    };
    Policy::load(settings).unwrap()
}

pub(super) struct Browser {
    pub(super) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(super) hello: Value,
}

impl Browser {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "lockstep.v1".parse().unwrap());
        let (socket, _) = connect_async(request).await.unwrap();
        let mut browser = Self { socket, hello: Value::Null };
        browser.hello = browser.frame().await;
        assert_eq!(browser.hello["type"], "hello");
        browser
    }

    pub(super) async fn send(&mut self, frame: Value) {
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next message, or how the connection ended.
    pub(super) async fn message(&mut self) -> Message {
        let next = tokio::time::timeout(LIMIT, self.socket.next()).await.expect("a message in time");
        next.expect("not the end").expect("no error")
    }

    pub(super) async fn frame(&mut self) -> Value {
        loop {
            match self.message().await {
                Message::Text(text) => return serde_json::from_str(text.as_str()).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("no frame: {other:?}"),
            }
        }
    }

    /// The frame of that type that comes next, passing over others.
    pub(super) async fn next(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The code of the Close frame that comes next.
    pub(super) async fn close_code(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.message().await {
                return frame.map_or(0, |frame| frame.code.into());
            }
        }
    }

    /// Subscribes; returns all pages' topics and the last page.
    pub(super) async fn subscribe(&mut self, frame: Value) -> (Vec<Value>, Value) {
        self.send(frame).await;
        let (mut topics, mut pages) = (Vec::new(), 0);
        loop {
            let page = self.next("snap").await;
            assert_eq!(page["page"], pages);
            pages += 1;
            topics.extend(page["topics"].as_array().unwrap().iter().cloned());
            if page["last"] == true {
                return (topics, page);
            }
        }
    }

    pub(super) async fn subscribe_to(&mut self, filters: &[&str]) -> (Vec<Value>, Value) {
        self.subscribe(json!({"type": "sub", "filters": filters, "id": "s"})).await
    }
}

/// Repeats `look` until it returns true.
pub(super) async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let began = tokio::time::Instant::now();
    while !look().await {
        assert!(began.elapsed() < LIMIT, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
