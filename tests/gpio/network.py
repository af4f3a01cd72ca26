"""tests/gpio/network.py HUB BOX FOLDER: `--hub auto` between two network namespaces that a cable joins, without and with TLS."""
import json
import os
import queue
import subprocess
import sys
import threading
import time

from steps import done, step

hub_program, box_program, folder = sys.argv[1:]
LIMIT_S = 30
HUB_AT, BOX_AT = "10.177.7.1", "10.177.7.2"
spaces = {"hub": f"lockstep-hub-{os.getpid()}", "box": f"lockstep-box-{os.getpid()}"}
children = []


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def start(space, *command, **more):
    child = subprocess.Popen(["ip", "netns", "exec", spaces[space], *command], text=True, stdout=subprocess.PIPE, **more)
    children.append(child)
    return child


class Box:
    """A headless box that looks for its hub."""

    def __init__(self, *arguments):
        self.child = start("box", box_program, "--board", "headless", "--id", "searcher", "--hub", "auto", *arguments,
                           stdin=subprocess.PIPE)
        self.lines = queue.Queue()
        self.seen = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.put(json.loads(line))

    def say(self, words):
        self.child.stdin.write(words + "\n")
        self.child.stdin.flush()

    def wait_for(self, what, wanted):
        deadline = time.monotonic() + LIMIT_S
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{what} did not come; seen: {self.seen}") from None
            self.seen.append(line)
            if wanted(line):
                return line

    def online(self):
        self.wait_for("online", lambda line: line.get("connection") == "online")

    def quit(self):
        self.say("quit")
        assert self.child.wait(LIMIT_S) == 0


def start_hub(*more):
    child = start("hub", hub_program, "--http", "127.0.0.1:0", "--ready-json", "--data-dir", data,
                  "--set", "security.anonymous=member", *more, stderr=open(os.path.join(folder, "network-hub.log"), "ab"))
    assert json.loads(child.stdout.readline())["ready"] is True
    return child


def stop(child):
    child.terminate()
    child.wait(LIMIT_S)


data = os.path.join(folder, "network-data")
try:
    for space in spaces.values():
        ip("netns", "add", space)
        ip("-n", space, "link", "set", "lo", "up")
    ip("link", "add", "cable", "netns", spaces["hub"], "type", "veth", "peer", "name", "cable", "netns", spaces["box"])
    for space, address in (("hub", HUB_AT), ("box", BOX_AT)):
        ip("-n", spaces[space], "addr", "add", f"{address}/24", "dev", "cable")
        ip("-n", spaces[space], "link", "set", "cable", "up")

    @step("without a hub the box says so, and finds the one that comes later")
    def _():
        global hub
        box = Box()
        box.wait_for("the reason", lambda line: "no hub answered by mDNS" in line.get("reason", ""))
        hub = start_hub("--mqtt", f"{HUB_AT}:0")
        box.online()
        box.say("short\nwait work")
        box.wait_for("work", lambda line: line.get("phase") == "work")
        # The hub is another one now, at another port, which only mDNS knows.
        stop(hub)
        box.wait_for("no hub", lambda line: line.get("light") == "no_hub")
        hub = start_hub("--mqtt", f"{HUB_AT}:0")
        box.online()
        box.quit()
        stop(hub)

    @step("with a ca_file the box looks for a hub with TLS, by its name")
    def _():
        made = subprocess.run(["ip", "netns", "exec", spaces["hub"], hub_program, "tls", "init", "--data-dir", data],
                              check=True, text=True, stdout=subprocess.PIPE).stdout
        assert "ca.pem" in made, made
        hub = start_hub("--mqtt", "127.0.0.1:0", "--set", f'mqtt.listen_tls=["{HUB_AT}:0"]')
        box = Box("--ca-file", os.path.join(data, "tls", "ca.pem"))
        box.online()
        box.quit()
        stop(hub)
finally:
    for child in children:
        if child.poll() is None:
            child.kill()
            child.wait()
    for space in spaces.values():
        subprocess.run(["ip", "netns", "delete", space], check=False)

print(f"{len(done)} passed, 0 failed")
