// A folder under another name, file by file, then the rename.
#include "server/tools/densify.h"

#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "server/base/file.h"
#include "server/base/message_text.h"
#include "server/base/new_file.h"
#include "server/base/progress.h"
#include "server/base/status_macros.h"
#include "server/checkpoint/safetensors_writer.h"
#include "server/text/load_tokenizer.h"

namespace dyad {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostCopiedBytes = int64_t{1} << 28;  // far above any tokenizer's file

absl::Status RefuseEntry(const fs::path& path, std::string_view advice) {
  ASSIGN_OR_RETURN(const bool is_there, HasEntry(path));
  if (!is_there) return absl::OkStatus();
  return absl::AlreadyExistsError(Text(Quoted(path.string()), advice));
}

// The folder that is written. Removed at the end, unless it was renamed.
class PartialFolder {
 public:
  static absl::StatusOr<PartialFolder> Create(fs::path path) {
    std::error_code error;
    fs::create_directory(path, error);
    if (!error) return PartialFolder(std::move(path));
    return absl::ErrnoToStatus(error.value(), Text(Quoted(path.string()), ": cannot create it"));
  }
  PartialFolder(PartialFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  PartialFolder& operator=(PartialFolder&&) = delete;
  ~PartialFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }

  const fs::path& path() const { return path_; }

  absl::Status Rename(const fs::path& to) {
    std::error_code error;
    fs::rename(path_, to, error);
    if (error) {
      return absl::ErrnoToStatus(error.value(), Text(Quoted(path_.string()), ": cannot rename it"));
    }
    path_.clear();
    return absl::OkStatus();
  }

 private:
  explicit PartialFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

int64_t Kilobytes(int64_t bytes) { return (bytes + 999) / 1000; }

absl::Status WriteShard(const Shard& shard, const fs::path& folder, DenseCheckpoint& checkpoint,
                        Progress& progress) {
  ASSIGN_OR_RETURN(NewFile file, NewFile::Create(folder / shard.file));
  RETURN_IF_ERROR(file.Write(SafetensorsHeader(shard.entries)));
  for (const TensorEntry& entry : shard.entries) {
    RETURN_IF_ERROR(checkpoint.Write(
        entry, [&](std::span<const std::byte> bytes) { return file.Write(bytes); }));
    progress.Add(Kilobytes(entry.bytes()));
  }
  return file.Close();
}

absl::StatusOr<DensifyResult> WriteWeights(DenseCheckpoint& checkpoint, int64_t max_shard_bytes,
                                           const fs::path& folder, const Console& console) {
  DensifyResult result;
  int64_t kilobytes = 0;
  for (const TensorEntry& entry : checkpoint.entries()) {
    ++result.tensors;
    result.bytes += entry.bytes();
    kilobytes += Kilobytes(entry.bytes());
  }
  const std::vector<Shard> shards = PlanShards(checkpoint.entries(), max_shard_bytes);
  result.weight_files = std::ssize(shards);
  Progress progress(console.err, console.err_screen, {.unit = "kB", .total = kilobytes});
  for (const Shard& shard : shards) {
    RETURN_IF_ERROR(WriteShard(shard, folder, checkpoint, progress));
  }
  if (shards.size() > 1) {
    RETURN_IF_ERROR(WriteNewFile(folder / "model.safetensors.index.json", ShardIndexText(shards)));
  }
  return result;
}

absl::Status CopyTexts(const std::string& in, const fs::path& folder) {
  ASSIGN_OR_RETURN(std::vector<std::string> names, TokenizerFiles(in));
  constexpr char kGenerationConfig[] = "generation_config.json";
  ASSIGN_OR_RETURN(const bool has_one, HasEntry(fs::path(in) / kGenerationConfig));
  if (has_one) names.emplace_back(kGenerationConfig);
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const std::string text, ReadFile(fs::path(in) / name, kMostCopiedBytes));
    RETURN_IF_ERROR(WriteNewFile(folder / name, text));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DensifyResult> DensifyFolder(const std::string& in, const std::string& out,
                                            const DensifyOptions& options, const Console& console) {
  fs::path to(out);
  if (!to.has_filename()) to = to.parent_path();  // a slash at the end
  const fs::path partial = to.string() + ".partial";
  RETURN_IF_ERROR(RefuseEntry(to, ": is there; expected a new folder"));
  RETURN_IF_ERROR(RefuseEntry(
      partial, ": is there, of a run that was stopped or still writes; remove it if none does"));
  ASSIGN_OR_RETURN(const std::unique_ptr<DenseCheckpoint> checkpoint,
                   DenseCheckpoint::Open(in, options.type, options.device()));
  ASSIGN_OR_RETURN(PartialFolder folder, PartialFolder::Create(partial));
  RETURN_IF_ERROR(CopyTexts(in, folder.path()));
  ASSIGN_OR_RETURN(const DensifyResult result,
                   WriteWeights(*checkpoint, options.max_shard_bytes, folder.path(), console));
  // Last, so that a folder that is not whole is no checkpoint.
  RETURN_IF_ERROR(WriteNewFile(folder.path() / "config.json", checkpoint->config()));
  RETURN_IF_ERROR(folder.Rename(to));
  return result;
}

}  // namespace dyad
