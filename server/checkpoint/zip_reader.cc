// The directory of a zip archive.
#include "server/checkpoint/zip_reader.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/checkpoint/byte_reader.h"

namespace dyad {
namespace {

// Record signatures and fixed sizes in bytes, as in the format's specification (APPNOTE 4.3).
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocator64Signature = 0x07064b50;
constexpr size_t kEndSize = 22;
constexpr size_t kLocator64Size = 20;
constexpr size_t kEnd64Size = 56;
constexpr size_t kCentralSize = 46;
constexpr size_t kLocalSize = 30;
constexpr size_t kMaxComment = 65'535;
constexpr uint16_t kZip64Extra = 0x0001;
constexpr uint16_t kEncrypted = 0x0001;  // flag bit
constexpr uint16_t kStored = 0;          // method
constexpr uint16_t kIn64Bits = 0xffff;   // "see the zip64 record", also as 32 bits

using Bytes = std::span<const std::byte>;

absl::Status CutShort(std::string_view what) {
  return absl::DataLossError(Text("zip: ends inside ", what, ", expected all of it"));
}

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(Text("zip: ", parts...));
}

// REQUIRES: at + sizeof(Unsigned) <= record.size().
template <typename Unsigned>
Unsigned At(Bytes record, size_t at) {
  return *ByteReader(record.subspan(at)).Number<Unsigned>();
}

struct Directory {
  uint64_t entries = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
};

std::optional<size_t> FindEnd(Bytes archive) {
  if (archive.size() < kEndSize) return std::nullopt;
  const size_t last = archive.size() - kEndSize;
  const size_t first = last > kMaxComment ? last - kMaxComment : 0;
  for (size_t at = last + 1; at-- > first;) {
    // The signature may also occur inside a comment; the record's own length decides.
    if (At<uint32_t>(archive, at) == kEndSignature && At<uint16_t>(archive, at + 20) == last - at) {
      return at;
    }
  }
  return std::nullopt;
}

absl::StatusOr<Directory> FindDirectory(Bytes archive) {
  const std::optional<size_t> end = FindEnd(archive);
  if (!end) {
    return absl::DataLossError(
        "zip: has no end record, expected one: the file is cut short or damaged");
  }
  const Bytes record = archive.subspan(*end, kEndSize);
  Directory directory{At<uint16_t>(record, 10), At<uint32_t>(record, 16), At<uint32_t>(record, 12)};
  uint64_t disk = At<uint16_t>(record, 4) | At<uint16_t>(record, 6);
  uint64_t expected_end = *end;
  if (*end >= kLocator64Size &&
      At<uint32_t>(archive, *end - kLocator64Size) == kLocator64Signature) {
    const size_t locator = *end - kLocator64Size;
    const uint64_t at = At<uint64_t>(archive, locator + 8);
    if (at > locator || locator - at < kEnd64Size) {
      return Invalid("zip64 end record is at byte ", at, ", expected it before byte ", locator);
    }
    const Bytes record64 = archive.subspan(at, kEnd64Size);
    if (At<uint32_t>(record64, 0) != kEnd64Signature ||
        At<uint64_t>(record64, 4) != locator - at - 12) {
      return Invalid("zip64 end record at byte ", at, " is damaged, expected it to end at byte ",
                     locator);
    }
    directory = {At<uint64_t>(record64, 32), At<uint64_t>(record64, 48),
                 At<uint64_t>(record64, 40)};
    disk = At<uint32_t>(record64, 16) | At<uint32_t>(record64, 20);
    expected_end = at;
  }
  if (disk != 0) return Invalid("spans several disks, expected one file");
  if (directory.size > expected_end || directory.offset != expected_end - directory.size) {
    return Invalid("directory of ", directory.size, " bytes is at byte ", directory.offset,
                   ", expected it to end at byte ", expected_end);
  }
  if (directory.entries > kMaxZipEntries || directory.entries > directory.size / kCentralSize) {
    return Invalid("claims ", directory.entries, " entries, expected at most ",
                   std::min<uint64_t>(kMaxZipEntries, directory.size / kCentralSize));
  }
  return directory;
}

absl::Status CheckName(std::string_view name) {
  const std::vector<absl::string_view> parts = absl::StrSplit(AbslView(name), '/');
  const bool leaves = name.empty() || name[0] == '/' || name.find('\\') != name.npos ||
                      name.find('\0') != name.npos ||
                      std::find(parts.begin(), parts.end(), "..") != parts.end();
  if (leaves) {
    return Invalid("entry name ", Quoted(name), " leaves the archive, expected a relative path");
  }
  if (name.size() > kMaxZipName) {
    return Invalid("entry name ", Quoted(name), " has ", name.size(), " bytes, expected at most ",
                   kMaxZipName);
  }
  return absl::OkStatus();
}

struct Entry {
  std::string_view name;
  uint64_t packed_size = 0;
  uint64_t size = 0;
  uint64_t header = 0;  // offset of the local header
  uint64_t end = 0;     // offset after the last byte of data
};

// Takes from the zip64 extra field those numbers that did not fit their 32 bits, in the fixed
// order.
absl::Status ReadZip64(Bytes extra, Entry& entry) {
  ByteReader fields(extra);
  while (fields.remaining() > 0) {
    const auto id = fields.Number<uint16_t>();
    const auto length = fields.Number<uint16_t>();
    const auto body = length ? fields.Bytes(*length) : std::nullopt;
    if (!body) break;  // padding of less than a field; what is missing is seen below
    if (id != kZip64Extra) continue;
    ByteReader numbers(*body);
    for (uint64_t* number : {&entry.size, &entry.packed_size, &entry.header}) {
      if (*number != 0xffff'ffff) continue;
      const auto value = numbers.Number<uint64_t>();
      if (!value)
        return Invalid("entry ", Quoted(entry.name), ": zip64 field is too short, expected more");
      *number = *value;
    }
    return absl::OkStatus();
  }
  return Invalid("entry ", Quoted(entry.name), ": has no zip64 field, expected one for its sizes");
}

absl::StatusOr<Entry> ReadCentralRecord(ByteReader& reader) {
  const auto record = reader.Bytes(kCentralSize);
  if (!record || At<uint32_t>(*record, 0) != kCentralSignature) return CutShort("its directory");
  const auto name = reader.Bytes(At<uint16_t>(*record, 28));
  const auto extra = name ? reader.Bytes(At<uint16_t>(*record, 30)) : std::nullopt;
  const auto comment = extra ? reader.Bytes(At<uint16_t>(*record, 32)) : std::nullopt;
  if (!comment) return CutShort("its directory");
  Entry entry{.name = AsText(*name),
              .packed_size = At<uint32_t>(*record, 20),
              .size = At<uint32_t>(*record, 24),
              .header = At<uint32_t>(*record, 42)};
  RETURN_IF_ERROR(CheckName(entry.name));
  if (std::max({entry.packed_size, entry.size, entry.header}) == 0xffff'ffff) {
    RETURN_IF_ERROR(ReadZip64(*extra, entry));
  }
  const auto disk = At<uint16_t>(*record, 34);
  if (disk != 0 && disk != kIn64Bits) {
    return Invalid("entry ", Quoted(entry.name), ": is on disk ", disk, ", expected 0");
  }
  if ((At<uint16_t>(*record, 8) & kEncrypted) != 0) {
    return Invalid("entry ", Quoted(entry.name), ": is encrypted, expected plain bytes");
  }
  const auto method = At<uint16_t>(*record, 10);
  if (method != kStored || entry.packed_size != entry.size) {
    return Invalid("entry ", Quoted(entry.name), ": is compressed (method ", method, ", ",
                   entry.packed_size, " bytes for ", entry.size, "), expected stored bytes");
  }
  return entry;
}

// The data follows the local header, whose length only it knows. `files` ends where the directory
// begins.
absl::StatusOr<Bytes> FindData(Bytes files, Entry& entry) {
  const auto outside = [&] {
    return Invalid("entry ", Quoted(entry.name), ": ", entry.size, " bytes from byte ",
                   entry.header, " on, expected them before the directory at byte ", files.size());
  };
  if (entry.header > files.size()) return outside();
  ByteReader reader(files.subspan(entry.header));
  const auto record = reader.Bytes(kLocalSize);
  if (!record) return outside();
  if (At<uint32_t>(*record, 0) != kLocalSignature || At<uint16_t>(*record, 8) != kStored) {
    return Invalid("entry ", Quoted(entry.name), ": no header of a stored entry at byte ",
                   entry.header, ", expected one");
  }
  const auto name = reader.Bytes(At<uint16_t>(*record, 26));
  const auto extra = name ? reader.Bytes(At<uint16_t>(*record, 28)) : std::nullopt;
  const auto data = extra ? reader.Bytes(entry.size) : std::nullopt;
  if (!data) return outside();
  if (AsText(*name) != entry.name) {
    return Invalid("entry ", Quoted(entry.name), ": its own header calls it ",
                   Quoted(AsText(*name)), ", expected the same name");
  }
  entry.end = entry.header + reader.position();
  return *data;
}

// Entries that share bytes are how small archives claim to be huge.
absl::Status CheckNoOverlap(std::vector<Entry>& entries) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.header < b.header; });
  for (size_t i = 1; i < entries.size(); ++i) {
    if (entries[i].header < entries[i - 1].end) {
      return Invalid("entry ", Quoted(entries[i].name), " begins at byte ", entries[i].header,
                     ", expected at or after ", entries[i - 1].end, ", the end of ",
                     Quoted(entries[i - 1].name));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ZipEntries> ReadZip(Bytes archive) {
  ASSIGN_OR_RETURN(const Directory directory, FindDirectory(archive));
  const Bytes files = archive.first(directory.offset);
  ByteReader reader(archive.subspan(directory.offset, directory.size));
  ZipEntries result;
  result.reserve(directory.entries);
  std::vector<Entry> entries;
  entries.reserve(directory.entries);
  for (uint64_t i = 0; i < directory.entries; ++i) {
    ASSIGN_OR_RETURN(Entry entry, ReadCentralRecord(reader));
    ASSIGN_OR_RETURN(const Bytes data, FindData(files, entry));
    if (!result.emplace(entry.name, data).second) {
      return Invalid("entry ", Quoted(entry.name), " is listed twice, expected once");
    }
    entries.push_back(entry);
  }
  if (reader.remaining() != 0) {
    return Invalid("directory has ", reader.remaining(), " bytes after its last entry, expected 0");
  }
  RETURN_IF_ERROR(CheckNoOverlap(entries));
  return result;
}

}  // namespace dyad
