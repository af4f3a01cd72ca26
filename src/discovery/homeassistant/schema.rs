//! What Home Assistant's documentation allows in a device document, as a check that names every fault.
//!
//! Sources: Home Assistant, «MQTT», sections «Device discovery payload», «Device and origin», and the pages of the platforms
//! sensor, binary sensor, button, number, select, switch, event and device trigger.

use serde_json::{Map, Value};

const DEVICE: &[&str] = &[
    "configuration_url",
    "connections",
    "hw_version",
    "identifiers",
    "manufacturer",
    "model",
    "model_id",
    "name",
    "serial_number",
    "suggested_area",
    "sw_version",
    "via_device",
];
const ORIGIN: &[&str] = &["name", "sw_version", "support_url"];
const ROOT: &[&str] = &[
    "availability",
    "availability_mode",
    "availability_template",
    "availability_topic",
    "command_topic",
    "components",
    "device",
    "encoding",
    "origin",
    "payload_available",
    "payload_not_available",
    "qos",
    "state_topic",
];
const ENTITY: &[&str] = &[
    "availability",
    "availability_mode",
    "availability_template",
    "availability_topic",
    "default_entity_id",
    "enabled_by_default",
    "encoding",
    "entity_category",
    "entity_picture",
    "icon",
    "json_attributes_template",
    "json_attributes_topic",
    "name",
    "payload_available",
    "payload_not_available",
    "platform",
    "qos",
    "unique_id",
];

struct Platform {
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    categories: &'static [&'static str],
    device_classes: &'static [&'static str],
    entity: bool,
}

const PLATFORMS: &[Platform] = &[
    Platform {
        name: "sensor",
        required: &["state_topic"],
        optional: &[
            "device_class",
            "expire_after",
            "force_update",
            "last_reset_value_template",
            "options",
            "state_class",
            "suggested_display_precision",
            "unit_of_measurement",
            "value_template",
        ],
        categories: &["diagnostic"],
        device_classes: &["enum", "timestamp", "duration"],
        entity: true,
    },
    Platform {
        name: "binary_sensor",
        required: &["state_topic"],
        optional: &[
            "device_class",
            "expire_after",
            "force_update",
            "off_delay",
            "payload_off",
            "payload_on",
            "value_template",
        ],
        categories: &["diagnostic"],
        device_classes: &["connectivity"],
        entity: true,
    },
    Platform {
        name: "button",
        required: &["command_topic"],
        optional: &["command_template", "device_class", "payload_press", "retain"],
        categories: &["config", "diagnostic"],
        device_classes: &["identify", "restart", "update"],
        entity: true,
    },
    Platform {
        name: "number",
        required: &["command_topic"],
        optional: &[
            "command_template",
            "device_class",
            "max",
            "min",
            "mode",
            "optimistic",
            "payload_reset",
            "retain",
            "state_topic",
            "step",
            "unit_of_measurement",
            "value_template",
        ],
        categories: &["config", "diagnostic"],
        device_classes: &["duration"],
        entity: true,
    },
    Platform {
        name: "select",
        required: &["command_topic", "options"],
        optional: &["command_template", "optimistic", "retain", "state_topic", "value_template"],
        categories: &["config", "diagnostic"],
        device_classes: &[],
        entity: true,
    },
    Platform {
        name: "switch",
        required: &["command_topic"],
        optional: &[
            "command_template",
            "device_class",
            "optimistic",
            "payload_off",
            "payload_on",
            "retain",
            "state_off",
            "state_on",
            "state_topic",
            "value_template",
        ],
        categories: &["config", "diagnostic"],
        device_classes: &["outlet", "switch"],
        entity: true,
    },
    Platform {
        name: "event",
        required: &["event_types", "state_topic"],
        optional: &["device_class", "value_template"],
        categories: &["diagnostic"],
        device_classes: &["button", "doorbell", "motion"],
        entity: true,
    },
    Platform {
        name: "device_automation",
        required: &["automation_type", "topic", "type", "subtype"],
        optional: &["payload", "platform", "qos", "value_template"],
        categories: &[],
        device_classes: &[],
        entity: false,
    },
];

