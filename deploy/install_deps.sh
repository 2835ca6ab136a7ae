#!/usr/bin/env bash
# Installs what DYAD Serve needs to build, test and run, from Debian bookworm's own packages.
# Idempotent: packages that are there already are left alone. Runs as root or through sudo.
set -euo pipefail

packages=(
  # compilers and tools
  build-essential cmake ninja-build ccache lld git pkg-config ca-certificates
  # gRPC, protobuf and the public protos that ours import or the health stub needs
  libgrpc++-dev libgrpc-dev protobuf-compiler protobuf-compiler-grpc libprotobuf-dev
  grpc-proto golang-github-gogo-googleapis-dev
  # libraries
  libabsl-dev nlohmann-json3-dev libutf8proc-dev libssl-dev prometheus-cpp-dev
  libboost-dev libarchive-dev libcli11-dev libhwy-dev libtorch-dev
  # tests under AddressSanitizer, and fuzzing
  clang libclang-rt-14-dev
  # LibTorch's dense products come from BLAS; this one is the fast one
  libopenblas0-pthread
  # tests and benchmarks; python3-torch (27 MB to fetch with all that it needs) is for the operator
  # library: the server does not load it
  libgtest-dev libgmock-dev python3 python3-grpcio python3-protobuf python3-torch openssl
  # the Python package: its build, and the fresh environments that its tests install it into
  python3-hatchling python3-venv
  unicode-data
)

missing=()
for package in "${packages[@]}"; do
  [[ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null || true)" == ii* ]] ||
    missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  echo "install_deps: all ${#packages[@]} packages are installed"
  exit 0
fi

as_root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || { echo "install_deps: run as root, or install sudo" >&2; exit 1; }
  as_root=(sudo)
fi
echo "install_deps: installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}"
