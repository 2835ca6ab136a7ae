#!/usr/bin/env bash
# Runs one fuzz target over its seeds and over what earlier runs found: run.sh BUILD_FOLDER NAME
# [libFuzzer's flags]. A finding is kept in BUILD_FOLDER/tests/fuzz/findings, and ends it with an error.
set -euo pipefail
build=$1 name=$2
shift 2
cd "$build/tests/fuzz"
mkdir -p "found/$name" "findings"
dictionary=()
[[ -s "seeds/$name.dict" ]] && dictionary=("-dict=seeds/$name.dict")
# A smaller quarantine of freed memory: most of the memory, and half of the time, would be its.
export ASAN_OPTIONS=quarantine_size_mb=16
exec "../${name}_fuzz" -seed=1 -max_len=2048 -rss_limit_mb=1024 -timeout=60 -print_final_stats=1 \
  -artifact_prefix="$PWD/findings/$name-" "${dictionary[@]}" "$@" "found/$name" "seeds/$name"
