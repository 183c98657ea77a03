#!/bin/sh
# Makes target/reference-venv, the Python environment of the independent simulated site, from the reference material
# that WATTKEEPER_REFERENCE names. Does nothing when it is there already and its requirements have not changed.
set -eu

if [ -z "${WATTKEEPER_REFERENCE:-}" ]; then
    echo "skipped: no reference material (WATTKEEPER_REFERENCE is not set)"
    exit 0
fi

requirements="$WATTKEEPER_REFERENCE/peers/requirements.txt"
cd "$(dirname "$0")/.."
venv=target/reference-venv
if cmp -s "$requirements" "$venv/installed.txt"; then
    exit 0
fi

python=$(command -v python3.11 || command -v python3) || {
    echo "python3 is missing: install Python 3.11 or newer with its venv module" >&2
    exit 1
}
mkdir -p target
"$python" -m venv --clear "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
cp "$requirements" "$venv/installed.txt"
