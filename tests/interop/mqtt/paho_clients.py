"""paho-mqtt: both versions, three qualities of service, sessions, and what version 5 adds."""

import os
import queue
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PORT = int(os.environ["MQTT_PORT"])
LIMIT = 10


class Client:
    def __init__(self, client_id, version, clean=True, expiry=None, will=None, transport="tcp"):
        clean_args = {"clean_session": clean} if version == mqtt.MQTTv311 else {}
        self.inner = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=version, transport=transport, **clean_args
        )
        self.connected, self.messages, self.subscribed, self.published = (queue.Queue() for _ in range(4))
        self.inner.on_connect = lambda c, u, flags, reason, p: self.connected.put((flags.session_present, str(reason)))
        self.inner.on_message = lambda c, u, message: self.messages.put(message)
        self.inner.on_subscribe = lambda c, u, mid, reasons, p: self.subscribed.put([r.value for r in reasons])
        self.inner.on_publish = lambda c, u, mid, reason, p: self.published.put(reason)
        if will:
            self.inner.will_set(*will)
        more = {}
        if version == mqtt.MQTTv5:
            more["clean_start"] = clean
            if expiry is not None:
                more["properties"] = Properties(PacketTypes.CONNECT)
                more["properties"].SessionExpiryInterval = expiry
        port = PORT
        if transport == "websockets":
            host, port = os.environ["HTTP"].rsplit(":", 1)
            self.inner.ws_set_options(path="/mqtt")
        self.inner.connect("127.0.0.1", int(port), 30, **more)
        self.inner.loop_start()
        self.present, reason = self.connected.get(timeout=LIMIT)
        assert reason == "Success", reason

    def subscribe(self, topic, qos):
        self.inner.subscribe(topic, qos)
        return self.subscribed.get(timeout=LIMIT)

    def publish(self, topic, payload, qos, retain=False, properties=None):
        self.inner.publish(topic, payload, qos, retain, properties)
        return self.published.get(timeout=LIMIT)

    def message(self):
        return self.messages.get(timeout=LIMIT)

    def close(self):
        self.inner.disconnect()
        self.inner.loop_stop()


def main():
    for version in (mqtt.MQTTv311, mqtt.MQTTv5):
        for transport in ("tcp", "websockets"):
            for qos in (0, 1, 2):
                reader = Client("paho reader", version, transport=transport)
                assert reader.subscribe("paho/дім/#", qos) == [qos]
                writer = Client("paho writer", version, transport=transport)
                for n in range(200):
                    writer.publish("paho/дім/x", str(n), qos)
                for n in range(200):
                    message = reader.message()
                    assert (message.payload, message.qos) == (str(n).encode(), qos), (message.payload, n)
                reader.close()
                writer.close()
        # A session that is kept.
        expiry = 60 if version == mqtt.MQTTv5 else None
        away = Client("paho away", version, clean=False, expiry=expiry)
        away.subscribe("paho/away", 2)
        away.close()
        writer = Client("paho writer", version)
        for n in range(50):
            writer.publish("paho/away", str(n), 2)
        away = Client("paho away", version, clean=False, expiry=expiry)
        assert away.present
        assert [away.message().payload for _ in range(50)] == [str(n).encode() for n in range(50)]
        away.close()
        # A will.
        witness = Client("paho witness", version)
        witness.subscribe("paho/will", 1)
        dying = Client("paho dying", version, will=("paho/will", "gone", 1))
        dying.inner._sock_close()
        assert witness.message().payload == b"gone"
        dying.inner.loop_stop()
        witness.close()
        writer.close()
    # What version 5 adds.
    reader, writer = Client("paho reader", mqtt.MQTTv5), Client("paho writer", mqtt.MQTTv5)
    reader.subscribe("paho/v5", 1)
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = [("a", "1"), ("b", "2")]
    properties.ContentType = "text/plain"
    properties.ResponseTopic = "paho/answers"
    properties.CorrelationData = b"42"
    properties.MessageExpiryInterval = 60
    writer.publish("paho/v5", "x", 1, properties=properties)
    got = reader.message().properties
    assert got.UserProperty == [("a", "1"), ("b", "2")] and got.ContentType == "text/plain"
    assert got.ResponseTopic == "paho/answers" and got.CorrelationData == b"42"
    assert 0 < got.MessageExpiryInterval <= 60
    assert writer.publish("lockstep/nowhere/x/set", "1", 1).value == 0x90
    reader.close()
    writer.close()
    print("paho-mqtt works")


main()
sys.exit(0)