/// Every way in which `document`, published under `object_id`, departs from the documentation.
pub(super) fn faults(object_id: &str, document: &Value) -> Vec<String> {
    let mut faults = Faults::default();
    if object_id.is_empty() || !object_id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        faults.say(format!("object id `{object_id}` is not [a-zA-Z0-9_-]+"));
    }
    let root = faults.object("document", document);
    faults.keys("document", &root, ROOT, &["device", "origin", "components"]);
    let device = faults.object("device", &document["device"]);
    faults.keys("device", &device, DEVICE, &["name"]);
    let identified = device.get("identifiers").and_then(Value::as_array).is_some_and(|ids| !ids.is_empty());
    if !identified {
        faults.say("device: no identifiers");
    }
    if let Some(url) = device.get("configuration_url").and_then(Value::as_str)
        && !url.starts_with("http://")
        && !url.starts_with("https://")
    {
        faults.say(format!("configuration_url `{url}` is no http address"));
    }
    let origin = faults.object("origin", &document["origin"]);
    faults.keys("origin", &origin, ORIGIN, &["name"]);
    faults.availability("document", &root);
    let device_name = device.get("name").and_then(Value::as_str).unwrap_or_default();
    for (key, component) in faults.object("components", &document["components"]) {
        faults.component(&key, &component, device_name);
    }
    faults.0
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn say(&mut self, fault: impl Into<String>) {
        self.0.push(fault.into());
    }

    fn object(&mut self, place: &str, value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_else(|| {
            self.say(format!("{place} is no object"));
            Map::new()
        })
    }

    fn keys(&mut self, place: &str, object: &Map<String, Value>, allowed: &[&str], required: &[&str]) {
        for key in object.keys().filter(|key| !allowed.contains(&key.as_str())) {
            self.say(format!("{place}: key `{key}` is not allowed"));
        }
        for key in required.iter().filter(|key| !object.contains_key(**key)) {
            self.say(format!("{place}: key `{key}` is missing"));
        }
    }

    fn availability(&mut self, place: &str, object: &Map<String, Value>) {
        if object.contains_key("availability") && object.contains_key("availability_topic") {
            self.say(format!("{place}: availability and availability_topic exclude each other"));
        }
        let Some(list) = object.get("availability") else { return };
        for entry in list.as_array().into_iter().flatten() {
            let entry = self.object(place, entry);
            let allowed = ["topic", "payload_available", "payload_not_available", "value_template"];
            self.keys(&format!("{place}.availability"), &entry, &allowed, &["topic"]);
        }
        if let Some(mode) = object.get("availability_mode").and_then(Value::as_str)
            && !["all", "any", "latest"].contains(&mode)
        {
            self.say(format!("{place}: availability_mode `{mode}`"));
        }
    }

    fn component(&mut self, key: &str, component: &Value, device_name: &str) {
        let fields = self.object(key, component);
        let name = fields.get("platform").and_then(Value::as_str).unwrap_or_default();
        let Some(platform) = PLATFORMS.iter().find(|platform| platform.name == name) else {
            self.say(format!("{key}: platform `{name}`"));
            return;
        };
        let mut allowed = [platform.required, platform.optional].concat();
        let mut required = platform.required.to_vec();
        if platform.entity {
            allowed.extend(ENTITY);
            required.push("unique_id");
        }
        self.keys(key, &fields, &allowed, &required);
        self.availability(key, &fields);
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        if let Some(category) = text("entity_category").filter(|category| !platform.categories.contains(category)) {
            self.say(format!("{key}: entity_category `{category}` on a {name}"));
        }
        let device_class = text("device_class");
        if let Some(class) = device_class.filter(|class| !platform.device_classes.contains(class)) {
            self.say(format!("{key}: device_class `{class}` on a {name}"));
        }
        if platform.name == "sensor" && fields.contains_key("options") {
            if device_class != Some("enum") {
                self.say(format!("{key}: options without device_class enum"));
            }
            if fields.contains_key("unit_of_measurement") || fields.contains_key("state_class") {
                self.say(format!("{key}: options with a unit or a state class"));
            }
        }
        if device_class == Some("duration")
            && !["d", "h", "min", "s", "ms"].map(Some).contains(&text("unit_of_measurement"))
        {
            self.say(format!("{key}: a duration is counted in d, h, min, s or ms"));
        }
        if platform.name == "number" {
            let number = |name: &str, default: f64| fields.get(name).and_then(Value::as_f64).unwrap_or(default);
            if number("min", 1.0) >= number("max", 100.0) || number("step", 1.0) < 0.001 {
                self.say(format!("{key}: min, max and step do not go together"));
            }
            if !["auto", "box", "slider"].contains(&text("mode").unwrap_or("auto")) {
                self.say(format!("{key}: mode"));
            }
        }
        for name in ["options", "event_types"] {
            let empty = |list: &Value| {
                list.as_array().is_none_or(|words| words.is_empty() || !words.iter().all(Value::is_string))
            };
            if fields.get(name).is_some_and(empty) {
                self.say(format!("{key}: {name} is no list of words"));
            }
        }
        for topic in ["state_topic", "command_topic", "topic"] {
            if text(topic).is_some_and(|topic| topic.is_empty() || topic.contains(['+', '#'])) {
                self.say(format!("{key}: {topic} is no topic"));
            }
        }
        if fields.get("retain").is_some_and(|retain| retain != false) {
            self.say(format!("{key}: commands must not be retained"));
        }
        if let Some(icon) = text("icon").filter(|icon| !icon.starts_with("mdi:")) {
            self.say(format!("{key}: icon `{icon}`"));
        }
        if fields.get("qos").is_some_and(|qos| ![0, 1, 2].iter().any(|level| qos == level)) {
            self.say(format!("{key}: qos"));
        }
        if let Some(entity_id) = text("default_entity_id") {
            let good = entity_id.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')).is_some_and(|rest| {
                !rest.is_empty() && rest.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            });
            if !good {
                self.say(format!("{key}: default_entity_id `{entity_id}`"));
            }
        }
        if let Some(entity) =
            text("name").filter(|name| *name == device_name || name.starts_with(&format!("{device_name} ")))
        {
            self.say(format!("{key}: the name `{entity}` repeats the device's"));
        }
    }
}
