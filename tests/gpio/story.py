"""tests/gpio/story.py ARCH KERNEL INITRD HUB FOLDER: the box's own program at a GPIO device, against the real hub."""
import json
import os
import sys
import time

from guest import Cable, Ear, Guest, Hub, wait_for
from steps import done, step

RED, GREEN, BLUE, BREAK, BUZZER = 27, 22, 23, 12, 24
OFF, COLOURS = (0, 0, 0), {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0), "magenta": (1, 0, 1)}


arch, kernel, initrd, hub_program, folder = sys.argv[1:]
data = os.path.join(folder, "data")
os.makedirs(data, exist_ok=True)
hub = Hub(hub_program, data)
cable = Cable(hub.port)
ear = Ear(hub.port)
guest = Guest(arch, kernel, initrd, os.path.join(folder, f"guest-{arch}.log"))
print(guest.ready[-1], flush=True)


def rgb():
    return guest.values(RED, GREEN, BLUE)


def shows(colour):
    wait_for(colour, lambda: rgb() == COLOURS[colour])


def steady(levels, seconds, *lines):
    """The lines keep these levels for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        seen = guest.values(*lines)
        assert seen == levels, f"{lines} are {seen}, not {levels}"


def dark():
    wait_for("a dark light", lambda: rgb() == OFF)
    steady(OFF, 0.3, RED, GREEN, BLUE)


def phase(wanted):
    wait_for(f"phase {wanted}", lambda: ear.state().get("phase") == wanted)


def start_box(config="/box.toml"):
    guest.run(f"lockstep-box --config {config} --hub mqtt://10.0.2.2:{cable.port} > /box.log 2>&1 & pid=$!")


def presses(button="button"):
    return [event["event_type"] for event in ear.events() if event.get("button") == button]


def set_up(**settings):
    ear.say("lockstep/main/pomodoro/set", json.dumps({"action": "setup", **settings}))
    phase("idle")


try:
    @step("the chip is found by its label, and the box is there")
    def _():
        start_box()
        wait_for("online", lambda: ear.latest("lockstep/device/pi/availability") == "online")
        info = wait_for("info", lambda: ear.latest("lockstep/device/pi/info"))
        assert json.loads(info)["buttons"] == ["button", "second"]
        dark()
        assert guest.values(BREAK, BUZZER) == (1, 0), "the active-low light is off when its line is high"

    @step("a whole round: press, work, alarm, break, alarm, work, alarm, long break, idle")
    def _():
        set_up(work_duration=2, break_duration=2, long_break_duration=0, number_cycles=1)
        for work in (1, 2):
            guest.press()
            phase("work")
            shows("green")
            phase("break_alarm")
            shows("red")
            wait_for("the buzzer", lambda: guest.values(BUZZER) == (1,))
            guest.press()
            if work == 1:
                phase("short_break")
                shows("blue")
                assert guest.values(BREAK, BUZZER) == (0, 0)
                phase("work_alarm")
                shows("yellow")
                wait_for("the buzzer", lambda: guest.values(BUZZER) == (1,))
                wait_for("the blink's dark half", lambda: rgb() == OFF)
        phase("long_break")
        wait_for("the long break's breath", lambda: guest.values(BREAK) == (0,))
        guest.press()
        phase("idle")
        dark()
        assert set(presses()) == {"short_press"} and len(presses()) == 5, presses()

    @step("ten bounces within the debounce time are one press")
    def _():
        set_up(work_duration=1500)
        before = len(presses())
        pull = "$sim/sim_gpio17/pull"
        bounce = f"for i in 1 2 3 4 5 6 7 8 9 10; do echo pull-down > {pull}; echo pull-up > {pull}; done"
        guest.run(f"{bounce}; echo pull-down > {pull}; usleep 150000; {bounce}")
        phase("work")
        # What came of it by then is all: a long press afterwards is the next event.
        guest.press(hold_s=1.0)
        wait_for("the long release", lambda: presses()[before:][-1:] == ["long_release"])
        assert presses()[before:] == ["short_press", "long_press", "long_release"], presses()[before:]

    @step("a long press resets while it is held")
    def _():
        guest.press()
        phase("work")
        guest.pull(17, True)
        phase("idle")
        guest.pull(17, False)
        wait_for("the release", lambda: presses()[-1] == "long_release")

    @step("a double press skips, a short one moves the slider")
    def _():
        guest.press()
        phase("work")
        pull = "$sim/sim_gpio16/pull"
        tap = f"echo pull-down > {pull}; usleep 80000; echo pull-up > {pull}"
        guest.run(f"{tap}; usleep 80000; {tap}")
        phase("break_alarm")
        assert presses("second") == ["double_press"], presses("second")
        guest.press(line=16)
        wait_for("slider1 = 10", lambda: ear.state("slider1").get("value") == 10)

    @step("two buttons and a rotary encoder move sliders")
    def _():
        for _ in range(3):
            guest.press(line=5, hold_s=0.06)
            guest.run("usleep 60000")
        guest.press(line=6, hold_s=0.06)
        wait_for("slider1 = 12", lambda: ear.state("slider1").get("value") == 12)
        a, b = "$sim/sim_gpio20/pull", "$sim/sim_gpio21/pull"
        edges = [f"echo pull-down > {a}", f"echo pull-down > {b}", f"echo pull-up > {a}", f"echo pull-up > {b}"]
        # As slowly as a person turns, and who sees nothing happen turns once more: a guest that stands still for longer swallows an edge.
        detent = "; ".join(f"{edge}; usleep 40000" for edge in edges)
        for value in (2, 4, 6, 8, 10):
            for last in (False, False, True):
                guest.run(detent)
                try:
                    wait_for(f"slider2 = {value}", lambda: ear.state("slider2").get("value") == value, 30 if last else 5)
                    break
                except AssertionError:
                    if last:
                        raise

    @step("a paused phase blinks in its colour")
    def _():
        set_up(work_duration=1500)
        guest.press()
        phase("work")
        ear.say("lockstep/main/pomodoro/set", "pause")
        wait_for("paused", lambda: ear.state().get("paused"))
        wait_for("the dark half", lambda: rgb() == OFF)
        shows("green")
        ear.say("lockstep/main/pomodoro/set", "resume")
        wait_for("resumed", lambda: not ear.state().get("paused"))

    @step("the hub is killed, a press meanwhile is not sent later, the hub comes back in the same phase")
    def _():
        ends_at = ear.state()["ends_at"]
        hub.kill()
        shows("magenta")
        guest.pull(17, True)
        shows("red")
        guest.pull(17, False)
        globals()["hub"] = Hub(hub_program, data, hub.mqtt)
        shows("green")
        steady((0, 1, 0), 1, RED, GREEN, BLUE)
        state = ear.state()
        assert (state["phase"], state["paused"], state["ends_at"]) == ("work", False, ends_at), state

    @step("the hub's port is closed and opened again")
    def _():
        cable.cut()
        shows("magenta")
        wait_for("the will", lambda: ear.latest("lockstep/device/pi/availability") == "offline")
        cable.plug()
        shows("green")
        wait_for("online", lambda: ear.latest("lockstep/device/pi/availability") == "online")

    @step("the cable is pulled without a word, and put back")
    def _():
        guest.run("ip link set eth0 down")
        shows("magenta")
        guest.run("ip link set eth0 up; ip route add default via 10.0.2.2")
        shows("green")

    @step("an idle box sleeps: few wake-ups, little memory")
    def _():
        # `work` is steady green: nothing blinks, only the keep-alive (5 s here) is left.
        switches = "cat /proc/$pid/task/*/status | grep -E '^(non)?voluntary' | cut -f 2"
        before = sum(int(number) for number in guest.run(switches).split())
        guest.run("sleep 20")
        after = sum(int(number) for number in guest.run(switches).split())
        rss = int(guest.run("grep VmRSS /proc/$pid/status | tr -dc 0-9"))
        ticks = guest.run("cut -d ' ' -f 14,15 /proc/$pid/stat")
        size = int(guest.run("wc -c < /bin/lockstep-box"))
        print(f"figures: {(after - before) / 20:.2f} context switches a second when nothing blinks; "
              f"{rss} kB resident; {ticks} CPU ticks (user, system) since start; binary {size} bytes", flush=True)
        # Four pings and their answers, and some for what else runs in the guest.
        assert after - before <= 20, f"{after - before} context switches in 20 s"
        # The program as a Pi runs it; the other guest's is a debug build.
        assert arch != "arm64" or rss <= 5000, f"{rss} kB resident"

    @step("latency: press to light, release to state")
    def _():
        guest.run("kill $pid; wait $pid")
        set_up(work_duration=1500)
        start_box()
        wait_for("online", lambda: ear.latest("lockstep/device/pi/availability") == "online")
        dark()
        pull, value = "$sim/sim_gpio17/pull", "$sim/sim_gpio22/value"
        figures = json.loads(guest.run(f"finger 21 {pull} {value} 10.0.2.2:{hub.port}", 120))
        print("figures:", json.dumps(figures), "(20 ms of each are the configured debouncing)", flush=True)
        assert figures["presses"] == 21
        assert figures["press_to_light_us"] < 200_000, figures
        assert figures["release_to_state_us"] < 500_000, figures

    @step("SIGTERM: lights off, offline said, good-bye")
    def _():
        guest.press()
        phase("work")
        shows("green")
        guest.run("kill -TERM $pid; wait $pid")
        # The active-low line is free now and follows its simulated pull; the others are low either way.
        assert rgb() == OFF and guest.values(BUZZER) == (0,)
        assert guest.run("cat /box.log").count("panicked") == 0
        wait_for("offline", lambda: ear.latest("lockstep/device/pi/availability") == "offline")

    @step("a button that is held at start counts from its next press on")
    def _():
        set_up(work_duration=1500)
        before = len(presses())
        guest.pull(17, True)
        # With a pull-up of its own the request would lift the simulator's finger off the button.
        guest.run("(cat /box.toml; echo 'pull = \"none\"') > /held.toml")
        start_box("/held.toml")
        wait_for("the notice", lambda: "is held down at start" in guest.run("cat /box.log"))
        wait_for("online", lambda: ear.latest("lockstep/device/pi/availability") == "online")
        guest.pull(17, False)
        guest.run("usleep 300000")
        guest.press()
        phase("work")
        assert presses()[before:] == ["short_press"], presses()[before:]

    @step("lockstep-box check finds the chip, lights the lights and sees a press")
    def _():
        guest.run("kill $pid; wait $pid; pid=")
        guest.run("lockstep-box check --config /box.toml > /check.log 2>&1 & pid=$!")
        wait_for("the light", lambda: guest.values(RED) == (1,))
        wait_for("the question", lambda: "press a button" in guest.run("cat /check.log"))
        guest.press()
        guest.run("wait $pid")
        said = guest.run("cat /check.log")
        assert "(pinctrl-bcm2711)" in said and "short_press, which does: press" in said, said
finally:
    try:
        print("the box said:\n" + guest.run("cat /box.log 2>/dev/null || true"), flush=True)
    except (AssertionError, OSError) as error:
        print(f"(the guest does not answer: {error})", flush=True)
    guest.stop()
    ear.stop()
    hub.kill()

print(f"{len(done)} passed, 0 failed")
