// A copy of a fixture's checkpoint whose config and tensors a test may bend before it is written.
#pragma once

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "server/checkpoint/checkpoint.h"
#include "server/checkpoint/safetensors_writer.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/support/paths.h"

namespace dyad::testing {

class DamagedCopy {
 public:
  explicit DamagedCopy(const std::string& fixture) {
    const std::filesystem::path folder = FixturesDir() / fixture;
    config = nlohmann::json::parse(ReadWhole(folder / "config.json"));
    const std::unique_ptr<Checkpoint> checkpoint = *Checkpoint::Open(folder.string());
    for (const auto& [name, tensor] : checkpoint->tensors()) {
      Tensor& copy = tensors_[name];
      copy.entry = {name, tensor.type, tensor.shape};
      copy.bytes.resize(static_cast<size_t>(copy.entry.bytes()));
      // Fixtures are row-major: strides of others would need a copy element by element.
      if (tensor.contiguous()) std::memcpy(copy.bytes.data(), tensor.data, copy.bytes.size());
    }
  }

  nlohmann::json config;

  // What structured_linear says of the layers that KEY names.
  nlohmann::json& options(const std::string& key) { return config["structured_linear"][key]; }
  // A tensor of this name, zeros.
  void Put(const std::string& name, std::vector<int64_t> shape,
           StoredType type = StoredType::kFloat32) {
    Tensor& tensor = tensors_[name];
    tensor.entry = {name, type, std::move(shape)};
    tensor.bytes.assign(static_cast<size_t>(tensor.entry.bytes()), std::byte{0});
  }
  void Drop(const std::string& name) { tensors_.erase(name); }
  // The same bytes under another type of the same size.
  void Retype(const std::string& name, StoredType type) { tensors_.at(name).entry.type = type; }
  // Element `index` of a float32 tensor.
  void Set(const std::string& name, int64_t index, float value) {
    std::memcpy(&tensors_.at(name).bytes[static_cast<size_t>(index) * 4], &value, 4);
  }

  // The folder of the copy as it is now.
  std::string Write() {
    std::vector<TensorEntry> entries;
    for (const auto& [name, tensor] : tensors_) entries.push_back(tensor.entry);
    std::string text = SafetensorsHeader(entries);
    for (const auto& [name, tensor] : tensors_) {
      text.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
    }
    folder_.Write("model.safetensors", text);
    folder_.Write("config.json", config.dump());
    return folder_.path();
  }

 private:
  struct Tensor {
    TensorEntry entry;
    std::vector<std::byte> bytes;
  };
  std::map<std::string, Tensor> tensors_;
  const ScratchFolder folder_;
};

}  // namespace dyad::testing
