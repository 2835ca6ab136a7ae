#!/usr/bin/env bash
# make_bundle.sh FOLDER FIXTURES PROGRAM…: stripped programs in FOLDER/bin, the libraries that they need in
# FOLDER/lib, which they find by themselves, and the served ones of the fixtures. The C library is left out: a newer
# one takes its place.
set -euo pipefail
folder=$1 fixtures=$2
shift 2
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
mkdir "$folder/fixtures"
cp -r "$fixtures"/opt-* "$fixtures"/neox-* "$folder/fixtures/"
bytes=$(du -sbc "$folder/bin" "$folder/lib" | tail -1 | cut -f1)
echo "$folder: $((bytes >> 20)) MiB of programs and libraries"
if ((bytes > 40 << 20)); then
  echo "make_bundle.sh: $bytes bytes; at most 40 MiB" >&2
  exit 1
fi
