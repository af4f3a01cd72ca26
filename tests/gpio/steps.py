"""The steps of a test, told as they pass."""
import time

done = []


def step(name):
    def mark(function):
        began = time.monotonic()
        function()
        done.append(name)
        print(f"ok: {name} ({time.monotonic() - began:.1f} s)", flush=True)
    return mark
