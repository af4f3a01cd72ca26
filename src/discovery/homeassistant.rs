//! Home Assistant's MQTT discovery: one document per device, made from what the hub and the boxes say of themselves.
//!
//! Source: Home Assistant, MQTT, «Device discovery payload», and the page of each platform. Everything here is a pure
//! function; publishing does not belong here ([`edge`](super::edge) does that).
//!
//! The hub is one device, every room is one (its things are the entities), every box is one. Ids never depend on names.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::info::{BOX_EVENT_TYPES, BoxInfo, HubInfo, RoomInfo};
use crate::domain::{id::Id, topic::Topic};

mod component;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;

use component::{Component, of_thing};

/// What Home Assistant is told as the sender of a document. Documents of earlier runs are known by it.
pub const ORIGIN: &str = "Lockstep";

/// Who made it, as Home Assistant shows it.
const MANUFACTURER: &str = "Lockstep";

/// Where people find help.
const SUPPORT_URL: &str = "https://github.com/lockstep-hub/lockstep";

/// The topic that tells how many clients the broker has.
pub const CLIENTS_TOPIC: &str = "$SYS/broker/clients/connected";

/// How discovery is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether documents are published; where not, those of earlier runs are cleared.
    pub enabled: bool,
    /// Home Assistant's discovery prefix.
    pub prefix: Topic,
    /// Where the dashboard is, for Home Assistant's «Visit» link: an `http` or `https` address.
    pub page_url: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { enabled: true, prefix: Topic::of(&["homeassistant"]), page_url: None }
    }
}

impl Settings {
    /// The topic on which Home Assistant says that it has started.
    #[must_use]
    pub fn birth_topic(&self) -> Topic {
        Topic::of(&[self.prefix.as_str(), "status"])
    }

    /// The topic of the document of `object_id`.
    #[must_use]
    pub fn document_topic(&self, object_id: &str) -> Topic {
        Topic::of(&[self.prefix.as_str(), "device", object_id, "config"])
    }

    /// The object id of a document's topic, the other way round.
    #[must_use]
    pub fn object_id<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let rest = topic.strip_prefix(self.prefix.as_str())?.strip_prefix("/device/")?;
        rest.strip_suffix("/config").filter(|id| !id.is_empty() && !id.contains('/'))
    }
}

/// A device document: what to publish, retained with QoS 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The name of the document below the prefix: `[a-zA-Z0-9_-]`.
    pub object_id: String,
    /// Where it is published.
    pub topic: Topic,
    /// What.
    pub payload: Value,
}

/// Every document of the hub: its own first (the others name it as the device they are reached through), then the rooms'
/// and the boxes'.
#[must_use]
pub fn documents(info: &HubInfo, boxes: &BTreeMap<Id, BoxInfo>, settings: &Settings) -> Vec<Document> {
    let mut documents = vec![hub_document(info, settings)];
    documents.extend(info.rooms.iter().map(|room| room_document(info, room, settings)));
    documents.extend(boxes.iter().map(|(id, said)| box_document(info, id, said, settings)));
    documents
}

/// Whether a document under `object_id` with `payload` was published by this hub, in this run or an earlier one.
#[must_use]
pub fn is_ours(info: &HubInfo, object_id: &str, payload: &[u8]) -> bool {
    let document: Value = serde_json::from_slice(payload).unwrap_or(Value::Null);
    is_named_ours(info, object_id) && document.pointer("/origin/name").and_then(Value::as_str) == Some(ORIGIN)
}

