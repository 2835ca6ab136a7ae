// A read-only file in memory.
#include "server/checkpoint/mapped_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <utility>

#include "server/base/file.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad {

absl::Status CheckPlainFileName(std::string_view name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != name.npos ||
      name.find('\0') != name.npos) {
    return absl::InvalidArgumentError(Text("file name ", Quoted(name),
                                           " leaves the model's folder or is none, expected the ",
                                           "plain name of a file in it"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<MappedFile>> MappedFile::Open(const std::string& folder,
                                                             std::string_view name) {
  RETURN_IF_ERROR(CheckPlainFileName(name));
  ASSIGN_OR_RETURN(const OpenFile file, OpenFile::Open(std::filesystem::path(folder) / name));
  const auto size = static_cast<size_t>(file.bytes());
  const void* start = nullptr;
  if (size > 0) {  // nothing cannot be mapped
    // The mapping outlives the descriptor.
    start = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
    if (start == MAP_FAILED) {
      return absl::ErrnoToStatus(errno, Text(Quoted(name), ": cannot map ", size, " bytes"));
    }
  }
  return std::unique_ptr<MappedFile>(
      new MappedFile(std::string(name), {static_cast<const std::byte*>(start), size}));
}

MappedFile::MappedFile(std::string name, std::span<const std::byte> bytes)
    : name_(std::move(name)), bytes_(bytes) {}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void MappedFile::Release(std::span<const std::byte> part) const {
  const auto first = reinterpret_cast<uintptr_t>(bytes_.data());
  const auto begin = reinterpret_cast<uintptr_t>(part.data());
  if (begin < first || begin - first > bytes_.size() ||
      part.size() > bytes_.size() - (begin - first)) {
    return;
  }
  static const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t from = (begin + page - 1) / page * page;
  const uintptr_t to = (begin + part.size()) / page * page;
  if (from < to) madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
}

}  // namespace dyad
