"""openHAB's files and Tasmota's commands: their syntax, that what they read exists at the hub, and that the hub takes what they send.

Usage: texts.py RECIPES PORT"""

import json
import pathlib
import re
import subprocess
import sys

recipes, port = pathlib.Path(sys.argv[1]), sys.argv[2]
faults = []


def fault(text):
    faults.append(text)
    print(f"  {text}")


def client(program, *arguments):
    return subprocess.run([program, "-p", port, *arguments], capture_output=True, text=True, timeout=30).stdout.strip()


def retained(topic):
    return client("mosquitto_sub", "-t", topic, "-C", "1", "-W", "3")


def accepted(topic, payload):
    """Sends a command as an MQTT 5 request does; a rejection of the payload would come on `rejected`."""
    reference = json.dumps(payload)
    said = client("mosquitto_rr", "-V", "5", "-t", topic, "-e", topic.rsplit("/", 1)[0] + "/rejected", "-m", payload, "-W", "1")
    refused = json.loads(said)["code"] if said.startswith("{") else None
    # In a given phase a verb may have nothing to do; it must not be one that is not known.
    if refused in ("malformed", "unknown_command", "out_of_range"):
        fault(f"{topic} does not take {reference}: {refused}")


TOKEN = re.compile(r'\s*(?://[^\n]*|("(?:\\.|[^"\\])*")|([A-Za-z0-9_:.\-]+)|([{}\[\]=,:<>()]))')


def tokens(text):
    at, found = 0, []
    text = text.rstrip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise SyntaxError(f"openHAB: cannot read {text[at:at + 40]!r}")
        at = match.end()
        if match.group(0).strip() and not match.group(0).strip().startswith("//"):
            found.append(next(group for group in match.groups() if group))
    return found


class Things:
    """The part of openHAB's grammar of things that has bridges, things, channels and their parameters."""

    def __init__(self, text):
        self.tokens, self.at, self.channels = tokens(text), 0, {}
        while self.at < len(self.tokens):
            self.bridge()

    def take(self, *wanted):
        token = self.tokens[self.at] if self.at < len(self.tokens) else None
        if wanted and token not in wanted:
            raise SyntaxError(f"openHAB: {token!r} where one of {wanted} belongs")
        self.at += 1
        return token

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def parameters(self):
        values = {}
        if self.peek() != "[":
            return values
        self.take("[")
        while True:
            name = self.take()
            self.take("=")
            value = self.take()
            values[name] = json.loads(value) if value.startswith('"') else value
            if self.take(",", "]") == "]":
                return values

    def label(self):
        return self.take() if (self.peek() or "").startswith('"') else None

    def bridge(self):
        self.take("Bridge")
        uid = self.take()
        if not re.fullmatch(r"mqtt:broker:\w+", uid):
            fault(f"openHAB: {uid} is no broker")
        self.label()
        values = self.parameters()
        if "host" not in values:
            fault("openHAB: the broker has no host")
        self.take("{")
        while self.peek() != "}":
            self.thing(uid.rsplit(":", 1)[1])
        self.take("}")

    def thing(self, broker):
        self.take("Thing")
        self.take("topic")
        name = self.take()
        self.label()
        self.topics(self.parameters())
        self.take("{")
        self.take("Channels")
        self.take(":")
        while self.peek() == "Type":
            self.take("Type")
            kind = self.take("string", "number", "dimmer", "switch", "contact", "datetime")
            self.take(":")
            channel = self.take()
            self.label()
            values = self.parameters()
            if not {"stateTopic", "commandTopic"} & values.keys():
                fault(f"openHAB: the channel {channel} has no topic")
            self.topics(values)
            self.commands(values)
            self.channels[f"mqtt:topic:{broker}:{name}:{channel}"] = kind
        self.take("}")

    def topics(self, values):
        for name in ("stateTopic", "availabilityTopic"):
            if name in values:
                said = retained(values[name])
                if not said:
                    fault(f"openHAB: there is nothing on {values[name]}")
                path = re.fullmatch(r"JSONPATH:\$\.(\w+)", values.get("transformationPattern", ""))
                if path and path.group(1) not in json.loads(said):
                    fault(f"openHAB: {values[name]} has no {path.group(1)}")

    def commands(self, values):
        topic = values.get("commandTopic")
        if topic and "min" in values:
            for value in (values["min"], values["max"]):
                accepted(topic, values.get("formatBeforePublish", "%s") % value)
        elif topic:
            accepted(topic, "press")


# The lexer keeps `a:b` in one piece, which a channel's `string : id` is not.
source = re.sub(r"(Type \w+) : ", r"\1 : ", (recipes / "openhab/lockstep.things").read_text()).replace("Channels:", "Channels : ")
channels = Things(source).channels
ITEM = re.compile(r'^(String|Number|Dimmer|Switch)\s+(\w+)\s+"[^"]*"(?:\s+<\w+>)?\s+\{ channel="([\w:]+)"(?:, \w+="\w+")* \}$')
KINDS = {"String": "string", "Number": "number", "Dimmer": "dimmer", "Switch": "switch"}
linked = set()
for line in filter(None, (recipes / "openhab/lockstep.items").read_text().splitlines()):
    item = ITEM.match(line)
    if not item:
        fault(f"openHAB: no item: {line}")
    elif channels.get(item.group(3)) != KINDS[item.group(1)]:
        fault(f"openHAB: {item.group(2)} does not fit {item.group(3)}")
    else:
        linked.add(item.group(3))
if linked != channels.keys():
    fault(f"openHAB: no item for {channels.keys() - linked}")

sent = 0
for line in (recipes / "tasmota/commands.txt").read_text().splitlines():
    if re.match(r"Rule\d ON ", line):
        body = line.split(" ", 1)[1]
        if body.count("ON ") - body.count("ENDON ") != body.count(" DO ") or not body.endswith("ENDON"):
            fault(f"Tasmota: ON, DO and ENDON do not go together: {line}")
        for topic, payload in re.findall(r"Publish (\S+) (\S+)", body):
            accepted(topic, payload.replace("%value%", "40"))
            sent += 1
        for topic in re.findall(r"Subscribe \w+, (\S+)", body):
            if not retained(topic):
                fault(f"Tasmota: there is nothing on {topic}")
if sent < 4:
    fault(f"Tasmota: only {sent} publishes were found")
sys.exit(bool(faults))
