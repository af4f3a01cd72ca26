"""tests/gpio/terminal.py HUB BOX FOLDER: the terminal box in a real terminal (tmux), with keys and mouse, wide, narrow and without colour."""
import json
import os
import re
import subprocess
import sys
import time

from steps import done, step

hub_program, box_program, folder = sys.argv[1:]
LIMIT_S = 30
socket = os.path.join(folder, "tmux")
pictures = os.path.join(folder, "pictures")
os.makedirs(pictures, exist_ok=True)


def tmux(*words):
    # The empty configuration: a person's own must not change the picture.
    return subprocess.run(["tmux", "-S", socket, "-f", "/dev/null", *words], check=True, text=True, stdout=subprocess.PIPE).stdout


class Screen:
    """A terminal of this size with a box in it."""

    def __init__(self, name, width, height, *environment):
        self.name = name
        command = f"env {' '.join(environment)} {box_program} --board terminal --id desk --hub mqtt://{mqtt}"
        tmux("new-session", "-d", "-s", name, "-x", str(width), "-y", str(height), command)

    def picture(self, *how):
        return tmux("capture-pane", "-p", "-t", self.name, *how)

    def wait_for(self, *wanted, how=()):
        deadline = time.monotonic() + LIMIT_S
        while True:
            picture = self.picture(*how)
            if all(re.search(part, picture) for part in wanted):
                return picture
            assert time.monotonic() < deadline, f"{wanted} is not in\n{picture}"

    def keys(self, *keys):
        tmux("send-keys", "-t", self.name, *keys)

    def mouse(self, column, row, down):
        """A left button as a terminal tells it (SGR, places from 1)."""
        tmux("send-keys", "-t", self.name, "-l", f"\x1b[<0;{column};{row}{'M' if down else 'm'}")

    def keep(self):
        with open(os.path.join(pictures, f"{self.name}.txt"), "w", encoding="utf-8") as file:
            file.write(self.picture())

    def leave(self):
        self.keys("q")
        deadline = time.monotonic() + LIMIT_S
        while self.name in subprocess.run(["tmux", "-S", socket, "list-sessions"], text=True, capture_output=True).stdout:
            assert time.monotonic() < deadline, "the box does not leave"


hub = subprocess.Popen([hub_program, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--ready-json", "--data-dir", os.path.join(folder, "terminal-data")],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
try:
    # One that stays: a server without sessions ends, and may do so just when the next box comes.
    tmux("new-session", "-d", "-s", "keeper", "cat")
    mqtt = json.loads(hub.stdout.readline())["mqtt"]

    @step("80 by 24, by keys: idle, work in green, reset by a long press")
    def _():
        screen = Screen("wide", 80, 24)
        screen.wait_for("● online", "Press Me!", "light: idle", "○○○")
        screen.keys("Space")
        screen.wait_for("Work", r"00:24:5\d", r"light: work \(solid, green\)", "███")
        screen.wait_for(r"38;2;0;255;0m█", how=("-e",))
        screen.keep()
        screen.keys("l")
        screen.wait_for("Press Me!", "button: long press")
        screen.leave()

    @step("80 by 24, by mouse: the button is held down as long as the finger is")
    def _():
        screen = Screen("mouse", 80, 24)
        picture = screen.wait_for("● online", "Press Me!", "PRESS")
        row = next(index for index, line in enumerate(picture.splitlines()) if "PRESS" in line)
        column = picture.splitlines()[row].index("PRESS")
        screen.mouse(column + 1, row + 1, True)
        screen.mouse(column + 1, row + 1, False)
        screen.wait_for("Work", "button: short press")
        # Besides the button nothing happens.
        screen.mouse(2, 22, True)
        screen.mouse(2, 22, False)
        screen.mouse(column + 1, row + 1, True)
        screen.wait_for("Press Me!", "button: long press")
        screen.mouse(column + 1, row + 1, False)
        screen.wait_for("button: long release")
        screen.leave()

    @step("34 by 14, and without colours: words say what colours would")
    def _():
        screen = Screen("narrow", 34, 14, "NO_COLOR=1")
        screen.wait_for("● online", "Press Me!", "PRESS")
        screen.keys("Space")
        screen.wait_for("Work", r"00:24:5\d", "solid, green", "██")
        coloured = screen.picture("-e")
        assert "38;2" not in coloured and "[32m" not in coloured, coloured
        screen.keep()
        screen.leave()

    @step("without a hub: no stale word, and the terminal is given back")
    def _():
        screen = Screen("away", 80, 24)
        screen.wait_for("● online", "Work")
        hub.kill()
        hub.wait()
        screen.wait_for("no connection to the hub", "--:--:--", r"light: no_hub \(flash, magenta\)")
        screen.keys("Space")
        screen.wait_for("press again later")
        screen.keep()
        screen.leave()
finally:
    subprocess.run(["tmux", "-S", socket, "kill-server"], check=False, stderr=subprocess.DEVNULL)
    hub.kill()
    hub.wait()

print(f"{len(done)} passed, 0 failed")