/// Whether `object_id` is one that this hub gives.
#[must_use]
pub fn is_named_ours(info: &HubInfo, object_id: &str) -> bool {
    object_id.strip_prefix(&hub_object_id(info)).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

fn hub_object_id(info: &HubInfo) -> String {
    format!("lockstep_{}", info.short_id())
}

/// What the hub's own ids in Home Assistant begin with. Ids of rooms and things have no dots, so no two of them meet.
fn unique(info: &HubInfo, rest: &[&str]) -> String {
    let mut id = hub_object_id(info);
    for part in rest {
        id.push('.');
        id.push_str(part);
    }
    id
}

fn hub_availability(info: &HubInfo) -> Value {
    json!([{"topic": format!("{}/hub/availability", info.root)}])
}

fn document(
    info: &HubInfo,
    object_id: String,
    device: Value,
    components: Vec<Component>,
    settings: &Settings,
) -> Document {
    let components: Map<String, Value> =
        components.into_iter().map(|component| (component.key, Value::Object(component.fields))).collect();
    Document {
        topic: settings.document_topic(&object_id),
        object_id,
        payload: json!({
            "device": device,
            "origin": {"name": ORIGIN, "sw_version": info.version, "support_url": SUPPORT_URL},
            "components": components,
        }),
    }
}

/// A device with the fields that every one of ours has; fields that are null are left out.
fn device(settings: &Settings, mut fields: Value) -> Value {
    fields["manufacturer"] = MANUFACTURER.into();
    fields["configuration_url"] = settings.page_url.clone().into();
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    fields
}

fn hub_document(info: &HubInfo, settings: &Settings) -> Document {
    let availability_topic = format!("{}/hub/availability", info.root);
    let id = |leaf: &str| unique(info, &["hub", leaf]);
    let components = vec![
        // Without an availability of its own: it shall say «disconnected», not become unavailable.
        Component::new("availability", "binary_sensor", id("availability"), Some("Connection"))
            .with("device_class", "connectivity")
            .with("entity_category", "diagnostic")
            .with("state_topic", availability_topic.as_str())
            .with("payload_on", "online")
            .with("payload_off", "offline"),
        Component::new("version", "sensor", id("version"), Some("Version"))
            .with("entity_category", "diagnostic")
            .with("icon", "mdi:tag-outline")
            .with("availability", hub_availability(info))
            .with("state_topic", format!("{}/hub/info", info.root))
            .with("value_template", "{{ value_json.version }}"),
        Component::new("clients", "sensor", id("clients"), Some("MQTT clients"))
            .with("entity_category", "diagnostic")
            .with("icon", "mdi:lan-connect")
            .with("state_class", "measurement")
            .with("availability", hub_availability(info))
            .with("state_topic", CLIENTS_TOPIC),
    ];
    let device = device(
        settings,
        json!({
            "identifiers": [unique(info, &[])], "name": info.name, "model": "Hub", "sw_version": info.version,
        }),
    );
    document(info, hub_object_id(info), device, components, settings)
}

fn room_document(info: &HubInfo, room: &RoomInfo, settings: &Settings) -> Document {
    let mut components = Vec::new();
    for thing in &room.things {
        components.extend(of_thing(info, room, thing));
    }
    let device = device(
        settings,
        json!({
            "identifiers": [unique(info, &["room", &room.id])], "name": room.name, "model": "Room",
            "sw_version": info.version, "via_device": unique(info, &[]), "suggested_area": room.name,
        }),
    );
    let object_id = format!("{}_room_{}", hub_object_id(info), room.id);
    let mut document = document(info, object_id, device, components, settings);
    document.payload["availability"] = hub_availability(info);
    document
}

fn box_document(info: &HubInfo, id: &Id, said: &BoxInfo, settings: &Settings) -> Document {
    let topic = |leaf: &str| format!("{}/device/{id}/{leaf}", info.root);
    let unique_id = |leaf: &str| unique(info, &["device", id.as_str(), leaf]);
    let event_types = said.event_types.clone().unwrap_or_else(|| BOX_EVENT_TYPES.map(str::to_owned).into());
    let mut components = vec![
        // With the hub's availability alone: a box that is off is «disconnected», not unavailable.
        Component::new("availability", "binary_sensor", unique_id("availability"), Some("Connection"))
            .with("device_class", "connectivity")
            .with("entity_category", "diagnostic")
            .with("availability", hub_availability(info))
            .with("state_topic", topic("availability"))
            .with("payload_on", "online")
            .with("payload_off", "offline"),
    ];
    let both = json!([{"topic": format!("{}/hub/availability", info.root)}, {"topic": topic("availability")}]);
    if !event_types.is_empty() {
        components.push(
            Component::new("button", "event", unique_id("event"), Some("Button"))
                .with("device_class", "button")
                .with("availability", both)
                .with("availability_mode", "all")
                .with("state_topic", topic("event"))
                .with("event_types", event_types.clone()),
        );
    }
    for event_type in &event_types {
        // `button_short_press` is a type that Home Assistant has words for.
        let kind = if event_type.ends_with("_press") { format!("button_{event_type}") } else { event_type.clone() };
        components.push(
            Component::bare(&format!("on-{event_type}"), "device_automation")
                .with("automation_type", "trigger")
                .with("type", kind)
                .with("subtype", "button_1")
                .with("topic", topic("event"))
                .with("value_template", "{{ value_json.event_type }}")
                .with("payload", event_type.as_str()),
        );
    }
    let area = said.room.as_ref().and_then(|room| info.rooms.iter().find(|known| known.id == *room));
    let device = device(
        settings,
        json!({
            "identifiers": [unique(info, &["device", id.as_str()])], "name": said.name.as_deref().unwrap_or(id.as_str()),
            "model": said.model.as_deref().unwrap_or("Button box"), "sw_version": said.version,
            "via_device": unique(info, &[]), "suggested_area": area.map(|room| room.name.as_str()),
        }),
    );
    document(info, format!("{}_device_{id}", hub_object_id(info)), device, components, settings)
}
