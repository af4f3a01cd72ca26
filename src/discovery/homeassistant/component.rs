//! Components: one entity each, made from one control of a thing.
//!
//! Devices, and what is not a control of a thing, do not belong here.

use serde_json::{Map, Value};

use super::{
    super::info::{ControlInfo, HubInfo, ReadingInfo, RoomInfo, SendingInfo, ShapeInfo, ThingInfo},
    unique,
};

/// The smallest step that Home Assistant takes (Home Assistant, MQTT number, `step`).
const STEP_MIN: f64 = 0.001;

/// The icons of controls with a common id; the others get the one of their platform.
const ICONS: [(&str, &str); 16] = [
    ("phase", "mdi:timer-outline"),
    ("message", "mdi:message-text-outline"),
    ("paused", "mdi:pause-circle-outline"),
    ("cycle", "mdi:counter"),
    ("press", "mdi:gesture-tap-button"),
    ("start", "mdi:play"),
    ("pause", "mdi:pause"),
    ("resume", "mdi:play-pause"),
    ("skip", "mdi:skip-next"),
    ("extend", "mdi:timer-plus-outline"),
    ("reset", "mdi:restart"),
    ("work_duration", "mdi:briefcase-clock-outline"),
    ("break_duration", "mdi:coffee-outline"),
    ("long_break_duration", "mdi:sofa-outline"),
    ("auto_start", "mdi:autorenew"),
    ("press_while_running", "mdi:gesture-tap"),
];

/// One component of a device document.
#[derive(Debug)]
pub(super) struct Component {
    /// Its name in the document.
    pub(super) key: String,
    pub(super) fields: Map<String, Value>,
}

impl Component {
    /// A component that is no entity.
    pub(super) fn bare(key: &str, platform: &str) -> Self {
        let mut fields = Map::new();
        fields.insert("platform".to_owned(), platform.into());
        fields.insert("qos".to_owned(), 1.into());
        Self { key: key.to_owned(), fields }
    }

    /// An entity. Without a name it is the main feature of its device and called like it.
    pub(super) fn new(key: &str, platform: &str, unique_id: String, name: Option<&str>) -> Self {
        Self::bare(key, platform).with("unique_id", unique_id).with("name", name)
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }
}

/// The entities of one thing: its controls, what its `event` tells, and the time left.
pub(super) fn of_thing(info: &HubInfo, room: &RoomInfo, thing: &ThingInfo) -> Vec<Component> {
    let place = Place { info, room, thing };
    let mut components: Vec<Component> = thing.controls.iter().filter_map(|control| place.component(control)).collect();
    if !thing.event_types.is_empty() {
        let event = place
            .entity("event", "event", "Event")
            .with("icon", "mdi:bell-outline")
            .with("state_topic", place.topic("event"))
            .with("event_types", thing.event_types.clone());
        components.push(event);
    }
    if let Some(leaf) = &thing.reading {
        // Changes each second, which would fill the recorder: whoever wants it switches it on.
        let mut name = leaf.clone();
        name[..1].make_ascii_uppercase();
        let left = place
            .entity(leaf, "sensor", &name)
            .with("device_class", "duration")
            .with("unit_of_measurement", "s")
            .with("enabled_by_default", false)
            .with("state_topic", place.topic(leaf))
            .with(
                "value_template",
                "{% set part = value.split(':') %}\
                 {{ (part[0] | int) * 3600 + (part[1] | int) * 60 + (part[2] | int) }}",
            );
        components.push(left);
    }
    components
}

/// Where a control stands.
struct Place<'a> {
    info: &'a HubInfo,
    room: &'a RoomInfo,
    thing: &'a ThingInfo,
}

