// What a loader needs around a checkpoint, and values for its tensors.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/devices.h"
#include "server/checkpoint/checkpoint.h"
#include "server/checkpoint/tensor_source.h"
#include "server/model/load_context.h"
#include "server/model/structured_linear.h"
#include "tests/server/checkpoint/fake_checkpoint.h"
#include "tests/support/forwarding_device.h"

namespace dyad::testing {

// A LoadContext over a checkpoint, fake or not.
struct Loading {
  explicit Loading(const Checkpoint& checkpoint, LoadPass pass = LoadPass::kPack,
                   WeightDtype dtype = WeightDtype::kAsStored)
      : Loading(checkpoint, kernels::MakeCpuDevice({.threads = 2}), nullptr, pass, dtype) {}
  // For a device of somebody else's.
  Loading(const Checkpoint& checkpoint, kernels::Device& elsewhere)
      : Loading(checkpoint, nullptr, &elsewhere, LoadPass::kPack, WeightDtype::kAsStored) {}

 private:
  Loading(const Checkpoint& checkpoint, std::unique_ptr<kernels::Device> own,
          kernels::Device* elsewhere, LoadPass pass, WeightDtype dtype)
      : device(std::move(own)),
        tensors(checkpoint, "model."),
        context{.tensors = tensors,
                .structured = structured,
                .layer_options = layer_options,
                .weight_dtype = dtype,
                .layer_form = kernels::LayerForm::kAuto,
                .pass = pass,
                .device = elsewhere != nullptr ? *elsewhere : *device,
                .tally = {},
                .linears = {}} {}

 public:
  std::unique_ptr<kernels::Device> device;  // null where it is somebody else's
  TensorSource tensors;
  StructuredLinear structured;
  std::map<std::string, int64_t, std::less<>> layer_options;
  LoadContext context;
};

// Counts the floats that are asked for.
struct CountingDevice : kernels::ForwardingDevice {
  CountingDevice() : ForwardingDevice(kernels::MakeCpuDevice({.threads = 1})) {}
  kernels::Matrix Allocate(int64_t rows, int64_t columns) override {
    floats += rows * columns;
    return ForwardingDevice::Allocate(rows, columns);
  }
  int64_t floats = 0;
};

// Rows of `table` for these ids, as the device looks them up.
inline std::vector<float> LookedUp(kernels::Device& device, const kernels::Table& table,
                                   std::span<const int32_t> ids, int64_t offset, int64_t columns) {
  const kernels::Matrix y = device.Allocate(std::ssize(ids), columns);
  device.Begin({.ids = ids});
  device.Embed(table, kernels::IndexedBy::kId, offset, kernels::Lookup::kCopy, y);
  return device.Read(y);
}

// The layer's outputs for rows x [rows, in].
inline std::vector<float> Applied(kernels::Device& device, const kernels::Layer& layer,
                                  const std::vector<float>& x,
                                  kernels::Activation activation = kernels::Activation::kNone) {
  const int64_t rows = std::ssize(x) / layer.in_features();
  const kernels::Matrix from = device.Allocate(rows, layer.in_features());
  const kernels::Matrix to = device.Allocate(rows, layer.out_features());
  device.Write(from, x);
  device.Apply(from, {{&layer, to}}, {.activation = activation, .residual = {}});
  return device.Read(to);
}

// Distinct values that are exact in every type: multiples of 1/8 in [−4, 4).
inline std::vector<float> Eighths(int64_t count, uint32_t seed) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    values.push_back(static_cast<float>(seed >> 26) / 8.0f - 4.0f);
  }
  return values;
}

}  // namespace dyad::testing
