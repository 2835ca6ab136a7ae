// The directory of a zip archive as torch.save writes it: entries stored, not compressed; zip64 or
// not.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <unordered_map>

#include "absl/status/statusor.h"

namespace dyad {

inline constexpr size_t kMaxZipEntries = 131'072;
inline constexpr size_t kMaxZipName = 1024;  // bytes

// Name of an entry -> its bytes; both point into the archive.
using ZipEntries = std::unordered_map<std::string_view, std::span<const std::byte>>;

// Reads the central directory and checks it against the local headers. Nothing is unpacked or
// copied.
//
// Refused: another method than stored, encryption, several disks, bytes before the first record
// that the offsets do not count, entries that overlap, lie outside the archive or share a name,
// names that are absolute or hold "..", '\\' or NUL, more than kMaxZipEntries. Checksums are not
// compared: torch.save can be told not to write them, and the model's digest covers the file. Cost:
// O(entries) time and memory. Errors: InvalidArgument, DataLoss (cut short), without the file's
// name.
absl::StatusOr<ZipEntries> ReadZip(std::span<const std::byte> archive);

}  // namespace dyad
