#!/usr/bin/env bash
# bundle_test.sh BUNDLE: the programs of the bundle run on another distribution, where nothing is installed. Makes
# the smallest root of Debian's next release; skips (77) with a reason where that cannot be done.
set -euo pipefail
bundle=$(realpath "$1")
source=$(realpath "$(dirname "$0")/../..")
if ! command -v mmdebstrap >/dev/null || [[ $(id -u) != 0 ]]; then
  echo "skipped: needs mmdebstrap and root"
  exit 77
fi
root=$(mktemp -d)
trap 'umount "$root/proc" 2>/dev/null; rm -rf --one-file-system "$root"' EXIT
if ! mmdebstrap --quiet --variant=minbase trixie "$root"; then
  echo "skipped: no package registry answers"
  exit 77
fi
mount --bind /proc "$root/proc"  # where programs learn where they lie
mkdir -p "$root/tree/build/gpu" "$root/tree/deploy"
cp -r "$bundle" "$root/tree/build/gpu/bundle"
cp -r "$source/deploy/demo_model" "$root/tree/deploy/"
run() { chroot "$root" bash -c "cd /tree && build/gpu/bundle/bin/$*"; }

run dyad-server --model=deploy/demo_model --check
# Without a driver the reason is CUDA's own.
for command in "dyad-server --device=cuda --model=deploy/demo_model --check" "gpu_bench layers"; do
  if said=$(run "$command" 2>&1); then
    echo "bundle_test.sh: $command passed without a GPU" >&2
    exit 1
  fi
  grep -q "looking for CUDA devices: cudaError" <<<"$said" || { echo "$said" >&2; exit 1; }
done
run "gpu_tests --gtest_filter=CudaPackTest.*:TwinDevices*"
echo "the bundle runs on $(. "$root/etc/os-release" && echo "$PRETTY_NAME")"
