#!/usr/bin/env bash
# make_bundle.sh FOLDER PROGRAM…: stripped programs in FOLDER/bin and the libraries that they need in FOLDER/lib,
# which they find by themselves. All but the C library, which a newer one replaces.
set -euo pipefail
folder=$1
shift
rm -rf "$folder"
mkdir -p "$folder/bin" "$folder/lib"
for program in "$@"; do
  strip -o "$folder/bin/$(basename "$program")" "$program"
  ldd "$program" | awk '$3 ~ /^\// {print $3}' >>"$folder/libraries"
done
sort -u "$folder/libraries" | grep -vE '/(libc|libm|libdl|librt|libpthread)\.so' | while read -r library; do
  cp -L "$library" "$folder/lib/"
done
rm "$folder/libraries"
strip "$folder"/lib/*
bytes=$(du -sb "$folder" | cut -f1)
echo "$folder: $((bytes >> 20)) MiB"
if ((bytes > 40 << 20)); then
  echo "make_bundle.sh: $bytes bytes; at most 40 MiB" >&2
  exit 1
fi
