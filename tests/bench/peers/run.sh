#!/usr/bin/env bash
# Our models beside OpenVINO GenAI and CTranslate2 on the same processors, in turn. Installs both, pinned, under
# build/peers (8 GB): they and their converters come from a Python package registry. No part of tests/run.sh.
#   tests/bench/peers/run.sh [--threads=2] [--rounds=5] [--weights=int8,bfloat16] [--json=FILE]
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../../.. && pwd)
home=$root/build/peers
mkdir -p "$home"
if ! cmp --silent requirements.txt "$home/venv/pins"; then
  rm -rf "$home/venv"
  /usr/bin/python3 -m venv "$home/venv"
  "$home/venv/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt
  cp requirements.txt "$home/venv/pins"
fi
# Nothing is looked up in the network once they are installed.
export HF_HOME=$home/hf HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 PYTHONDONTWRITEBYTECODE=1 PATH=$home/venv/bin:$PATH
exec python -u measure.py --home="$home" --bench="${DYAD_BUILD_DIR:-$root/build/release}/bin/dyad-bench" "$@"
