// Golden values of a fixture, and small checkpoints written by tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/float16.h"
#include "kernels/reference/integer.h"
#include "kernels/reference/plan.h"
#include "nlohmann/json.hpp"
#include "server/checkpoint/checkpoint.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/server/model/model_runner.h"

namespace dyad::testing {

// Tensors of expected.safetensors, read through a copy under the name that checkpoints have.
class Golden {
 public:
  explicit Golden(const std::string& fixture) {
    std::filesystem::copy(FixturesDir() / fixture / "expected.safetensors",
                          folder_ / "model.safetensors");
    auto opened = Checkpoint::Open(folder_.path());
    EXPECT_OK(opened);
    if (opened.ok()) checkpoint_ = *std::move(opened);
  }

  template <typename T>  // T: as stored, float or int64_t
  std::vector<T> Values(const std::string& name) const {
    const StoredTensor& tensor = checkpoint_->tensors().at(name);
    std::vector<T> values(tensor.elements());
    EXPECT_EQ(StoredBytes(tensor.type), static_cast<int64_t>(sizeof(T)));
    std::memcpy(values.data(), tensor.data, values.size() * sizeof(T));
    return values;
  }

  std::vector<int32_t> Ids(const std::string& name) const {
    const std::vector<int64_t> ids = Values<int64_t>(name);
    return {ids.begin(), ids.end()};
  }

  // [rows][vocab_size], computed in double.
  std::vector<std::vector<double>> LogSoftmax(const std::string& name) const {
    const auto [rows, columns] = Shape(name);
    const std::vector<float> logits = Values<float>(name);
    std::vector<std::vector<double>> result;
    for (int64_t t = 0; t < rows; ++t) {
      const float* row = &logits[t * columns];
      double sum = 0;
      for (int64_t i = 0; i < columns; ++i) sum += std::exp(double{row[i]});
      result.emplace_back();
      for (int64_t i = 0; i < columns; ++i) result.back().push_back(row[i] - std::log(sum));
    }
    return result;
  }

  std::pair<int64_t, int64_t> Shape(const std::string& name) const {
    const std::vector<int64_t>& shape = checkpoint_->tensors().at(name).shape;
    return {shape.at(0), shape.at(1)};
  }

  // Module paths that have values of a direct call.
  std::vector<std::string> LayerPaths() const {
    std::vector<std::string> paths;
    for (const auto& [name, tensor] : checkpoint_->tensors()) {
      if (name.starts_with("layer.") && name.ends_with(".x")) {
        paths.push_back(name.substr(6, name.size() - 8));
      }
    }
    return paths;
  }

 private:
  ScratchFolder folder_;
  std::unique_ptr<Checkpoint> checkpoint_;
};

// The largest |a − b|; NaN counts as infinite.
inline double Distance(const std::vector<std::vector<float>>& a,
                       const std::vector<std::vector<double>>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (size_t t = 0; t < std::min(a.size(), b.size()); ++t) {
    EXPECT_EQ(a[t].size(), b[t].size());
    for (size_t i = 0; i < a[t].size(); ++i) {
      const double distance = std::abs(a[t][i] - b[t][i]);
      largest = distance <= largest ? largest : (distance == distance ? distance : INFINITY);
    }
  }
  return largest;
}

// A checkpoint in memory, to be written as model.safetensors.
struct MemoryTensor {
  std::string dtype;  // "F32", "F16", "BF16", "F64", "I64"
  std::vector<int64_t> shape;
  std::string bytes;
};
using MemoryTensors = std::map<std::string, MemoryTensor>;

inline std::string SafetensorsBytes(const MemoryTensors& tensors) {
  nlohmann::json header = nlohmann::json::object();
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    header[name] = {{"dtype", tensor.dtype},
                    {"shape", tensor.shape},
                    {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
    data += tensor.bytes;
  }
  const std::string text = header.dump();
  return Little(text.size(), 8) + text + data;
}

inline MemoryTensor FloatTensor(std::vector<int64_t> shape, const std::vector<float>& values) {
  return {"F32", std::move(shape),
          std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float))};
}

// The tensors of a fixture in float32, each value passed through `change`(name, value).
inline MemoryTensors FixtureTensors(
    const std::string& fixture, const std::function<float(const std::string&, float)>& change =
                                    [](const std::string&, float v) { return v; }) {
  MemoryTensors result;
  const auto checkpoint = Checkpoint::Open(FixtureFolder(fixture));
  EXPECT_OK(checkpoint);
  if (!checkpoint.ok()) return result;
  for (const auto& [name, tensor] : (*checkpoint)->tensors()) {
    if (tensor.type != StoredType::kFloat32 && tensor.type != StoredType::kFloat16) continue;
    EXPECT_TRUE(tensor.contiguous()) << name;
    std::vector<float> values(tensor.elements());
    for (int64_t i = 0; i < tensor.elements(); ++i) {
      const std::byte* address = tensor.data + i * StoredBytes(tensor.type);
      if (tensor.type == StoredType::kFloat32) {
        std::memcpy(&values[i], address, sizeof(float));
      } else {
        uint16_t half;
        std::memcpy(&half, address, sizeof(half));
        values[i] = kernels::FromFloat16(half);
      }
      values[i] = change(name, values[i]);
    }
    result[name] = FloatTensor(tensor.shape, values);
  }
  return result;
}

inline bool IsNormOrBias(const std::string& name) {
  return name.ends_with("bias") || name.find("norm") != std::string::npos;
}

// The weights of row `row` of each tensor, as int8 with one scale stands for them.
inline void RowThroughInt8(const std::vector<MemoryTensor*>& tensors, int64_t row) {
  std::vector<double> weights;
  for (const MemoryTensor* tensor : tensors) {
    const int64_t columns = tensor->shape.back();
    const auto* values = reinterpret_cast<const float*>(tensor->bytes.data()) + row * columns;
    weights.insert(weights.end(), values, values + columns);
  }
  weights = kernels::reference::ThroughInt8(std::move(weights));
  auto next = weights.begin();
  for (MemoryTensor* tensor : tensors) {
    const int64_t columns = tensor->shape.back();
    auto* values = reinterpret_cast<float*>(tensor->bytes.data()) + row * columns;
    for (int64_t i = 0; i < columns; ++i) values[i] = static_cast<float>(*next++);
  }
}

// A fixture in float32 with the weights that int8 stands for: a scale for each row of a matrix or
// table, and for an output that wl and wu give in one step one for its rows of both.
inline MemoryTensors FixtureTensorsThroughInt8(const std::string& fixture) {
  MemoryTensors tensors = FixtureTensors(fixture);
  const bool two_steps =
      fixture.find("-ot") != std::string::npos || fixture.find("-dt") != std::string::npos;
  for (auto& [name, tensor] : tensors) {
    if (IsNormOrBias(name) || tensor.shape.size() < 2) continue;
    std::vector<MemoryTensor*> together = {&tensor};
    if (!two_steps && name.ends_with(".wu")) continue;  // with its wl
    if (!two_steps && name.ends_with(".wl")) {
      together.push_back(&tensors.at(name.substr(0, name.size() - 2) + "wu"));
    }
    int64_t rows = 1;
    for (size_t i = 0; i + 1 < tensor.shape.size(); ++i) rows *= tensor.shape[i];
    for (int64_t row = 0; row < rows; ++row) RowThroughInt8(together, row);
  }
  return tensors;
}

}  // namespace dyad::testing
