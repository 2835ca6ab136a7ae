// Files of a corpus, from disk or through libarchive.
#include "client/corpus.h"

#include <array>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/file_records.h"
#include "client/json_line.h"
#include "client/packed_file.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"

namespace dyad::client {
namespace {

namespace fs = std::filesystem;

// "ewok/social-relations.jsonl.gz" without folders and endings.
std::string StemOf(const fs::path& path) {
  fs::path name = path.filename();
  if (name.extension() == ".gz") name = name.stem();
  return name.stem().string();
}

// The same; empty if it does not end as files of the format do. Some archivers add ._NAME beside
// NAME, with attributes in it.
std::string NameOfFile(const fs::path& path, TableFormat format) {
  const std::string name = path.filename().string();
  if (FormatOfName(name) != format || absl::StartsWith(name, "._")) return "";
  return StemOf(path);
}

// The task's keys in the place of the file's.
absl::Status RenameColumns(const std::map<std::string, std::string>& columns, Json& line) {
  Json renamed = Json::object();
  for (auto& [key, value] : line.items()) {
    std::string name = key;
    for (const auto& [ours, theirs] : columns) {
      if (key == theirs) name = ours;
    }
    if (renamed.contains(name)) {
      return absl::InvalidArgumentError(Text("has the key ", Quoted(name), " beside ", Quoted(key),
                                             ", which --columns gives that name"));
    }
    renamed[name] = std::move(value);
  }
  for (const auto& [ours, theirs] : columns) {
    if (renamed.contains(ours)) continue;
    return absl::InvalidArgumentError(Text("lacks the key ", Quoted(theirs), " of --columns"));
  }
  line = std::move(renamed);
  return absl::OkStatus();
}

// The files of one run, by name so that their order is that of the names.
class CorpusFiles {
 public:
  explicit CorpusFiles(const CorpusReading& reading) : reading_(reading) {}

  // The files of the format in an archive, or a file itself. `name`: of a file in a folder, from
  // there.
  absl::Status Add(const std::string& path, const std::string& name, Packing packing) {
    ASSIGN_OR_RETURN(PackedFile file, PackedFile::Open(path, packing));
    while (true) {
      ASSIGN_OR_RETURN(const std::optional<std::string> inside, file.NextFile());
      if (!inside.has_value()) return absl::OkStatus();
      has_content_ = true;
      std::optional<TableFormat> format = inside_format();
      if (!file.is_archive()) {
        format = reading_.format.has_value() ? reading_.format : InputFormatOfName(*inside);
        if (!format.has_value()) continue;
      } else if (NameOfFile(*inside, *format).empty()) {
        continue;
      }
      File& added = files_[name.empty() ? *inside : name];
      added.format = *format;
      ASSIGN_OR_RETURN(added.content, ReadAll(path, file));
    }
  }

  // Of files in folders and archives.
  TableFormat inside_format() const { return reading_.format.value_or(TableFormat::kJsonLines); }

  absl::StatusOr<std::vector<std::string>> Lines() const {
    std::vector<std::string> lines, json_columns;
    for (const char* column : {"options", "label", "numops", "ratio"}) {
      const auto theirs = reading_.columns.find(column);
      json_columns.push_back(theirs == reading_.columns.end() ? column : theirs->second);
    }
    for (const auto& [name, file] : files_) {
      int64_t taken = 0;
      const auto take = [&, &name = name](FileRecord record) -> absl::StatusOr<bool> {
        if (reading_.limit.has_value() && taken == *reading_.limit) return false;
        ASSIGN_OR_RETURN(std::string line, LineOf(name, std::move(record)));
        lines.push_back(std::move(line));
        ++taken;
        return true;
      };
      RETURN_IF_ERROR(ReadFileRecords(name, file.content, file.format, json_columns, take));
    }
    return lines;
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& [name, file] : files_) names.push_back(name);
    return names;
  }

  bool empty() const { return files_.empty(); }
  bool has_content() const { return has_content_; }  // files, of whatever kind

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
            absl::StrCat(path, ": more than ", kMaxCorpusBytes, " bytes of lines"));
      }
      content.append(buffer.data(), count);
    }
  }

  absl::StatusOr<std::string> LineOf(const std::string& name, FileRecord record) const {
    absl::StatusOr<Json>& json = record.json;
    absl::Status fault = json.status();
    if (fault.ok() && !reading_.columns.empty()) fault = RenameColumns(reading_.columns, *json);
    if (fault.ok() && reading_.check) fault = reading_.check(*json);
    if (!fault.ok() && (json.ok() || reading_.check)) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": ", record.place, ": ", fault.message()));
    }
    if (!json.ok()) return std::move(record.text);
    const bool has_file = json->contains(reading_.file_key);
    if (has_file && reading_.columns.empty()) return std::move(record.text);
    if (!has_file) (*json)[reading_.file_key] = StemOf(name);
    return FormatLine(*json);
  }

  struct File {
    TableFormat format = TableFormat::kJsonLines;
    std::string content;
  };

  const CorpusReading& reading_;
  std::map<std::string, File> files_;
  int64_t bytes_ = 0;
  bool has_content_ = false;
};

absl::Status AddFolder(const std::string& path, CorpusFiles& corpus) {
  std::error_code error;
  for (fs::recursive_directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (NameOfFile(entry->path(), corpus.inside_format()).empty() || entry->is_directory(ignored)) {
      continue;
    }
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
  CorpusFiles corpus(reading);
  const std::string suffix = SuffixOf(corpus.inside_format());
  std::error_code ignored;
  const bool is_folder = fs::is_directory(path, ignored);
  if (is_folder) {
    RETURN_IF_ERROR(AddFolder(path, corpus));
  } else {
    RETURN_IF_ERROR(corpus.Add(path, "", Packing::kArchive));
    if (!corpus.has_content()) return absl::InvalidArgumentError(absl::StrCat(path, " is empty"));
    if (corpus.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, " is no archive with *", suffix, " files, and none itself",
                       reading.format.has_value() ? "" : "; --format says what else it is"));
    }
  }
  if (corpus.empty()) return absl::NotFoundError(absl::StrCat("no *", suffix, " in ", path));
  ASSIGN_OR_RETURN(std::vector<std::string> lines, corpus.Lines());
  if (lines.empty()) return absl::InvalidArgumentError(absl::StrCat(path, " has no lines"));
  return Corpus{std::move(lines), is_folder ? corpus.Names() : std::vector<std::string>()};
}

}  // namespace dyad::client
