#!/usr/bin/env bash
# All that only a GPU can tell, in at most 8 minutes: run it wherever one is at hand, and put its table, with
# date and card, into docs/gpu.md. Nothing is built there. Before, where nvcc is, and carried along with the tree:
#   cmake --preset gpu && cmake --build --preset gpu        # build/gpu/bundle
# Writes what each part printed to FOLDER (build/gpu/results): gpu_check.sh [FOLDER]. A part that cannot run
# counts as failed.
set -uo pipefail
cd "$(dirname "$0")/.."
bundle=build/gpu/bundle
results=${1:-build/gpu/results}
mkdir -p "$results"
python=$(command -v python3)
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
table="| part | result | seconds |"$'\n'"|---|---|---|"
failed=0

# part NAME SECONDS COMMAND…: runs it, keeps what it prints, and adds a row.
part() {
  local name=$1 limit=$2 start=$SECONDS result=passed
  shift 2
  echo "== $name"
  timeout "$limit" "$@" >"$results/${name// /_}.txt" 2>&1 || { result="FAILED ($?)"; failed=1; }
  tail -n 3 "$results/${name// /_}.txt"
  table+=$'\n'"| $name | $result | $((SECONDS - start)) |"
}

part versions 30 nvidia-smi
# Every kernel and every fixture: the CPU's bits. Skips are failures.
part kernels_and_models 150 bash -o pipefail -c "'$bundle/bin/gpu_tests' | tee /dev/stderr | { ! grep -q SKIPPED; }"
part layers 60 "$bundle/bin/gpu_bench" layers
part baseline 90 "$python" tests/gpu/baseline.py
part make_125m 90 "$python" tests/bench/make_model.py /tmp/gpu_check_125m --size=125m --kind=dyad --blocks=4
part model_125m 60 "$bundle/bin/gpu_bench" model /tmp/gpu_check_125m
part model_125m_accurate 60 "$bundle/bin/gpu_bench" model /tmp/gpu_check_125m 7 accurate
part server 60 "$bundle/bin/dyad-server" --device=cuda --model=deploy/demo_model --check
few='CudaLayerTest.AwkwardSizes*:CudaDeviceTest.*:CudaFinishTest.AnswersWhere*'
part memcheck 90 "$sanitizer" --tool=memcheck --error-exitcode=1 "$bundle/bin/gpu_tests" --gtest_brief=1 "--gtest_filter=$few"
part racecheck 90 "$sanitizer" --tool=racecheck --error-exitcode=1 "$bundle/bin/gpu_tests" --gtest_brief=1 "--gtest_filter=$few"

echo
echo "$(date -u +%F), $(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null | head -1)"
echo "$table" | tee "$results/table.md"
exit $failed
