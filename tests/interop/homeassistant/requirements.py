"""Prints the packages that the given integrations of the installed Home Assistant need, with those they depend on."""
import importlib.util, json, pathlib, sys

components = pathlib.Path(importlib.util.find_spec("homeassistant").origin).parent / "components"
seen, wanted, packages = set(), list(sys.argv[1:]), set()
while wanted:
    domain = wanted.pop()
    if domain in seen:
        continue
    seen.add(domain)
    manifest = json.loads((components / domain / "manifest.json").read_text())
    packages.update(manifest.get("requirements", []))
    wanted += manifest.get("dependencies", [])
print("\n".join(sorted(packages)))
