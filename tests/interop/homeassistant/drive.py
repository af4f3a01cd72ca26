"""Sets up a Home Assistant with an empty configuration by its own onboarding and MQTT config flow, and looks at what it makes of
the hub. Usage: drive.py direct5|direct311|link"""

import asyncio
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import aiohttp

LIMIT = 60
RECIPES = pathlib.Path(__file__).parents[3] / "docs/recipes/homeassistant"
BIN = os.environ["LOCKSTEP_BIN"]
HASS = pathlib.Path(sys.executable).parent / "hass"
CLIENT = "http://127.0.0.1/"
passed = 0


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def check(what, good, seen=None):
    global passed
    if not good:
        raise AssertionError(f"{what}; saw {seen!r}")
    passed += 1
    print(f"  ok  {what}", flush=True)


async def eventually(what, look, limit=LIMIT):
    """Waits until `look` returns something true; says what it saw last where it does not."""
    end, seen = time.monotonic() + limit, None
    while time.monotonic() < end:
        seen = await look()
        if seen and seen is not True and isinstance(seen, tuple):
            good, seen = seen
        else:
            good = seen
        if good:
            check(what, True)
            return seen
        await asyncio.sleep(0.2)
    check(what, False, seen)


class Mqtt:
    """The broker's stock clients, with Home Assistant's eyes."""

    def __init__(self, port):
        self.port = port

    def publish(self, topic, payload, retain=False):
        flags = ["-r"] if retain else []
        empty = ["-n"] if payload is None else ["-m", payload]
        subprocess.run(["mosquitto_pub", "-p", str(self.port), "-q", "1", "-t", topic, *flags, *empty], check=True, timeout=LIMIT)

    def retained(self, pattern, seconds=1):
        command = ["mosquitto_sub", "-p", str(self.port), "-v", "-t", pattern, "-W", str(seconds)]
        out = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT).stdout
        return dict(line.split(" ", 1) for line in out.splitlines() if " " in line)


class Program:
    def __init__(self, command, log):
        self.log = open(log, "ab")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log)

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        self.log.close()


class Hub:
    def __init__(self, folder, link):
        self.folder, self.link, self.mqtt = folder, link, free_port()

    def start(self, rooms):
        config = self.folder / "hub.toml"
        config.write_text("".join(f'[[rooms]]\nid = "{room}"\nname = "{name}"\n' for room, name in rooms.items()))
        command = [BIN, "--config", str(config), "--http", "127.0.0.1:0", "--mqtt", f"127.0.0.1:{self.mqtt}"]
        command += ["--data-dir", str(self.folder / "data"), "--ready-json"]
        if self.link:
            command += ["--set", f"link.far=mqtt://127.0.0.1:{self.link}"]
        self.program = Program(command, self.folder / "hub.log")
        self.http = json.loads(self.program.process.stdout.readline())["http"]

    def stop(self, how=signal.SIGTERM):
        self.program.stop(how)


class Browser:
    """What a page sees, over /ws."""

    def __init__(self, session, hub):
        self.session, self.hub, self.values = session, hub, {}

    async def __aenter__(self):
        self.socket = await self.session.ws_connect(f"http://{self.hub.http}/ws", protocols=["lockstep.v1"])
        await self.socket.send_json({"type": "sub", "filters": ["lockstep/#"], "id": "s"})
        self.reading = asyncio.create_task(self.read())
        return self

    async def __aexit__(self, *_):
        self.reading.cancel()
        await self.socket.close()

    async def read(self):
        async for frame in self.socket:
            frame = json.loads(frame.data)
            for said in frame.get("topics", [frame] if frame["type"] == "msg" else []):
                self.values[said["topic"]] = said.get("payload")

    async def shows(self, what, topic, field, value):
        async def look():
            seen = self.values.get(topic)
            return (isinstance(seen, dict) and seen.get(field) == value), seen

        await eventually(what, look)

    async def press(self):
        await self.socket.send_json({"type": "pub", "topic": "lockstep/main/pomodoro/set", "payload": "press", "ref": "b"})


