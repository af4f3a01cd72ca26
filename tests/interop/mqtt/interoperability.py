"""The situations of the Eclipse Paho interoperability tests, told anew: ten for MQTT 3.1.1, twenty-seven for MQTT 5.

`interoperability.py` runs all of them at once, each with topics and client ids of its own. `interoperability.py plain` runs one after
the other with the bare topics, as the original does. The hub needs `config/paho.toml`.
"""

import os
import sys
import threading
import time
import traceback

from wire import DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, SUBACK, Client, Closed, Message

ADDRESS = ("127.0.0.1", int(os.environ["MQTT_PORT"]))
NO_LOCAL, AS_PUBLISHED, IF_NEW, NEVER = 4, 8, 16, 32
FORBIDDEN = "test/nosubscribe"


def wait(what, look, limit=5.0):
    until = time.monotonic() + limit
    while not look():
        assert time.monotonic() < until, f"{what}: not within {limit} s"
        time.sleep(0.01)


def quiet(seconds=0.5):
    """Long enough for something that must not come."""
    time.sleep(seconds)


class Case:
    def __init__(self, name, v5, plain):
        self.v5, self.plain = v5, plain
        prefix = "" if plain else f"{name}{5 if v5 else 3}/"
        self.prefix = prefix
        self.lamp, self.kitchen_lamp, self.hall_door, self.kitchen_door, self.slash = (
            prefix + topic for topic in ("kitchen", "kitchen/lamp", "hall/door", "kitchen/door", "/kitchen")
        )
        self.two_levels, self.below, self.one_below = (prefix + f for f in ("+/+", "kitchen/#", "kitchen/+"))
        ids = ("first", "second") if plain else (f"{name} first {v5}", f"{name} second {v5}")
        self.clients = []
        self.a, self.b = self.client(ids[0]), self.client(ids[1])

    def client(self, client_id, listens=True):
        client = Client(ADDRESS, client_id, self.v5, listens)
        self.clients.append(client)
        return client

    def lasting(self, client, clean):
        """A connection whose session outlives it."""
        if self.v5:
            return client.connect(clean=clean, session_expiry=99999)
        return client.connect(clean=False)

    def subscribed(self, client, filters, options, **given):
        number = client.subscribe(filters, options, **given)
        wait("SUBACK", lambda: any(one[0] == number for one in client.subacks))
        return next(one[1] for one in client.subacks if one[0] == number)

    def heard(self, client, count, limit=5.0):
        wait(f"{count} messages, not {client.messages}", lambda: len(client.messages) >= count, limit)
        quiet(0.2)
        assert len(client.messages) == count, client.messages
        return client.messages


def basic(case):
    a = case.a
    assert a.connect().reason == 0
    a.disconnect()
    a.connect()
    # As the original: nothing waits for the SUBACK.
    a.subscribe([case.lamp], [2])
    for qos in range(3):
        a.publish(case.lamp, f"qos {qos}", qos)
    case.heard(a, 3)
    a.disconnect()
    a.connect()
    a.connect(same_socket=True)
    wait("a second CONNECT ends the connection", lambda: not a.thread.is_alive())
    try:
        assert a.connect(protocol="hj").reason != 0, "another protocol's name is taken"
    except (Closed, OSError):
        pass


def retained(case):
    a, given = case.a, {"user": [("a", "2"), ("c", "3")]} if case.v5 else {}
    a.connect()
    for qos, topic in enumerate((case.kitchen_lamp, case.hall_door, case.kitchen_door)):
        a.publish(topic, f"qos {qos}", qos, True, **given)
    a.settled()
    a.subscribe([case.two_levels], [2])
    messages = case.heard(a, 3)
    assert sorted(m.qos for m in messages) == [0, 1, 2] and all(m.retain for m in messages), messages
    assert not case.v5 or all(m.properties["user"] == given["user"] for m in messages), messages
    a.disconnect()
    a.forget()
    a.connect()
    for qos, topic in enumerate((case.kitchen_lamp, case.hall_door, case.kitchen_door)):
        a.publish(topic, "", qos, True)
    a.settled()
    a.subscribe([case.two_levels], [2])
    quiet()
    assert a.messages == [], a.messages
    a.disconnect()


