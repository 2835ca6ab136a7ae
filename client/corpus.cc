// Files of a corpus, from disk or through libarchive.
#include "client/corpus.h"

#include <array>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/json_line.h"
#include "client/packed_file.h"
#include "client/run_header.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

namespace fs = std::filesystem;

// A file's name without its endings; empty if it is no file of a corpus. Some
// archivers add ._NAME beside NAME, with attributes in it.
std::string NameOfFile(const fs::path& path) {
  fs::path name = path.filename();
  if (name.extension() == ".gz") name = name.stem();
  if (name.extension() != ".jsonl" || absl::StartsWith(name.string(), "._")) return "";
  return name.stem().string();
}

// The files of one run, by name so that their order is that of the names.
class CorpusFiles {
 public:
  // The *.jsonl files of a file or archive. `name`: of a file in a folder, from there.
  absl::Status Add(const std::string& path, const std::string& name, Packing packing) {
    ASSIGN_OR_RETURN(PackedFile file, PackedFile::Open(path, packing));
    while (true) {
      ASSIGN_OR_RETURN(const std::optional<std::string> inside, file.NextFile());
      if (!inside.has_value()) return absl::OkStatus();
      if (NameOfFile(*inside).empty()) continue;
      ASSIGN_OR_RETURN(files_[name.empty() ? *inside : name], ReadAll(path, file));
    }
  }

  absl::StatusOr<std::vector<std::string>> Lines(const CorpusReading& reading) const {
    std::vector<std::string> lines;
    for (const auto& [name, content] : files_) {
      int64_t taken = 0, number = 0;
      for (const absl::string_view piece : absl::StrSplit(content, '\n')) {
        const std::string line(piece);
        ++number;
        if (absl::StripAsciiWhitespace(line).empty() || IsHeaderLine(line)) continue;
        if (reading.limit.has_value() && taken == *reading.limit) break;
        absl::StatusOr<Json> json = ParseLine(line);
        absl::Status fault = json.ok() && reading.check ? reading.check(*json) : json.status();
        if (reading.check && !fault.ok()) {
          return absl::InvalidArgumentError(
              absl::StrCat(name, ": line ", number, ": ", fault.message()));
        }
        if (json.ok() && !json->contains(reading.file_key)) {
          (*json)[reading.file_key] = NameOfFile(name);
          lines.push_back(FormatLine(*json));
        } else {
          lines.push_back(line);
        }
        ++taken;
      }
    }
    return lines;
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& [name, content] : files_) names.push_back(name);
    return names;
  }

  bool empty() const { return files_.empty(); }

 private:
  absl::StatusOr<std::string> ReadAll(const std::string& path, PackedFile& file) {
    std::string content;
    std::array<char, 1 << 16> buffer;
    while (true) {
      ASSIGN_OR_RETURN(const size_t count, file.Read(buffer));
      if (count == 0) return content;
      bytes_ += static_cast<int64_t>(count);
      if (bytes_ > kMaxCorpusBytes) {
        return absl::ResourceExhaustedError(
            absl::StrCat(path, ": more than ", kMaxCorpusBytes, " bytes of *.jsonl"));
      }
      content.append(buffer.data(), count);
    }
  }

  std::map<std::string, std::string> files_;
  int64_t bytes_ = 0;
};

absl::Status AddFolder(const std::string& path, CorpusFiles& corpus) {
  std::error_code error;
  for (fs::recursive_directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (NameOfFile(entry->path()).empty() || entry->is_directory(ignored)) continue;
    // Whatever else it is: a link that leads nowhere is told when it is opened.
    if (entry->exists(ignored) && !entry->is_regular_file(ignored)) {
      return absl::InvalidArgumentError(
          absl::StrCat(entry->path().string(), " is no regular file"));
    }
    RETURN_IF_ERROR(corpus.Add(entry->path().string(),
                               entry->path().lexically_relative(path).string(), Packing::kText));
  }
  if (!error) return absl::OkStatus();
  return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot read the folder ", path));
}

}  // namespace

absl::StatusOr<Corpus> ReadCorpus(const std::string& path, const CorpusReading& reading) {
  // Everything is read before anything is scored: a broken archive shows at once and not after an
  // hour, and the progress bar knows the total.
  CorpusFiles corpus;
  std::error_code ignored;
  const bool is_folder = fs::is_directory(path, ignored);
  if (is_folder) {
    RETURN_IF_ERROR(AddFolder(path, corpus));
  } else {
    RETURN_IF_ERROR(corpus.Add(path, "", Packing::kArchive));
    if (corpus.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, " is no archive with *.jsonl files, and none itself"));
    }
  }
  if (corpus.empty()) return absl::NotFoundError(absl::StrCat("no *.jsonl in ", path));
  ASSIGN_OR_RETURN(std::vector<std::string> lines, corpus.Lines(reading));
  return Corpus{std::move(lines), is_folder ? corpus.Names() : std::vector<std::string>()};
}

}  // namespace dyad::client