class HomeAssistant:
    def __init__(self, folder, session):
        self.folder, self.session, self.port = folder, session, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir()
        shutil.copy(RECIPES / "automation.yaml", folder)
        (folder / "configuration.yaml").write_text(
            f"http:\n  server_host: 127.0.0.1\n  server_port: {self.port}\nfrontend:\nconfig:\napi:\nautomation: !include automation.yaml\n"
            # The lamp of the recipe.
            "input_boolean:\n  lamp:\nlight:\n  - platform: template\n    lights:\n      desk_lamp:\n"
            "        value_template: \"{{ is_state('input_boolean.lamp', 'on') }}\"\n"
            "        turn_on: {action: input_boolean.turn_on, target: {entity_id: input_boolean.lamp}}\n"
            "        turn_off: {action: input_boolean.turn_off, target: {entity_id: input_boolean.lamp}}\n"
            "logger:\n  default: warning\n  logs:\n    homeassistant.components.mqtt: info\n"
        )

    async def start(self):
        command = [str(HASS), "-c", str(self.folder), "--log-file", str(self.folder / "ha.log"), "--skip-pip"]
        self.program = Program(command, self.folder / "out.log")

        async def up():
            with contextlib.suppress(aiohttp.ClientError):
                async with self.session.get(f"{self.url}/manifest.json") as answer:
                    return answer.status == 200

        await eventually("Home Assistant answers", up, 180)

    async def post(self, path, **data):
        headers = {"Authorization": f"Bearer {self.token}"} if getattr(self, "token", None) else {}
        async with self.session.post(self.url + path, headers=headers, **data) as answer:
            return await answer.json(content_type=None)

    async def onboard(self):
        user = {"client_id": CLIENT, "name": "Anna", "username": "anna", "password": "correct horse", "language": "en"}
        code = (await self.post("/api/onboarding/users", json=user))["auth_code"]
        form = {"grant_type": "authorization_code", "code": code, "client_id": CLIENT}
        tokens = await self.post("/auth/token", data=form)
        self.token, self.refresh = tokens["access_token"], tokens["refresh_token"]

    async def connect(self):
        form = {"grant_type": "refresh_token", "refresh_token": self.refresh, "client_id": CLIENT}
        self.token = None
        self.token = (await self.post("/auth/token", data=form))["access_token"]
        self.socket = await self.session.ws_connect(f"{self.url}/api/websocket", max_msg_size=0)
        await self.socket.receive_json()
        await self.socket.send_json({"type": "auth", "access_token": self.token})
        assert (await self.socket.receive_json())["type"] == "auth_ok"
        self.number = 0

    async def ask(self, **command):
        self.number += 1
        await self.socket.send_json({"id": self.number, **command})
        while True:
            answer = await asyncio.wait_for(self.socket.receive_json(), LIMIT)
            if answer.get("id") == self.number and answer["type"] == "result":
                if not answer["success"]:
                    raise AssertionError(f"{command}: {answer['error']}")
                return answer["result"]

    async def add_mqtt(self, port, protocol):
        flow = await self.post("/api/config/config_entries/flow", json={"handler": "mqtt", "show_advanced_options": True})
        path = f"/api/config/config_entries/flow/{flow['flow_id']}"
        step = {"broker": "127.0.0.1", "port": port, "advanced_options": True}
        answer = await self.post(path, json=step)
        if answer["type"] == "form":
            step = {"broker": "127.0.0.1", "port": port, "protocol": protocol, "keepalive": 15, "transport": "tcp"}
            step |= {"set_client_cert": False, "set_ca_cert": "off", "advanced_options": True}
            known = {field["name"] for field in answer["data_schema"]}
            answer = await self.post(path, json={name: value for name, value in step.items() if name in known})
        check("the MQTT config flow ends with an entry", answer["type"] == "create_entry", answer)
        return answer["result"]["entry_id"] if isinstance(answer["result"], dict) else answer["result"]

    async def states(self):
        return {state["entity_id"]: state for state in await self.ask(type="get_states")}

    async def entities(self):
        return {e["unique_id"]: e for e in await self.ask(type="config/entity_registry/list") if e["platform"] == "mqtt"}

    async def state(self, unique_id):
        entity = (await self.entities()).get(unique_id)
        state = (await self.states()).get(entity["entity_id"]) if entity else None
        return state["state"] if state else None

    async def call(self, service, unique_id, **data):
        domain, name = service.split(".")
        entity_id = (await self.entities())[unique_id]["entity_id"]
        await self.ask(type="call_service", domain=domain, service=name, service_data=data, target={"entity_id": entity_id})

    async def becomes(self, what, unique_id, wanted, limit=LIMIT):
        async def look():
            seen = await self.state(unique_id)
            return (wanted(seen) if callable(wanted) else seen == wanted), seen

        return await eventually(what, look, limit)

    async def stop(self):
        with contextlib.suppress(Exception):
            await self.socket.close()
        await asyncio.to_thread(self.program.stop)

    def complaints(self):
        words = ("mqtt", "lockstep", "discovery")
        log = (self.folder / "ha.log").read_text().splitlines()
        levels = (" WARNING ", " ERROR ", " CRITICAL ")
        found = [line for line in log if any(level in line for level in levels) and any(word in line.lower() for word in words)]
        # That a broker that was taken away on purpose is away is no complaint about a document.
        return [line for line in found if not any(ours in line for ours in ("Disconnected from MQTT", "Failed to connect to MQTT", "Error returned from MQTT server"))]