def offline_queue(case):
    a, b = case.a, case.b
    case.lasting(a, True)
    case.subscribed(a, [case.two_levels], [2])
    a.disconnect()
    b.connect()
    for qos, topic in enumerate((case.kitchen_lamp, case.hall_door, case.kitchen_door)):
        b.publish(topic, f"qos {qos}", qos)
    b.disconnect()
    assert case.lasting(a, False).present
    wait("what waited", lambda: len(a.messages) >= 2)
    quiet(0.2)
    assert [m.payload for m in a.messages if m.qos] == [b"qos 1", b"qos 2"], a.messages
    assert len(a.messages) <= 3, a.messages
    a.disconnect()


def will(case):
    a, b = case.a, case.b
    given = {"will_delay": 0, "user": [("a", "2"), ("c", "3")]}
    a.connect(keep_alive=2, will=(case.hall_door, "gone", 2, False, given))
    b.connect(clean=False)
    case.subscribed(b, [case.hall_door], [2])
    if case.v5:
        # It falls silent.
        case.heard(b, 1, 10)
        assert b.messages[0].properties["user"] == given["user"]
    else:
        a.vanish()
        case.heard(b, 1)
    b.disconnect()


def overlapping(case):
    a = case.a
    a.connect()
    case.subscribed(a, [case.below, case.one_below], [2, 1])
    a.publish(case.kitchen_door, "overlap", 2)
    wait("a message", lambda: a.messages)
    quiet()
    assert sorted(m.qos for m in a.messages) in ([2], [1, 2]), a.messages
    a.disconnect()


def keep_alive(case):
    a, b = case.a, case.b
    a.connect(keep_alive=5, will=(case.slash, "silent", 2, False, {}))
    b.connect()
    case.subscribed(b, [case.slash], [2])
    case.heard(b, 1, 15)
    b.disconnect()


def redelivery(case):
    b = case.b
    case.lasting(b, False)
    case.subscribed(b, [case.below], [2])
    b.paused = True
    b.publish(case.kitchen_lamp, "", 1)
    b.publish(case.kitchen_door, "", 2)
    time.sleep(1)
    b.disconnect()
    assert b.messages == []
    b.paused = False
    case.lasting(b, False)
    case.heard(b, 2)
    b.disconnect()


def empty_client_id(case):
    nobody = case.client("")
    if case.v5:
        connack = nobody.connect(clean=False)
        assert connack.reason == 0 and connack.properties["assigned_client_id"], connack.properties
        nobody.disconnect()
    else:
        try:
            assert nobody.connect(clean=False).reason == 2
        except Closed:
            pass
    assert nobody.connect().reason == 0
    nobody.disconnect()


def subscribe_refused(case):
    a = case.a
    a.connect()
    for forbidden in (FORBIDDEN, "nosubscribe"):
        assert case.subscribed(a, [forbidden], [2]) == [0x80]
    a.disconnect()


def dollar(case):
    b = case.b
    b.connect()
    case.subscribed(b, [case.two_levels], [2])
    b.publish("$" + case.kitchen_lamp, "", 1)
    b.settled()
    quiet(0.2)
    assert b.messages == [], b.messages
    b.disconnect()


def unsubscribe(case):
    a, b = case.a, case.b
    b.connect()
    topics = (case.lamp, case.kitchen_lamp, case.hall_door)
    for topic in topics:
        case.subscribed(b, [topic], [2])
    b.unsubscribe([case.lamp])
    wait("UNSUBACK", lambda: b.unsubacks)
    a.connect()
    for topic in topics:
        a.publish(topic, topic, 1)
    case.heard(b, 2)
    a.disconnect()
    b.disconnect()


