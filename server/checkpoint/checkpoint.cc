// A checkpoint folder on disk -> its tensors by name.
#include "server/checkpoint/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "server/base/file.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/base/string_map.h"
#include "server/checkpoint/byte_reader.h"
#include "server/checkpoint/mapped_file.h"
#include "server/checkpoint/safetensors.h"
#include "server/checkpoint/shard_index.h"
#include "server/checkpoint/torch_file.h"

namespace dyad {
namespace {

namespace fs = std::filesystem;

using Reader = absl::StatusOr<TensorMap> (*)(std::span<const std::byte>, std::string_view);

// In order of preference.
constexpr struct {
  std::string_view single;
  std::string_view index;
  Reader reader;
} kLayouts[] = {
    {"model.safetensors", "model.safetensors.index.json", &ReadSafetensors},
    {"pytorch_model.bin", "pytorch_model.bin.index.json", &ReadTorchFile},
};
constexpr size_t kMaxFolderEntries = 100'000;

class MappedCheckpoint : public Checkpoint {
 public:
  const TensorMap& tensors() const override { return tensors_; }
  const std::vector<std::string>& files() const override { return files_; }

  void Release(const StoredTensor& tensor) const override {
    const auto mapping = mappings_.find(tensor.file);
    if (mapping == mappings_.end()) return;
    mapping->second->Release({tensor.data, static_cast<size_t>(tensor.span_bytes())});
  }

  absl::Status Add(const std::string& folder, std::string_view name, Reader reader) {
    ASSIGN_OR_RETURN(std::unique_ptr<MappedFile> file, MappedFile::Open(folder, name));
    ASSIGN_OR_RETURN(TensorMap tensors, reader(file->bytes(), name));
    for (auto& [tensor_name, tensor] : tensors) {
      const auto [place, is_new] = tensors_.try_emplace(tensor_name, std::move(tensor));
      if (!is_new) {
        return absl::InvalidArgumentError(Text(Quoted(name), ": tensor ", Quoted(tensor_name),
                                               " is also in ", Quoted(place->second.file),
                                               ", expected it in one shard"));
      }
      if (tensors_.size() > kMaxTensors) {
        return absl::InvalidArgumentError(Text(Quoted(name),
                                               ": brings the checkpoint to more than ", kMaxTensors,
                                               " tensors, expected less"));
      }
    }
    files_.emplace_back(name);
    std::sort(files_.begin(), files_.end());
    mappings_.emplace(name, std::move(file));
    return absl::OkStatus();
  }

 private:
  StringMap<std::unique_ptr<MappedFile>> mappings_;  // by file name
  TensorMap tensors_;
  std::vector<std::string> files_;
};

// The only *.pth of the folder, or nothing where there is none.
absl::StatusOr<std::optional<std::string>> FindPth(const std::string& folder) {
  std::optional<std::string> found;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (size_t count = 0; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (++count > kMaxFolderEntries) {
      return absl::InvalidArgumentError(
          Text(Quoted(folder), ": holds more than ", kMaxFolderEntries, " files, expected less"));
    }
    if (entry->path().extension() != ".pth") continue;
    std::string name = entry->path().filename().string();
    if (found) {
      const auto [first, second] = std::minmax(*found, name);
      return absl::InvalidArgumentError(Text(Quoted(folder), ": holds ", Quoted(first), " and ",
                                             Quoted(second), ", expected exactly one *.pth"));
    }
    found = std::move(name);
  }
  if (error) {
    return absl::ErrnoToStatus(error.value(), Text(Quoted(folder), ": cannot list its files"));
  }
  return found;
}

absl::Status AddShards(const std::string& folder, std::string_view index_name, Reader reader,
                       MappedCheckpoint& checkpoint) {
  ASSIGN_OR_RETURN(const auto index_file, MappedFile::Open(folder, index_name));
  ASSIGN_OR_RETURN(const ShardIndex index, ReadShardIndex(AsText(index_file->bytes()), index_name));
  for (const auto& [tensor, shard] : index) {
    const auto& files = checkpoint.files();
    if (!std::binary_search(files.begin(), files.end(), shard)) {
      ASSIGN_OR_RETURN(const bool is_there, HasEntry(fs::path(folder) / shard));
      if (!is_there) {
        return absl::NotFoundError(Text(Quoted(index_name), ": tensor ", Quoted(tensor),
                                        ": its shard ", Quoted(shard),
                                        " is not in the folder, expected it there"));
      }
      RETURN_IF_ERROR(checkpoint.Add(folder, shard, reader));
    }
    const auto found = checkpoint.tensors().find(tensor);
    if (found == checkpoint.tensors().end() || found->second.file != shard) {
      return absl::InvalidArgumentError(Text(Quoted(index_name), ": tensor ", Quoted(tensor),
                                             " is not in its shard ", Quoted(shard),
                                             ", expected it there"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::Open(const std::string& folder) {
  RETURN_IF_ERROR(CheckModelFolder(folder));
  auto checkpoint = std::make_unique<MappedCheckpoint>();
  for (const auto& layout : kLayouts) {
    // By name: a link that leads nowhere is there too, and then fails to open.
    ASSIGN_OR_RETURN(const bool has_single, HasEntry(fs::path(folder) / layout.single));
    if (has_single) {
      RETURN_IF_ERROR(checkpoint->Add(folder, layout.single, layout.reader));
      return checkpoint;
    }
    ASSIGN_OR_RETURN(const bool has_index, HasEntry(fs::path(folder) / layout.index));
    if (has_index) {
      RETURN_IF_ERROR(AddShards(folder, layout.index, layout.reader, *checkpoint));
      return checkpoint;
    }
  }
  ASSIGN_OR_RETURN(const std::optional<std::string> pth, FindPth(folder));
  if (!pth) {
    return absl::NotFoundError(
        Text(Quoted(folder),
             ": holds no weight file, expected model.safetensors, pytorch_model.bin, an ",
             "index of shards (.index.json) or one *.pth"));
  }
  RETURN_IF_ERROR(checkpoint->Add(folder, *pth, &ReadTorchFile));
  return checkpoint;
}

}  // namespace dyad
