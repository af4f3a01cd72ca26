# Shows what the Pomodoro says, and presses it. On the board once: import mip; mip.install("umqtt.simple")
import json, sys, time
from umqtt.simple import MQTTClient

HUB, PORT, ID, ROOM = "192.168.1.10", 1883, "pico", "main"
if len(sys.argv) > 2:
    HUB, PORT = sys.argv[1], int(sys.argv[2])
POMODORO, DEVICE = "lockstep/%s/pomodoro/" % ROOM, "lockstep/device/%s/" % ID

client = MQTTClient(ID, HUB, PORT)
client.set_callback(lambda topic, payload: print(payload.decode()))
client.connect()
client.publish(DEVICE + "info", json.dumps({"name": "Pico", "room": ROOM, "model": "MicroPython"}), True, 1)
client.publish(DEVICE + "availability", "online", True, 1)  # umqtt.simple of today has set_last_will() for "offline"
client.subscribe(POMODORO + "message", 1)
client.publish(POMODORO + "set", "press", False, 1)  # on a board: when the pin says so
for _ in range(20):
    client.check_msg()
    time.sleep_ms(100)
client.publish(DEVICE + "availability", "offline", True, 1)
client.disconnect()