def session_expiry(case):
    a = case.a

    def again(clean, expiry, present):
        connack = a.connect(clean=clean, session_expiry=expiry)
        assert (connack.reason, connack.present) == (0, present), (expiry, connack.present)

    again(True, 0, False)
    case.subscribed(a, [case.lamp], [2])
    a.disconnect()
    again(False, 0, False)
    a.disconnect()
    again(True, 5, False)
    case.subscribed(a, [case.lamp], [2])
    a.disconnect()
    time.sleep(2)
    again(False, 5, True)
    a.disconnect()
    time.sleep(6)
    again(False, 5, False)
    a.disconnect()
    again(True, 1, False)
    case.subscribed(a, [case.lamp], [2])
    a.disconnect(session_expiry=5)
    time.sleep(3)
    again(False, 1, True)
    a.disconnect(session_expiry=0)
    again(False, 1, False)
    a.disconnect()


def passed_on(case, **given):
    """Properties that reach the subscriber as they were sent, at each quality of service."""
    a = case.a
    a.connect()
    case.subscribed(a, [case.lamp], [2])
    for qos in range(3):
        a.publish(case.lamp, "", qos, **given)
    messages = case.heard(a, 3)
    assert sorted(m.qos for m in messages) == [0, 1, 2]
    for name, value in given.items():
        assert all(m.properties[name] == value for m in messages), messages
    a.disconnect()


def user_properties(case):
    passed_on(case, user=[("a", "2"), ("c", "3")])


def payload_format(case):
    passed_on(case, payload_format=1, content_type="A name")


def message_expiry(case):
    a, b = case.a, case.b
    b.connect(session_expiry=99999)
    case.subscribed(b, [case.lamp], [2])
    b.disconnect(session_expiry=999999999)
    a.connect()
    for expiry in (1, 6):
        for qos in (1, 2):
            a.publish(case.lamp, f"{expiry} {qos}", qos, message_expiry=expiry)
    a.settled()
    time.sleep(3)
    b.connect(clean=False)
    messages = case.heard(b, 2)
    assert all(0 < m.properties["message_expiry"] < 6 for m in messages), messages
    a.disconnect()
    b.disconnect()


def subscribe_options(case):
    a, b = case.a, case.b
    a.connect()
    b.connect()
    case.subscribed(a, [case.lamp], [2 | NO_LOCAL])
    case.subscribed(b, [case.lamp], [2 | NO_LOCAL])
    a.publish(case.lamp, "no local", 1)
    case.heard(b, 1)
    assert a.messages == []
    a.disconnect()
    b.disconnect()

    a.connect()
    case.subscribed(a, [case.lamp], [2 | AS_PUBLISHED])
    a.publish(case.lamp, "plain", 1)
    a.publish(case.lamp, "kept", 1, True)
    assert [m.retain for m in case.heard(a, 2)] == [False, True]
    a.publish(case.lamp, "", 1, True)
    a.disconnect()

    def replayed(option, count):
        a.forget()
        case.subscribed(a, [case.two_levels], [2 | option])
        if count:
            assert sorted(m.qos for m in case.heard(a, count)) == [0, 1, 2]
        else:
            quiet()
            assert a.messages == [], (option, a.messages)

    topics = (case.kitchen_lamp, case.hall_door, case.kitchen_door)
    a.connect()
    for qos, topic in enumerate(topics):
        a.publish(topic, f"qos {qos}", qos, True)
    a.settled()
    replayed(IF_NEW, 3)
    replayed(IF_NEW, 0)
    a.disconnect()
    a.connect()
    replayed(NEVER, 0)
    replayed(NEVER, 0)
    a.disconnect()
    a.connect()
    replayed(0, 3)
    replayed(0, 3)
    for topic in topics:
        a.publish(topic, "", 1, True)
    a.disconnect()


def assigned_client_id(case):
    nobody = case.client("")
    assert nobody.connect().properties["assigned_client_id"]
    nobody.disconnect()


def subscription_ids(case):
    """Overlapping filters: one copy that names both subscriptions, or one copy for each. The hub sends one for each."""
    a, b = case.a, case.b
    a.connect()
    case.subscribed(a, [case.lamp], [2], subscription_id=456789)
    b.connect()
    case.subscribed(b, [case.lamp], [2], subscription_id=2)
    case.subscribed(b, [case.below], [2], subscription_id=3)
    b.publish(case.lamp, "x", 1)
    assert case.heard(a, 1)[0].properties["subscription_id"] == [456789]
    wait("both", lambda: sorted(sum((m.properties["subscription_id"] for m in b.messages), [])) == [2, 3])
    a.disconnect()
    b.disconnect()


