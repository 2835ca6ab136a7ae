#!/usr/bin/env bash
# Real clients, unmodified, against the built server: lm-evaluation-harness, openai, tritonclient and mypy, pinned, in a virtual
# environment under build/; curl and Chromium where they are installed. Where no Python package registry can be reached it ends
# with 77: skipped.
#   tests/clients/run.sh            # all
#   tests/clients/run.sh openai     # one
# Measurements, no tests:
#   tests/clients/run.sh harness_speed        # what the prefix cache is worth to the harness
#   tests/clients/run.sh blimp_speed BLIMP    # BLiMP by dyadctl, the Python package and the harness
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
venv=$root/build/clients/venv
pins=$PWD/requirements.txt

if ! cmp --silent "$pins" "$venv/pins"; then
  rm -rf "$venv"
  if ! /usr/bin/python3 -m venv "$venv"; then
    echo "clients: SKIPPED: python3 -m venv does not work here (Debian: python3-venv)"
    exit 77
  fi
  if ! "$venv/bin/pip" install --quiet --disable-pip-version-check --retries 1 --timeout 20 \
      --requirement "$pins" >"$root/build/clients/pip.log" 2>&1; then
    tail -n 3 "$root/build/clients/pip.log"
    echo "clients: SKIPPED: the pinned packages cannot be installed; is a Python package registry in reach?"
    exit 77
  fi
  cp "$pins" "$venv/pins"
fi

export DYAD_BUILD_DIR=${DYAD_BUILD_DIR:-$root/build/release}
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$root/tests/end_to_end:$root/client/python
# The harness must not look anything up in the network.
export HF_HOME=$root/build/clients/hf HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 TRANSFORMERS_OFFLINE=1
if [[ ${1:-} == *_speed ]]; then
  exec "$venv/bin/python" -u "$1.py" "${@:2}"
fi
for client in "${@:-openai vllm_bench browser mypy triton harness}"; do
  for name in $client; do
    "$venv/bin/python" -u "${name}_check.py"
  done
done
