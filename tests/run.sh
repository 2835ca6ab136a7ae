#!/usr/bin/env bash
# Runs all tests, from a bare clone: installs the packages, builds, tests, tests under the sanitizers
# what has memory or threads of its own to get wrong, and fuzzes what reads bytes of strangers. One stage
# alone: tests/run.sh release | asan | tsan | fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."

stages=("$@")
((${#stages[@]})) || stages=(asan tsan fuzz release)  # release last: its summary is the last line printed

./deploy/install_deps.sh
mkdir -p build
for stage in "${stages[@]}"; do
  echo "== $stage: build"
  cmake --preset "$stage" >"build/configure-$stage.log" 2>&1 || {
    cat "build/configure-$stage.log" >&2
    exit 1
  }
  case "$stage" in
    release) cmake --build --preset release ;;
    asan | tsan | fuzz) cmake --build --preset "$stage" --target "${stage}_tests" ;;
    *) echo "tests/run.sh: unknown stage $stage; release, asan, tsan or fuzz" >&2; exit 2 ;;
  esac
  echo "== $stage: test"
  case "$stage" in
    release) ctest --preset release ;;
    asan | tsan | fuzz) ctest --preset "$stage" -L "${stage}_tests" --parallel 2 ;;
  esac
done