def request_response(case):
    a, b = case.a, case.b
    a.connect()
    b.connect()
    case.subscribed(a, [case.lamp], [2 | NO_LOCAL])
    if case.plain:
        # As the original, which does not wait for the second SUBACK: the subscription is nearly always in force in time.
        b.subscribe([case.lamp], [2 | NO_LOCAL])
    else:
        case.subscribed(b, [case.lamp], [2 | NO_LOCAL])
    a.publish(case.lamp, "request", 1, response_topic=case.lamp, correlation=b"334")
    request = case.heard(b, 1)[0].properties
    assert (request["response_topic"], request["correlation"]) == (case.lamp, b"334")
    b.publish(request["response_topic"], "response", 1, **request)
    case.heard(a, 1)
    a.disconnect()
    b.disconnect()


def client_aliases(case):
    a = case.a
    a.connect()
    a.publish(case.lamp, "alias 0", 1, topic_alias=0)
    wait("DISCONNECT", lambda: a.disconnects)
    assert a.disconnects[0] in (0x82, 0x94), a.disconnects
    connack = a.connect(topic_alias_maximum=0, session_expiry=99999)
    assert connack.properties.get("topic_alias_maximum", 0) > 0
    case.subscribed(a, [case.lamp], [2])
    a.publish(case.lamp, "one", 1, topic_alias=1)
    a.publish("", "two", 1, topic_alias=1)
    assert [m.topic for m in case.heard(a, 2)] == [case.lamp] * 2
    a.disconnect()
    a.forget()
    a.connect(clean=False)
    a.publish(case.lamp, "three", 1)
    case.heard(a, 1)
    a.publish("", "four", 1, topic_alias=1)
    wait("DISCONNECT", lambda: a.disconnects)
    assert a.disconnects == [0x94], a.disconnects


def server_aliases(case):
    a = case.a
    for given, allowed in (({"topic_alias_maximum": 1}, True), ({}, False), ({"topic_alias_maximum": 0}, False)):
        a.forget()
        a.connect(**given)
        case.subscribed(a, [case.lamp], [2])
        for qos in range(3):
            a.publish(case.lamp, "x", qos)
        messages = case.heard(a, 3)
        aliases = [m.properties.get("topic_alias") for m in messages]
        if allowed:
            by_place = sorted(messages, key=lambda m: m.name == "")
            assert aliases == [1, 1, 1] and [m.name for m in by_place] == [case.lamp, "", ""], messages
        else:
            assert aliases == [None] * 3, messages
        a.disconnect()


def packet_size(case):
    a = case.a
    most = a.connect().properties.get("maximum_packet_size", 1 << 28)
    if most < 65535:
        a.publish(case.lamp, b"." * most)
        wait("DISCONNECT", lambda: a.disconnects)
        assert a.disconnects == [0x95], a.disconnects
    else:
        a.disconnect()
    a.connect(maximum_packet_size=64)
    case.subscribed(a, [case.lamp], [2])
    a.publish(case.lamp, b"." * 20)
    case.heard(a, 1)
    a.publish(case.lamp, b"." * 64, 1)
    quiet()
    case.heard(a, 1)
    a.disconnect()


def server_keep_alive(case):
    assert case.a.connect(keep_alive=120).properties["server_keep_alive"] == 60
    case.a.disconnect()


