#!/usr/bin/env bash
# Plants each mistake of mistakes.toml in a copy of the tree and lets the campaign of simulated visits look for it:
# twelve visits of two hours, one simulated day. Without a mistake the same visits must pass.
#
#   tests/planted/run.sh            all of them
#   tests/planted/run.sh 3 7        the third and the seventh
#
# Needs bash, python3 (3.11) and cargo. The copy and its build live in target/planted.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
tree=$root/target/planted/tree
export CARGO_TARGET_DIR=$root/target/planted CARGO_INCREMENTAL=1
export CARGO_PROFILE_DEV_OPT_LEVEL=${CARGO_PROFILE_DEV_OPT_LEVEL:-2} CARGO_PROFILE_DEV_DEBUG=0
exec python3 tests/planted/plant.py "$root" "$tree" "$@"
