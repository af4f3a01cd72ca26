"""A QEMU guest with a simulated GPIO header, and the hub and the network around it."""
import json
import os
import socket
import subprocess
import threading
import time

LIMIT_S = 30


def wait_for(what, condition, limit_s=LIMIT_S):
    """Waits until condition() is true and returns it; tells what it last was."""
    deadline = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {limit_s} s; last seen: {value!r}")


class Guest:
    """The guest, driven through its serial line."""

    MACHINES = {
        "amd64": (["qemu-system-x86_64", "-M", "pc", "-cpu", "qemu64"], "ttyS0"),
        "arm64": (["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72"], "ttyAMA0"),
    }

    def __init__(self, arch, kernel, initrd, log):
        program, console = self.MACHINES[arch]
        ours, theirs = socket.socketpair()
        self.log = open(log, "wb")
        self.buffer = b""
        self.line = ours
        self.line.settimeout(1)
        os.set_inheritable(theirs.fileno(), True)
        self.process = subprocess.Popen(
            program
            + ["-accel", "tcg", "-m", "256", "-smp", "1", "-nodefaults", "-no-reboot", "-display", "none",
               "-chardev", f"socket,id=line,fd={theirs.fileno()}", "-serial", "chardev:line",
               "-kernel", kernel, "-initrd", initrd, "-append", f"console={console} panic=-1 quiet loglevel=1",
               "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile="],
            stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        theirs.close()
        self.ready = self._until("GUEST ready", 120)

    def _until(self, mark, limit_s):
        """The text up to the line with mark, which is included."""
        deadline = time.monotonic() + limit_s
        lines = []
        while True:
            while b"\n" in self.buffer:
                line, self.buffer = self.buffer.split(b"\n", 1)
                text = line.decode(errors="replace").rstrip("\r")
                lines.append(text)
                if mark in text:
                    return lines
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"the guest did not say {mark!r}; it said:\n" + "\n".join(lines))
            try:
                data = self.line.recv(65536)
            except TimeoutError:
                continue
            self.log.write(data)
            self.log.flush()
            self.buffer += data

    def run(self, command, limit_s=LIMIT_S):
        """Runs a line of shell in the guest, returns what it printed; a failure is an error."""
        self.line.sendall(command.encode() + b"\n")
        lines = self._until("GUEST done ", limit_s)
        if lines[-1].split("GUEST done ")[1] != "0":
            raise AssertionError(f"{command!r} failed in the guest:\n" + "\n".join(lines))
        return "\n".join(lines[:-1] + [lines[-1].split("GUEST done ")[0]]).strip()

    def values(self, *lines):
        """The levels of some lines, as they are now."""
        files = " ".join(f"$sim/sim_gpio{line}/value" for line in lines)
        return tuple(int(value) for value in self.run(f"cat {files}").split())

    def pull(self, line, down):
        self.run(f"echo pull-{'down' if down else 'up'} > $sim/sim_gpio{line}/pull")

    def press(self, line=17, hold_s=0.15):
        """A finger on the button, for so long by the guest's own clock."""
        pull = f"$sim/sim_gpio{line}/pull"
        self.run(f"echo pull-down > {pull}; usleep {int(hold_s * 1e6)}; echo pull-up > {pull}")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


class Hub:
    """The hub's own program on this machine's loopback."""

    def __init__(self, program, data, mqtt="127.0.0.1:0"):
        self.process = subprocess.Popen(
            [program, "--http", "127.0.0.1:0", "--mqtt", mqtt, "--data-dir", data, "--ready-json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=open(os.path.join(data, "..", "hub.log"), "ab"))
        ready = json.loads(self.process.stdout.readline())
        assert ready["ready"] is True, ready
        self.mqtt = ready["mqtt"]
        self.port = int(self.mqtt.rsplit(":", 1)[1])

    def kill(self):
        """kill -9"""
        self.process.kill()
        self.process.wait()


class Cable:
    """A TCP port that leads to another one until it is cut; what is cut is told to both ends, as a closed port is."""

    def __init__(self, target_port):
        self.target_port = target_port
        self.sockets = set()
        self.listener = None
        self.port = 0
        self.plug()

    def plug(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def cut(self):
        # A closed socket on which a thread waits goes on listening; one that is shut down does not.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for end in list(self.sockets):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it had ended already

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return  # cut
            try:
                far = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                near.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sockets |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass  # one end is gone; the other is told below
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it had ended already


class Ear:
    """What the hub publishes, heard by Debian's mosquitto_sub, which comes back by itself when the hub was away."""

    def __init__(self, port):
        self.port = port
        self.heard = []
        self.process = subprocess.Popen(
            ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", "lockstep/#", "-F", "%t\t%p", "-i", "ear"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            topic, payload = line.rstrip("\n").split("\t", 1)
            self.heard.append((topic, payload))

    def latest(self, topic):
        return next((payload for heard, payload in reversed(self.heard) if heard == topic), None)

    def state(self, thing="pomodoro"):
        return json.loads(self.latest(f"lockstep/main/{thing}/state") or "{}")

    def events(self):
        return [json.loads(payload) for topic, payload in list(self.heard) if topic == "lockstep/device/pi/event"]

    def say(self, topic, payload):
        subprocess.run(
            ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-q", "1", "-t", topic, "-m", payload], check=True)

    def stop(self):
        self.process.kill()
        self.process.wait()
