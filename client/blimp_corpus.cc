// Files of a corpus, from disk or through libarchive.
#include "client/blimp_corpus.h"

#include <archive.h>
#include <archive_entry.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

namespace fs = std::filesystem;
using Files = std::map<std::string, std::string>;  // name -> content

// Some archivers add ._NAME beside NAME, with attributes in it.
bool IsCorpusFile(const fs::path& path) {
  return path.extension() == ".jsonl" && !absl::StartsWith(path.filename().string(), "._");
}

absl::Status TooLarge(const std::string& path) {
  return absl::ResourceExhaustedError(
      absl::StrCat(path, ": more than ", kMaxCorpusBytes, " bytes of *.jsonl"));
}

absl::StatusOr<Files> ReadFolder(const std::string& path) {
  Files files;
  int64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (!entry->is_regular_file(ignored) || !IsCorpusFile(entry->path())) continue;
    bytes += static_cast<int64_t>(entry->file_size(ignored));
    if (bytes > kMaxCorpusBytes) return TooLarge(path);
    std::ifstream file(entry->path(), std::ios::binary);
    if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", entry->path().string()));
    files[entry->path().lexically_relative(path).string()] =
        std::string(std::istreambuf_iterator<char>(file), {});
  }
  if (error) return absl::NotFoundError(absl::StrCat(path, ": ", error.message()));
  return files;
}

absl::StatusOr<Files> ReadArchive(const std::string& path) {
  const std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), &archive_read_free);
  archive_read_support_filter_all(reader.get());
  archive_read_support_format_tar(reader.get());
  const auto fault = [&] {
    const char* text = archive_error_string(reader.get());
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": not a readable tar archive: ", text != nullptr ? text : "unknown"));
  };
  if (archive_read_open_filename(reader.get(), path.c_str(), 1 << 16) != ARCHIVE_OK) {
    return fault();
  }
  Files files;
  int64_t bytes = 0;
  archive_entry* entry = nullptr;
  int status = ARCHIVE_OK;
  while ((status = archive_read_next_header(reader.get(), &entry)) == ARCHIVE_OK ||
         status == ARCHIVE_WARN) {
    const char* name = archive_entry_pathname(entry);
    if (name == nullptr || archive_entry_filetype(entry) != AE_IFREG || !IsCorpusFile(name)) {
      continue;
    }
    std::string& content = files[name];
    char buffer[1 << 16];
    la_ssize_t count = 0;
    while ((count = archive_read_data(reader.get(), buffer, sizeof(buffer))) > 0) {
      bytes += count;
      if (bytes > kMaxCorpusBytes) return TooLarge(path);
      content.append(buffer, static_cast<size_t>(count));
    }
    if (count < 0) return fault();
  }
  // A torn archive ends by an error here, never by a silent end of file.
  if (status != ARCHIVE_EOF) return fault();
  return files;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadBlimp(const std::string& path,
                                                   std::optional<int64_t> limit) {
  // Everything is read before anything is scored: a broken archive shows at once and not after an
  // hour, and the progress bar knows the total.
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return absl::NotFoundError(absl::StrCat("no such path: ", path));
  const bool folder = fs::is_directory(path, ignored);
  ASSIGN_OR_RETURN(const Files files, folder ? ReadFolder(path) : ReadArchive(path));
  if (files.empty()) return absl::NotFoundError(absl::StrCat("no *.jsonl in ", path));
  std::vector<std::string> lines;
  for (const auto& [name, content] : files) {
    int64_t taken = 0;
    for (const auto line : absl::StrSplit(content, '\n')) {
      if (line.empty() || (limit.has_value() && taken == *limit)) continue;
      lines.emplace_back(line);
      ++taken;
    }
  }
  return lines;
}

}  // namespace dyad::client
