"""Plants mistakes one at a time and counts the simulated hours until the campaign finds them."""

import os
import pathlib
import re
import subprocess
import sys
import time
import tomllib

VISITS, HOURS = 12, 2
# Only what decides and what simulates: the rest of the product would be built again for each mistake.
ROOMS = ["control", "device", "modbus", "plant", "profile"]


def refresh(source, target):
    """Copies what differs, so that cargo builds only that."""
    text = source.read_bytes()
    if not target.exists() or target.read_bytes() != text:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text)


def copy(root, tree):
    wanted = [root / name for name in ["Cargo.toml", "Cargo.lock", "README.md", "src/ARCHITECTURE.md"]]
    wanted += [path for folder in ["profiles", "benches"] for path in (root / folder).rglob("*") if path.is_file()]
    for room in ROOMS:
        wanted += [path for path in (root / "src" / room).rglob("*") if path.is_file()]
    wanted += [root / "tests/wattkeeper/days.rs", *(root / "tests/wattkeeper/days").rglob("*.rs")]
    kept = {tree / path.relative_to(root) for path in wanted} | {
        tree / "src/lib.rs",
        tree / "tests/wattkeeper/main.rs",
    }
    for path in [path for path in tree.rglob("*") if path.is_file()]:
        if path not in kept:
            path.unlink()
    for path in wanted:
        refresh(path, tree / path.relative_to(root))
    made = {
        "src/lib.rs": '#![doc = include_str!("ARCHITECTURE.md")]\n' + "".join(f"pub mod {room};\n" for room in ROOMS),
        "tests/wattkeeper/main.rs": "#![allow(clippy::unwrap_used, missing_docs)]\nmod days;\n",
    }
    for name, text in made.items():
        path = tree / name
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def edits(mistake):
    yield mistake["file"], mistake["find"], mistake["put"]
    if "also" in mistake:
        also = mistake["also"]
        yield also.get("file", mistake["file"]), also["find"], also["put"]


def plant(root, tree, mistake):
    for file, find, put in edits(mistake):
        text = (tree / file).read_text()
        if text.count(find) != 1:
            sys.exit(f"{mistake['name']}: stands {text.count(find)} times in {file}: {find}")
        (tree / file).write_text(text.replace(find, put))


def hunt(tree):
    """The output of the campaign, or what the compiler said."""
    level = "profile.dev.package.wattkeeper.opt-level=1"  # built once for each mistake, and run for seconds
    test = ["cargo", "test", "--quiet", "--config", level, "--test", "wattkeeper", "campaign_of_visits"]
    built = subprocess.run(test + ["--no-run"], cwd=tree, capture_output=True, text=True)
    if built.returncode != 0:
        return None, built.stderr
    env = {**os.environ, "WATTKEEPER_VISITS": str(VISITS), "WATTKEEPER_FIRST": "1"}
    run = subprocess.run(test + ["--", "--nocapture"], cwd=tree, capture_output=True, text=True, env=env)
    return run.returncode == 0, run.stdout + run.stderr


def main():
    root, tree = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    mistakes = tomllib.loads((root / "tests/planted/mistakes.toml").read_text())["mistake"]
    chosen = [int(number) for number in sys.argv[3:]] or list(range(0, len(mistakes) + 1))
    missed = []
    for number in chosen:
        begin = time.monotonic()
        copy(root, tree)
        name = "nothing planted"
        if number > 0:
            name = mistakes[number - 1]["name"]
            plant(root, tree, mistakes[number - 1])
        passed, output = hunt(tree)
        took = time.monotonic() - begin
        found = re.search(r"^seed (\d+) \((.*?)\), second (\d+): (.*)$", output, re.MULTILINE)
        if passed is None:
            line, good = "does not compile\n" + output, False
        elif number == 0:
            line, good = ("holds" if passed else output), passed
        elif found:
            seed, house, second, what = found.groups()
            hours = (int(seed) - 1) * HOURS + int(second) / 3600
            line, good = f"found after {hours:.2f} simulated hours: seed {seed} ({house}), {what}", True
        else:
            line, good = "NOT FOUND" if passed else output, False
        print(f"{number:2} {name}: {line} [{took:.0f} s]", flush=True)
        if not good:
            missed.append(name)
    copy(root, tree)
    planted = [number for number in chosen if number > 0]
    print(f"{len(planted) - len([name for name in missed if name != 'nothing planted'])} of {len(planted)} planted mistakes found")
    sys.exit(1 if missed else 0)


main()
