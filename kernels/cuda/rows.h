// Kernels that work row by row: LayerNorm, look-ups, gathering, the end of a layer.
#pragma once

#include <cstdint>

#include "kernels/cuda/contract.h"
#include "kernels/cuda/runtime.h"
#include "kernels/element.h"
#include "kernels/epilogue.h"

namespace dyad::kernels::cuda {

// y[t] = (x[t] − mean) / √(variance + ε) · weight + bias, with the CPU's sums: 16 lanes, folded by
// 8, 4, 2, 1.
struct NormArgs {
  int64_t rows = 0;
  int64_t features = 0;
  DeviceRows x = {}, y = {};
  const float* weight = nullptr;  // [features]; null: none, nor bias
  const float* bias = nullptr;
  float epsilon = 0;
};
void LaunchNorm(Runtime& runtime, const NormArgs& args);

// y[t] = or += row index[t] + offset of the table.
struct EmbedArgs {
  int64_t rows = 0;
  int64_t columns = 0;
  const void* table = nullptr;
  const float* scales = nullptr;  // int8: of each row
  Element type = Element::kFloat32;
  const int32_t* index = nullptr;  // [rows]
  int64_t offset = 0;
  bool adds = false;
  DeviceRows y = {};
};
void LaunchEmbed(Runtime& runtime, const EmbedArgs& args);

// y[t] = x[index[t]]
struct GatherArgs {
  int64_t rows = 0;
  int64_t columns = 0;
  const int32_t* index = nullptr;
  DeviceRows x = {}, y = {};
};
void LaunchGather(Runtime& runtime, const GatherArgs& args);

// y = activation(sum + bias by feature) + residual, for `features` columns of `args.rows` rows.
struct FinishArgs {
  int64_t rows = 0;
  int64_t features = 0;
  DeviceRows sum = {}, y = {};
  const float* bias = nullptr;  // null: none
  Activation activation = Activation::kNone;
  DeviceRows residual = {};
};
void LaunchFinish(Runtime& runtime, const FinishArgs& args);

}  // namespace dyad::kernels::cuda