impl Place<'_> {
    fn topic(&self, leaf: &str) -> String {
        format!("{}/{}/{}/{leaf}", self.info.root, self.room.id, self.thing.id)
    }

    /// The entity of `control`: its platform follows from its shape. None for a shape that needs a command and has none.
    fn component(&self, control: &ControlInfo) -> Option<Component> {
        let (platform, command) = match (&control.shape, &control.command) {
            (ShapeInfo::Reading { reading: ReadingInfo::Flag }, _) => ("binary_sensor", None),
            (ShapeInfo::Reading { .. }, _) => ("sensor", None),
            (ShapeInfo::Number { .. }, Some(command)) => ("number", Some(command)),
            (ShapeInfo::Select { .. }, Some(command)) => ("select", Some(command)),
            (ShapeInfo::Switch, Some(command)) => ("switch", Some(command)),
            (ShapeInfo::Press, Some(command)) => ("button", Some(command)),
            // What cannot be moved is read.
            (ShapeInfo::Number { .. } | ShapeInfo::Select { .. }, None) => ("sensor", None),
            (ShapeInfo::Switch, None) => ("binary_sensor", None),
            (ShapeInfo::Press, None) => return None,
        };
        let mut component = self.entity(&control.id, platform, &control.name);
        if let Some((_, icon)) = ICONS.iter().find(|(id, _)| *id == control.id) {
            component = component.with("icon", *icon);
        }
        if let Some(field) = &control.field {
            let flag = matches!(platform, "binary_sensor" | "switch");
            component = component.with("state_topic", self.topic("state")).with(
                "value_template",
                match &control.shape {
                    _ if flag => format!("{{{{ 'ON' if value_json.{field} else 'OFF' }}}}"),
                    ShapeInfo::Reading { reading: ReadingInfo::Timestamp } => {
                        format!("{{{{ (value_json.{field} / 1000) | as_datetime if value_json.{field} else None }}}}")
                    }
                    _ => format!("{{{{ value_json.{field} }}}}"),
                },
            );
        }
        component = shaped(component, platform, &control.shape);
        match command {
            Some(command) => Some(moved(component.with("command_topic", self.topic("set")), platform, command)),
            None => Some(component),
        }
    }

    fn entity(&self, id: &str, platform: &str, name: &str) -> Component {
        let (room, thing) = (&self.room.id, &self.thing.id);
        let alone = self.thing.controls.len() == 1 && self.thing.event_types.is_empty();
        let name = if alone { self.thing.name.clone() } else { format!("{} {name}", self.thing.name) };
        // Home Assistant puts the device's name in front of it.
        let name = match name.strip_prefix(self.room.name.as_str()) {
            Some("") => None,
            Some(rest) if rest.starts_with(' ') => Some(rest.trim_start()),
            _ => Some(name.as_str()),
        };
        let entity_id =
            if alone { format!("{room}_{thing}") } else { format!("{room}_{thing}_{id}") }.replace('-', "_");
        Component::new(&format!("{thing}-{id}"), platform, unique(self.info, &["room", room, thing, id]), name)
            .with("default_entity_id", format!("{platform}.{entity_id}"))
    }
}

/// What the shape alone decides.
fn shaped(component: Component, platform: &str, shape: &ShapeInfo) -> Component {
    match shape {
        ShapeInfo::Reading { reading } => match reading {
            ReadingInfo::Enum(words) => component.with("device_class", "enum").with("options", words.clone()),
            ReadingInfo::Timestamp => component.with("device_class", "timestamp"),
            ReadingInfo::Text | ReadingInfo::Count | ReadingInfo::Flag => component,
        },
        ShapeInfo::Number { min, max, step, unit } => {
            let mut component = component;
            if unit.as_deref() == Some("s") {
                component = component.with("device_class", "duration");
            }
            if let Some(unit) = unit {
                component = component.with("unit_of_measurement", unit.as_str());
            }
            if platform != "number" {
                return component;
            }
            let number = crate::domain::wire::number;
            component.with("min", number(*min)).with("max", number(*max)).with("step", number(step.max(STEP_MIN)))
        }
        ShapeInfo::Select { options } if platform == "sensor" => {
            component.with("device_class", "enum").with("options", options.clone())
        }
        ShapeInfo::Select { options } => component.with("options", options.clone()),
        ShapeInfo::Switch | ShapeInfo::Press => component,
    }
}

/// How it is moved. A field of a thing's settings is a matter of configuration, the thing's own value is not.
fn moved(component: Component, platform: &str, command: &SendingInfo) -> Component {
    let component = match command {
        SendingInfo::Field { .. } => component.with("entity_category", "config"),
        SendingInfo::Action { .. } | SendingInfo::Value { .. } => component,
    };
    // The payload for a value that is JSON already, or is a template that becomes JSON.
    let payload = |value: &str| match command {
        SendingInfo::Field { action, field } => format!(r#"{{"action":"{action}","{field}":{value} }}"#),
        SendingInfo::Value { .. } => value.to_owned(),
        SendingInfo::Action { action } => action.clone(),
    };
    match platform {
        "button" => component.with("payload_press", payload("true")),
        "switch" => component
            .with("payload_on", payload("true"))
            .with("payload_off", payload("false"))
            .with("state_on", "ON")
            .with("state_off", "OFF"),
        "select" => component.with("command_template", payload("{{ value | tojson }}")),
        _ => {
            let mode = if matches!(command, SendingInfo::Value { .. }) { "slider" } else { "box" };
            component.with("mode", mode).with("command_template", payload("{{ value }}"))
        }
    }
}
