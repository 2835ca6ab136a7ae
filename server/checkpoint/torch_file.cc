// A file of torch.save.
#include "server/checkpoint/torch_file.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/checkpoint/byte_reader.h"
#include "server/checkpoint/state_dict.h"
#include "server/checkpoint/zip_reader.h"

namespace dyad {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view kPickleSuffix = "/data.pkl";
constexpr uint8_t kPickleStart = 0x80;  // the first byte of every pickle of protocol 2 or later

// Better words for what people have in place of a zip.
absl::Status CheckIsZip(Bytes bytes) {
  if (!bytes.empty() && static_cast<uint8_t>(bytes[0]) == kPickleStart) {
    return absl::InvalidArgumentError(
        "is a bare pickle, as torch.save wrote before PyTorch 1.6 (legacy format), expected its "
        "zip "
        "format; load and save it again with a newer PyTorch");
  }
  if (!AsText(bytes).starts_with("PK")) {
    return absl::InvalidArgumentError(Text(
        "has ", bytes.size(), " bytes that do not begin as a zip, expected a file of torch.save"));
  }
  return absl::OkStatus();
}

// The one folder of the archive, without '/': what stands before /data.pkl.
absl::StatusOr<std::string_view> FindRoot(const ZipEntries& entries) {
  std::optional<std::string_view> root;
  for (const auto& [name, data] : entries) {
    if (!name.ends_with(kPickleSuffix)) continue;
    if (root) return absl::InvalidArgumentError("zip: holds several data.pkl, expected one");
    root = name.substr(0, name.size() - kPickleSuffix.size());
  }
  if (!root) return absl::InvalidArgumentError("zip: holds no data.pkl, expected one");
  return *root;
}

absl::Status CheckByteOrder(const ZipEntries& entries, std::string_view root) {
  const auto found = entries.find(Text(root, "/byteorder"));
  if (found == entries.end() || AsText(found->second) == "little") return absl::OkStatus();
  return absl::InvalidArgumentError(
      Text("byteorder is ", Quoted(AsText(found->second)), ", expected 'little'"));
}

// The largest index that the shape reaches plus one, or nothing where it is beyond int64.
std::optional<int64_t> Reach(const StateDictEntry& entry) {
  int64_t last = entry.offset;
  for (size_t i = 0; i < entry.shape.size(); ++i) {
    int64_t step = 0;
    if (__builtin_mul_overflow(entry.shape[i] - 1, entry.strides[i], &step) ||
        __builtin_add_overflow(last, step, &last)) {
      return std::nullopt;
    }
  }
  int64_t reach = 0;
  if (__builtin_add_overflow(last, 1, &reach)) return std::nullopt;
  return reach;
}

absl::StatusOr<StoredTensor> Locate(const ZipEntries& zip, std::string_view root,
                                    const StateDictEntry& entry, std::string_view file) {
  const PickledStorage& storage = entry.storage;
  const std::string path = Text(root, "/data/", storage.key);
  const auto found = zip.find(path);
  if (found == zip.end()) {
    return absl::InvalidArgumentError(
        Text("its storage ", Quoted(path), " is not in the zip, expected it there"));
  }
  const Bytes data = found->second;
  const int64_t item = StoredBytes(storage.type);
  const auto held = static_cast<int64_t>(data.size()) / item;
  if (storage.elements < 0 || storage.elements > held) {
    return absl::DataLossError(Text("its storage ", Quoted(path), " has ", data.size(),
                                    " bytes, expected ", storage.elements, " elements of ",
                                    StoredName(storage.type)));
  }
  const auto negative = [](int64_t number) { return number < 0; };
  const std::optional<int64_t> count = ElementCount(entry.shape);
  if (!count || *count > storage.elements) {
    return absl::InvalidArgumentError(
        Text("shape is ", ShapeText(entry.shape), ", expected sizes >= 0 and at most the ",
             storage.elements, " elements of its storage ", Quoted(path)));
  }
  if (entry.offset < 0 || std::any_of(entry.strides.begin(), entry.strides.end(), negative)) {
    return absl::InvalidArgumentError(Text("offset is ", entry.offset, " and strides are ",
                                           ShapeText(entry.strides), ", expected numbers >= 0"));
  }
  const std::optional<int64_t> reach = *count == 0 ? entry.offset : Reach(entry);
  if (!reach || *reach > storage.elements) {
    return absl::InvalidArgumentError(
        Text("shape ", ShapeText(entry.shape), " with strides ", ShapeText(entry.strides),
             " and offset ", entry.offset, " points outside its storage ", Quoted(path),
             ", expected all of it inside ", storage.elements, " elements"));
  }
  return StoredTensor{.type = storage.type,
                      .shape = entry.shape,
                      .strides = entry.strides,
                      .data = data.data() + entry.offset * item,
                      .file = std::string(file)};
}

absl::StatusOr<TensorMap> Read(Bytes bytes, std::string_view file) {
  RETURN_IF_ERROR(CheckIsZip(bytes));
  ASSIGN_OR_RETURN(const ZipEntries zip, ReadZip(bytes));
  ASSIGN_OR_RETURN(const std::string_view root, FindRoot(zip));
  RETURN_IF_ERROR(CheckByteOrder(zip, root));
  const Bytes pickle = zip.at(Text(root, kPickleSuffix));
  ASSIGN_OR_RETURN(const std::vector<StateDictEntry> entries, ReadStateDict(pickle));
  TensorMap tensors;
  tensors.reserve(entries.size());
  for (const StateDictEntry& entry : entries) {
    absl::StatusOr<StoredTensor> tensor = Locate(zip, root, entry, file);
    if (!tensor.ok()) {
      return absl::Status(tensor.status().code(),
                          Text("tensor ", Quoted(entry.name), ": ", tensor.status().message()));
    }
    tensors.emplace(entry.name, *std::move(tensor));
  }
  return tensors;
}

}  // namespace

absl::StatusOr<TensorMap> ReadTorchFile(Bytes bytes, std::string_view file) {
  absl::StatusOr<TensorMap> tensors = Read(bytes, file);
  if (tensors.ok()) return tensors;
  return absl::Status(tensors.status().code(),
                      Text(Quoted(file), ": ", tensors.status().message()));
}

}  // namespace dyad
