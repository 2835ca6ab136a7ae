// Files made by hand for the readers' tests: zip archives, pickles and safetensors, well-formed or
// bent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

// GCC 12 sees an overlap in "literal" + std::string() that is none (its bug 105651); it is silenced
// for what follows, the tests that include this.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wrestrict"
#endif

namespace dyad::testing {

// Copies of files of unknown origin, on the heap and exactly as long, so that the address sanitizer
// sees a read past the end.
class HeapBytes {
 public:
  explicit HeapBytes(std::string_view text)
      : size_(text.size()), bytes_(new std::byte[text.size()]) {
    std::memcpy(bytes_.get(), text.data(), text.size());
  }
  std::span<const std::byte> view() const { return {bytes_.get(), size_}; }

 private:
  size_t size_;
  std::unique_ptr<std::byte[]> bytes_;
};

// A folder of its own, removed with all it holds.
class ScratchFolder {
 public:
  ScratchFolder() {
    const std::string unique = std::to_string(std::random_device()());
    path_ = std::filesystem::temp_directory_path() / ("dyad_model_test_" + unique);
    std::filesystem::create_directories(path_);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::string path() const { return path_.string(); }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  void Write(std::string_view name, std::string_view text) const {
    std::ofstream(path_ / name, std::ios::binary).write(text.data(), std::ssize(text));
  }

 private:
  std::filesystem::path path_;
};

inline std::string ReadWhole(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// `count` bytes, little-endian, which may be more than 8.
inline std::string Little(uint64_t value, size_t count) {
  std::string bytes;
  for (size_t i = 0; i < count; ++i) bytes.push_back(i < 8 ? static_cast<char>(value >> 8 * i) : 0);
  return bytes;
}

inline void Patch(std::string& bytes, size_t at, std::string_view with) {
  bytes.replace(at, with.size(), with);
}

// ---- zip

struct ZipPart {
  std::string name;
  std::string data;
};
enum class ZipForm { kPlain, kZip64 };  // kZip64 writes every number in its 64-bit place

struct BuiltZip {
  std::string bytes;
  std::vector<size_t> local;    // offsets of the local headers
  std::vector<size_t> central;  // offsets of the directory's records
  size_t end64 = 0;             // of the zip64 end record, if there is one
  size_t end = 0;               // of the end record
};

inline BuiltZip MakeZip(const std::vector<ZipPart>& parts, ZipForm form = ZipForm::kPlain) {
  const bool wide = form == ZipForm::kZip64;
  BuiltZip zip;
  std::string& out = zip.bytes;
  for (const ZipPart& part : parts) {
    zip.local.push_back(out.size());
    out += "PK\3\4" + Little(20, 2) + Little(0, 12);
    out += Little(part.data.size(), 4) + Little(part.data.size(), 4);
    out += Little(part.name.size(), 2) + Little(0, 2) + part.name + part.data;
  }
  const size_t directory = out.size();
  for (size_t i = 0; i < parts.size(); ++i) {
    const size_t size = parts[i].data.size();
    const std::string extra =
        Little(1, 2) + Little(24, 2) + Little(size, 8) + Little(size, 8) + Little(zip.local[i], 8);
    zip.central.push_back(out.size());
    out += "PK\1\2" + Little(0, 16);
    out += wide ? Little(~uint64_t{0}, 8) : Little(size, 4) + Little(size, 4);
    out += Little(parts[i].name.size(), 2) + Little(wide ? extra.size() : 0, 2) + Little(0, 10);
    out += Little(wide ? 0xffff'ffff : zip.local[i], 4) + parts[i].name + (wide ? extra : "");
  }
  const size_t directory_size = out.size() - directory;
  if (wide) {
    zip.end64 = out.size();
    out += "PK\6\6" + Little(44, 8) + Little(0, 12) + Little(parts.size(), 8) +
           Little(parts.size(), 8) + Little(directory_size, 8) + Little(directory, 8);
    out += "PK\6\7" + Little(0, 4) + Little(zip.end64, 8) + Little(1, 4);
  }
  zip.end = out.size();
  out +=
      "PK\5\6" + Little(0, 4) + Little(wide ? 0xffff'ffff : parts.size() << 16 | parts.size(), 4);
  out += wide ? Little(~uint64_t{0}, 8) : Little(directory_size, 4) + Little(directory, 4);
  out += Little(0, 2);
  return zip;
}

// ---- pickles: pieces of protocol 2, to be put together with +

namespace pickle {

inline const std::string kStart = "\x80\x02";
inline const std::string kStop = ".";
inline const std::string kMark = "(";

inline std::string Global(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}
inline std::string String(std::string_view text) {
  return "X" + Little(text.size(), 4) + std::string(text);
}
inline std::string Integer(int64_t value) {  // LONG1
  return "\x8a\x08" + Little(static_cast<uint64_t>(value), 8);
}
inline std::string Tuple(const std::vector<int64_t>& values) {
  std::string result = kMark;
  for (const int64_t value : values) result += Integer(value);
  return result + "t";
}
inline std::string Storage(std::string_view type, std::string_view key, int64_t elements) {
  return kMark + String("storage") + Global("torch", type) + String(key) + String("cpu") +
         Integer(elements) + "tQ";
}

struct Tensor {
  std::string name;
  std::string type = "FloatStorage";
  std::string key = "0";
  int64_t elements = 0;  // of the storage
  int64_t offset = 0;
  std::vector<int64_t> shape = {};
  std::vector<int64_t> strides = {};
};
inline std::string Value(const Tensor& t) {
  return Global("torch._utils", "_rebuild_tensor_v2") + kMark + Storage(t.type, t.key, t.elements) +
         Integer(t.offset) + Tuple(t.shape) + Tuple(t.strides) + "\x89" +
         Global("collections", "OrderedDict") + ")Rt" + "R";
}
// An OrderedDict with a _metadata attribute, as Module.state_dict() returns it; no start, no stop.
inline std::string StateDict(const std::vector<Tensor>& tensors) {
  std::string result = Global("collections", "OrderedDict") + ")R" + kMark;
  for (const Tensor& tensor : tensors) result += String(tensor.name) + Value(tensor);
  result += "u}" + String("_metadata") + Global("collections", "OrderedDict") + ")Rs" + "b";
  return result;
}
inline std::string Whole(const std::string& value) { return kStart + value + kStop; }

}  // namespace pickle

// A file of torch.save with these storages under data/.
inline std::string MakeTorchFile(const std::string& data_pkl, const std::vector<ZipPart>& storages,
                                 ZipForm form = ZipForm::kPlain) {
  std::vector<ZipPart> parts = {{"archive/data.pkl", data_pkl}, {"archive/byteorder", "little"}};
  for (const ZipPart& storage : storages) {
    parts.push_back({"archive/data/" + storage.name, storage.data});
  }
  return MakeZip(parts, form).bytes;
}

// ---- safetensors

inline std::string MakeSafetensors(std::string_view header, std::string_view data) {
  return Little(header.size(), 8) + std::string(header) + std::string(data);
}

}  // namespace dyad::testing
