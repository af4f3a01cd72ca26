# Shows what the Pomodoro says, and presses it when the button is pushed. On the board once: import mip; mip.install("umqtt.simple")
import json, sys, time
from umqtt.simple import MQTTClient

HUB, PORT, ID, ROOM = "192.168.1.10", 1883, "pico", "main"
if len(sys.argv) > 2:
    HUB, PORT = sys.argv[1], int(sys.argv[2])
DEVICE = "lockstep/device/%s/" % ID

client = MQTTClient(ID, HUB, PORT, keepalive=30)
client.set_last_will(DEVICE + "availability", "offline", retain=True, qos=1)
client.set_callback(lambda topic, payload: print(payload.decode()))
client.connect()
client.publish(DEVICE + "info", json.dumps({"name": "Pico", "room": ROOM, "model": "MicroPython"}), retain=True, qos=1)
client.publish(DEVICE + "availability", "online", retain=True, qos=1)
client.subscribe("lockstep/%s/pomodoro/message" % ROOM, qos=1)
client.publish("lockstep/%s/pomodoro/set" % ROOM, "press", qos=1)  # on a board: when the pin says so
for _ in range(20):
    client.check_msg()
    time.sleep_ms(100)
client.disconnect()
