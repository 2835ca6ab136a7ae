#!/usr/bin/env bash
# Prints what dyad-server takes along: shared libraries, and packages and size of the image. The image is
# emulated, without Docker: Debian's minimal system with the packages that deploy/Dockerfile names, without
# documentation as in the base image. Takes two minutes; runs as root; needs the package mmdebstrap.
#
#   tests/deploy_size.sh [build/release/bin]
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${1:-build/release/bin}

# linux-vdso is no file.
echo "shared libraries of dyad-server: $(ldd "$bin/dyad-server" | grep -vc linux-vdso)"

packages=$(sed -n '/ AS runtime$/,/rm -rf/p' deploy/Dockerfile | grep -oE '^ {6}[a-z].*[^\\ ]' | xargs | tr ' ' ,)
folder=$(mktemp -d)
trap 'rm -rf --one-file-system "$folder"' EXIT
hooks=/usr/share/mmdebstrap/hooks/merged-usr
mmdebstrap --quiet --variant=minbase --hook-dir="$hooks" --include="usr-is-merged,$packages" \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$folder/image" >"$folder/log" 2>&1 || {
  cat "$folder/log" >&2
  exit 1
}
install -s "$bin/dyad-server" "$bin/dyadctl" "$bin/dyad-convert" "$folder/image/usr/local/bin/"
missing=$(chroot "$folder/image" ldd /usr/local/bin/dyad-server /usr/local/bin/dyadctl /usr/local/bin/dyad-convert |
  grep 'not found' | sort -u || true)
[[ -z "$missing" ]] || { echo "deploy_size: the list lacks packages:"; echo "$missing"; exit 1; } >&2
echo "packages of the image: $(chroot "$folder/image" dpkg-query -W | wc -l)"
echo "size of the image: $(du -sm "$folder/image" | cut -f1) MB"