def expected(documents):
    """Every entity that the documents promise: unique id -> (platform, enabled)."""
    found = {}
    for document in documents.values():
        for component in json.loads(document)["components"].values():
            if "unique_id" in component:
                found[component["unique_id"]] = (component["platform"], component.get("enabled_by_default", True))
    return found


async def story(way, folder):
    linked = way == "link"
    broker, broker_port = None, free_port()

    def start_broker():
        config = folder / "mosquitto.conf"
        config.write_text(f"listener {broker_port} 127.0.0.1\nallow_anonymous true\n")
        return Program(["mosquitto", "-c", str(config)], folder / "mosquitto.log")

    if linked:
        broker = start_broker()
    hub = Hub(folder, broker_port if linked else None)
    mqtt = Mqtt(broker_port if linked else hub.mqtt)
    rooms = {"main": "Main", "aula": "Große Aula"}
    hub.start(rooms)
    session = aiohttp.ClientSession()
    ha = HomeAssistant(folder / "ha", session)
    try:
        await ha.start()
        await ha.onboard()
        await ha.connect()
        await ha.add_mqtt(mqtt.port, {"direct311": "3.1.1"}.get(way, "5"))

        async def documents():
            found = mqtt.retained("homeassistant/device/+/config")
            return len(found) >= 3, found

        found = await eventually("the documents are retained", documents)
        hub_id = next(topic for topic in found if "_room_" not in topic and "_device_" not in topic).split("/")[2]
        room = f"{hub_id}.room.main"
        wanted = expected(found)
        check("there are entities to expect", len(wanted) > 40, len(wanted))

        async def all_there():
            entities = await ha.entities()
            missing = [unique_id for unique_id in wanted if unique_id not in entities]
            return not missing, missing

        await eventually(f"all {len(wanted)} entities appear", all_there)
        entities = await ha.entities()
        disabled = {unique_id for unique_id, entity in entities.items() if entity["disabled_by"]}
        check("only the seconds left are disabled", disabled == {u for u, (_, enabled) in wanted.items() if not enabled}, disabled)

        async def all_known():
            states = await ha.states()
            # No event has happened yet, no button was pressed, and an idle timer ends never.
            shown = {u: states.get(e["entity_id"], {}).get("state") for u, e in entities.items() if not e["disabled_by"]}
            lost = {u: s for u, s in shown.items() if s in (None, "unavailable") or (s == "unknown" and wanted[u][0] not in ("button", "event") and not u.endswith(".ends_at"))}
            return not lost, lost

        await eventually("all of them have a state", all_known)
        for unique, state in [("pomodoro.phase", "idle"), ("pomodoro.message", "Press Me!"), ("pomodoro.paused", "off"),
                              ("pomodoro.work_duration", "1500"), ("pomodoro.auto_start", "off"), ("pomodoro.press_while_running", "pause"),
                              ("pomodoro.cycle", "0"), ("slider1.value", "0")]:
            await ha.becomes(f"{unique} is {state}", f"{room}.{unique}", lambda seen, state=state: seen in (state, f"{state}.0"))
        await ha.becomes("the hub is connected", f"{hub_id}.hub.availability", "on")

        devices = {d["identifiers"][0][1]: d for d in await ha.ask(type="config/device_registry/list") if d["identifiers"] and d["identifiers"][0][0] == "mqtt"}
        areas = {a["area_id"]: a["name"] for a in await ha.ask(type="config/area_registry/list")}
        main = devices[room]
        check("the room is a device behind the hub", main["via_device_id"] == devices[hub_id]["id"], main)
        check("in an area of its name", areas.get(devices[f"{hub_id}.room.aula"]["area_id"]) == "Große Aula", areas)
        check("entity ids are predictable", entities[f"{room}.pomodoro.phase"]["entity_id"] == "sensor.main_pomodoro_phase", entities[f"{room}.pomodoro.phase"])

        async with Browser(session, hub) as browser:
            state = "lockstep/main/pomodoro/state"
            await ha.call("number.set_value", f"{room}.slider1.value", value=42)
            await browser.shows("a slider moved in Home Assistant moves in the browser", "lockstep/main/slider1/state", "value", 42)
            await ha.call("button.press", f"{room}.pomodoro.press")
            await browser.shows("a button pressed in Home Assistant starts the timer", state, "phase", "work")
            await ha.becomes("and Home Assistant shows it", f"{room}.pomodoro.phase", "work")
            ends = await ha.becomes("with the moment it ends", f"{room}.pomodoro.ends_at", lambda seen: seen and seen.startswith("20") and seen.endswith("+00:00"))
            await ha.call("number.set_value", f"{room}.pomodoro.work_duration", value=1800)
            await browser.shows("a duration set in Home Assistant", state, "work_duration", 1800)
            await ha.call("switch.turn_on", f"{room}.pomodoro.auto_start")
            await browser.shows("a switch", state, "auto_start", True)
            await ha.call("select.select_option", f"{room}.pomodoro.press_while_running", option="ignore")
            await browser.shows("and a select", state, "press_while_running", "ignore")
            check("none of them ended the running phase", browser.values[state]["phase"] == "work", browser.values[state])
            check("nor moved its end", await ha.state(f"{room}.pomodoro.ends_at") == ends)
            await ha.call("select.select_option", f"{room}.pomodoro.press_while_running", option="pause")
            await ha.call("switch.turn_off", f"{room}.pomodoro.auto_start")
            await browser.shows("settings go back", state, "auto_start", False)
            await ha.call("button.press", f"{room}.pomodoro.skip")
            await ha.becomes("a skip rings", f"{room}.pomodoro.phase", "break_alarm")
            await ha.becomes("the event entity tells of it", f"{room}.pomodoro.event", lambda seen: seen not in (None, "unknown", "unavailable"))

            async def lamp(wanted):
                async def look():
                    seen = (await ha.states()).get("light.desk_lamp", {}).get("state")
                    return seen == wanted, seen

                await eventually(f"the recipe's lamp is {wanted}", look)

            for wanted in ("on", "off", "on"):
                await lamp(wanted)
            states = await ha.states()
            shown = re.findall(r"(?:entity: |- )((?:sensor|button|number)\.\w+)", (RECIPES / "card.yaml").read_text())
            missing = [entity_id for entity_id in shown if entity_id not in states]
            check("everything on the recipe's card exists", len(shown) >= 8 and not missing, missing or shown)
            await browser.press()
            await lamp("off")
            await ha.becomes("a press in the browser is seen in Home Assistant", f"{room}.pomodoro.phase", "short_break")

        mqtt.publish("lockstep/device/desk/info", json.dumps({"name": "Desk", "room": "main"}), retain=True)
        mqtt.publish("lockstep/device/desk/availability", "online", retain=True)
        box = f"{hub_id}.device.desk"
        await ha.becomes("a box appears as connected", f"{box}.availability", "on")
        await ha.becomes("with a button that nobody pressed", f"{box}.event", "unknown")
        mqtt.publish("lockstep/device/desk/event", json.dumps({"event_type": "short_press"}))
        await ha.becomes("a press of it is an event", f"{box}.event", lambda seen: seen and seen.startswith("20"))
        device = next(d for d in await ha.ask(type="config/device_registry/list") if ["mqtt", box] in d["identifiers"])

        async def triggers():
            found = await ha.ask(type="device_automation/trigger/list", device_id=device["id"])
            kinds = {t["type"] for t in found if t["domain"] == "mqtt"}
            return kinds == {"button_short_press", "button_double_press", "button_long_press"}, kinds

        await eventually("and there are device triggers", triggers)
        mqtt.publish("lockstep/device/desk/availability", "offline", retain=True)
        await ha.becomes("a box that is off is disconnected, not unavailable", f"{box}.availability", "off")
        await ha.becomes("while its button is unavailable", f"{box}.event", "unavailable")

        async def has_device(unique_id):
            devices = await ha.ask(type="config/device_registry/list")
            return any(["mqtt", unique_id] in d["identifiers"] for d in devices)

        async with session.post(f"http://{hub.http}/api/v1/rooms", json={"id": "labor", "name": "Labor"}) as answer:
            check("a room is made through the API", answer.status in (200, 201), answer.status)
        await ha.becomes("it is in Home Assistant", f"{hub_id}.room.labor.pomodoro.phase", "idle")
        async with session.patch(f"http://{hub.http}/api/v1/rooms/labor", json={"name": "Studio"}) as answer:
            check("it gets another name", answer.status == 200, answer.status)

        async def renamed():
            devices = await ha.ask(type="config/device_registry/list")
            names = [d["name"] for d in devices if ["mqtt", f"{hub_id}.room.labor"] in d["identifiers"]]
            return names == ["Studio"], names

        await eventually("which Home Assistant takes over", renamed)
        async with session.delete(f"http://{hub.http}/api/v1/rooms/labor") as answer:
            check("it is removed", answer.status in (200, 204), answer.status)

        async def labor_gone():
            return not await has_device(f"{hub_id}.room.labor")

        await eventually("and its device with it", labor_gone)

        await asyncio.to_thread(hub.stop, signal.SIGTERM)
        await ha.becomes("a hub that is off makes the room unavailable", f"{room}.pomodoro.phase", "unavailable", 90)
        if linked:
            await ha.becomes("and itself disconnected", f"{hub_id}.hub.availability", "off")
        hub.start({"main": "Main"})
        await ha.becomes("a hub that is back is back", f"{room}.pomodoro.phase", "short_break", 90)
        await ha.becomes("with its slider", f"{room}.slider1.value", lambda seen: seen in ("42", "42.0"))

        async def room_gone():
            devices = [d["identifiers"][0][1] for d in await ha.ask(type="config/device_registry/list") if d["identifiers"]]
            return f"{hub_id}.room.aula" not in devices and room in devices, devices

        await eventually("the room that is gone took its device along", room_gone)
        await asyncio.to_thread(hub.stop, signal.SIGKILL)
        hub.start({"main": "Main"})
        await ha.becomes("a hub that was killed is back", f"{room}.pomodoro.phase", "short_break", 90)
        if linked:
            await asyncio.to_thread(broker.stop)
            await ha.becomes("without the broker everything is unavailable", f"{room}.pomodoro.phase", "unavailable")
            broker = start_broker()
            await ha.becomes("an empty broker is filled again", f"{room}.pomodoro.phase", "short_break", 120)

        await ha.stop()
        await ha.start()
        await ha.connect()
        await ha.becomes("Home Assistant started anew shows everything again", f"{room}.pomodoro.phase", "short_break", 120)
        await ha.becomes("the slider too", f"{room}.slider1.value", lambda seen: seen in ("42", "42.0"))
        await ha.call("button.press", f"{room}.pomodoro.reset")
        await ha.becomes("and moves it", f"{room}.pomodoro.phase", "idle")
        check("its log has no complaint about our documents", not ha.complaints(), ha.complaints())
    finally:
        await ha.stop()
        await session.close()
        hub.stop()
        if broker:
            broker.stop()


def main():
    way = sys.argv[1]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lockstep-ha-"))
    print(f"homeassistant {way}", flush=True)
    try:
        asyncio.run(story(way, folder))
    except BaseException as e:
        for name in ("hub.log", "ha/ha.log", "ha/out.log"):
            with contextlib.suppress(OSError):
                print(f"-- {name}", *(folder / name).read_text().splitlines()[-25:], sep="\n", flush=True)
        print(f"homeassistant {way}: {passed} passed, 1 failed: {e}")
        if not isinstance(e, (AssertionError, Exception)):
            raise
        return 1
    finally:
        if os.environ.get("KEEP"):
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"homeassistant {way}: {passed} passed, 0 failed")
    return 0


sys.exit(main())