def flow_to_client(case):
    a = case.client(case.a.client_id, listens=False)
    a.connect(receive_maximum=2, session_expiry=0)
    a.subscribe([case.lamp], [2])
    assert a.packet()[0] == SUBACK
    for number in range(3):
        a.publish(case.lamp, f"message {number}", 1)
    messages, acknowledged = [], 0
    while len(messages) < 2 or acknowledged < 3:
        kind, flags, body = a.packet()
        assert kind in (PUBLISH, PUBACK), kind
        if kind == PUBACK:
            acknowledged += 1
        else:
            messages.append(Message(flags, body, True))
    assert len(messages) == 2 and all(m.qos == 1 for m in messages), messages
    try:
        raise AssertionError(f"a third message came: {a.packet()}")
    except TimeoutError:
        pass
    a.send(0x40, messages[0].id.to_bytes(2, "big"))
    kind, flags, body = a.packet()
    assert kind == PUBLISH and flags >> 1 & 3 == 1
    for message in (messages[1], Message(flags, body, True)):
        a.send(0x40, message.id.to_bytes(2, "big"))
    a.outgoing = {}
    a.disconnect()


def flow_from_client(case):
    """A client that sends more than the hub takes, and answers what came before the end, hears the reason in the end."""
    a = case.client(case.a.client_id, listens=False)
    most = a.connect().properties.get("receive_maximum", 65535)
    for number in range(most + 1):
        a.publish(case.lamp, f"message {number}", 2)
    while True:
        kind, flags, body = a.packet()
        if kind == DISCONNECT:
            assert body.number(1) == 0x93
            return
        assert kind in (PUBREC, PUBCOMP), kind
        a.take(kind, flags, body)


def will_delay(case):
    a, b = case.a, case.b
    for delay, expiry, least, most in ((3, 5, 3, 5), (5, 0, 0, 2), (5, 2, 2, 4)):
        a.forget()
        b.forget()
        a.connect(session_expiry=expiry, will=(case.lamp, "will", 2, False, {"will_delay": delay}))
        b.connect()
        case.subscribed(b, [case.lamp], [2])
        began = time.monotonic()
        a.vanish()
        assert case.heard(b, 1, 7)[0].payload == b"will"
        took = time.monotonic() - began
        assert least <= took <= most, (delay, expiry, took)
        b.disconnect()


def shared(case):
    a, b = case.a, case.b
    group = f"$share/group/{case.prefix}x"
    for client in (a, b):
        client.connect()
        assert case.subscribed(client, [group, case.lamp], [2, 2]) == [2, 2]
    b.publish(case.lamp, "both", 0)
    case.heard(a, 1)
    case.heard(b, 1)
    b.publish(case.prefix + "x", "one", 0)
    wait("one of them", lambda: len(a.messages) + len(b.messages) >= 3)
    quiet()
    assert len(a.messages) + len(b.messages) == 3
    a.disconnect()
    b.disconnect()


BOTH = [basic, retained, offline_queue, will, overlapping, keep_alive, redelivery, empty_client_id, subscribe_refused, dollar]
ONLY_5 = [
    unsubscribe, session_expiry, user_properties, payload_format, message_expiry, subscribe_options, assigned_client_id,
    subscription_ids, request_response, client_aliases, server_aliases, packet_size, server_keep_alive, flow_to_client,
    flow_from_client, will_delay, shared,
]  # fmt: skip


def main():
    plain = "plain" in sys.argv
    wanted = [word for word in sys.argv[1:] if word != "plain"]
    failed, threads = [], []
    cases = [(v5, story) for v5 in (False, True) for story in BOTH + (ONLY_5 if v5 else [])]
    assert len(cases) == 10 + 27

    def run(v5, story):
        name = story.__name__
        case = Case(name, v5, plain)
        try:
            story(case)
            print("passed", 5 if v5 else "3.1.1", name, flush=True)
        except Exception:
            failed.append((v5, name))
            print("FAILED", 5 if v5 else "3.1.1", name, traceback.format_exc(), flush=True)
        for client in case.clients:
            client.close()

    for v5, story in cases:
        if wanted and story.__name__ not in wanted:
            continue
        threads.append(threading.Thread(target=run, args=(v5, story)))
        threads[-1].start()
        if plain:
            threads[-1].join()
    for thread in threads:
        thread.join()
    for v5, count in ((False, 10), (True, 27)):
        print(f"MQTT {5 if v5 else '3.1.1'}: {count - sum(one[0] == v5 for one in failed)} of {count}")
    sys.exit(1 if failed else 0)


main()
