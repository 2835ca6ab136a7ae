// What the kernels of a step share: weights widened, where a row reads and writes, the end of a
// chain.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/cuda/contract.h"
#include "kernels/cuda/ptx.cuh"
#include "kernels/exact_math.h"

namespace dyad::kernels::cuda {

// 16 bytes of weights of each type, widened exactly. At: element k, known when compiled, of a
// vector in registers. ElementAt: of one in memory. PairAt: elements 2i and 2i + 1 of one in
// memory.
template <Element type>
struct Vector;
template <>
struct Vector<Element::kFloat32> {
  static constexpr int kCount = 4;
  static __device__ __forceinline__ float At(const uint4& v, int k) {
    return __uint_as_float(k == 0 ? v.x : k == 1 ? v.y : k == 2 ? v.z : v.w);
  }
  static __device__ __forceinline__ float ElementAt(const uint4* v, int k) {
    return reinterpret_cast<const float*>(v)[k];
  }
};
__device__ __forceinline__ uint32_t WordOf(const uint4& v, int i) {
  return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}
template <>
struct Vector<Element::kBfloat16> {
  static constexpr int kCount = 8;
  static __device__ __forceinline__ float At(const uint4& v, int k) {
    const uint32_t word = WordOf(v, k / 2);
    return __uint_as_float(k % 2 == 0 ? word << 16 : word & 0xffff0000u);
  }
  static __device__ __forceinline__ float ElementAt(const uint4* v, int k) {
    return __uint_as_float(uint32_t{reinterpret_cast<const uint16_t*>(v)[k]} << 16);
  }
};
template <>
struct Vector<Element::kFloat16> {
  static constexpr int kCount = 8;
  static __device__ __forceinline__ float At(const uint4& v, int k) {
    const uint32_t word = WordOf(v, k / 2);
    return WidenFloat16(k % 2 == 0 ? word : word >> 16);
  }
  static __device__ __forceinline__ float ElementAt(const uint4* v, int k) {
    return WidenFloat16(reinterpret_cast<const uint16_t*>(v)[k]);
  }
};
template <>
struct Vector<Element::kInt8> {
  static constexpr int kCount = 16;
  // A byte becomes the low one of 2^23 + byte; 2^23 + 128 comes off exactly.
  static __device__ __forceinline__ float At(const uint4& v, int k) {
    const uint32_t biased = WordOf(v, k / 4) ^ 0x80808080u;
    return __uint_as_float(__byte_perm(biased, 0x4b000000u, 0x7540u + k % 4)) - 8388736.0f;
  }
  static __device__ __forceinline__ float ElementAt(const uint4* v, int k) {
    return static_cast<float>(reinterpret_cast<const int8_t*>(v)[k]);
  }
};

// A row of the source and a row group: what one row of a step is.
struct RowGroup {
  int64_t row, group;
};
__device__ __forceinline__ RowGroup RowGroupAt(const ContractArgs& p, int64_t i) {
  if (p.groups == 1) return {i, 0};
  return {i / p.groups, i % p.groups};
}

// The source of a term. Read from either place by itself: a pointer that may be to both would make
// the near ones as slow to read as those in memory.
__device__ __forceinline__ View SourceOf(const ContractArgs& p, int term) {
  View view;
  if (p.terms <= kNearTerms) {
    view = p.near_sources[term];
  } else {
    view = p.sources[term];
  }
  return view;
}

// What stands where an output goes. Not inlined, as what follows a chain: a kernel has many chains.
[[maybe_unused]] __device__ __noinline__ static float StartAt(const ContractArgs& p, int block,
                                                              int64_t row_group, int output) {
  if (p.start.data == nullptr || output >= p.outputs || row_group >= p.row_groups()) return 0.0f;
  const RowGroup at = RowGroupAt(p, row_group);
  const int64_t feature = p.destination.At(block, at.group, output);
  return feature < p.y_width ? p.start.data[at.row * p.start.stride + feature] : 0.0f;
}

__device__ __forceinline__ float Activated(Activation activation, float value) {
  switch (activation) {
    case Activation::kRelu:
      return exact::Relu(value);
    case Activation::kGelu:
      return exact::Gelu(value);
    case Activation::kGeluTanh:
      return exact::GeluTanh(value);
    default:
      return value;
  }
}

// activation(sum + bias) + residual, for one feature of one row: what follows a layer's last step.
__device__ __forceinline__ float Finished(float sum, const float* bias, Activation activation,
                                          const DeviceRows& residual, int64_t row,
                                          int64_t feature) {
  if (bias != nullptr) sum = sum + bias[feature];
  const float value = Activated(activation, sum);
  return residual.data == nullptr ? value : value + residual.data[row * residual.stride + feature];
}

// What the end of an output's chain needs, and where it goes.
struct Ending {
  float* y;            // null: nowhere
  float scale, start;  // of int8
  float step_bias, bias, residual;
};
template <Element type>
__device__ __forceinline__ Ending EndingAt(const ContractArgs& p, int block, int64_t row_group,
                                           int output) {
  Ending end = {};
  if (output >= p.outputs || row_group >= p.row_groups()) return end;
  const RowGroup at = RowGroupAt(p, row_group);
  const int64_t feature = p.destination.At(block, at.group, output);
  if (feature >= p.y_width) return end;
  if constexpr (type == Element::kInt8) {
    end.scale = p.scales[block * p.panels * kPanelOutputs + output];
    if (p.start.data != nullptr) end.start = p.start.data[at.row * p.start.stride + feature];
  }
  if (p.step_bias != nullptr) end.step_bias = p.step_bias[block * p.outputs + output];
  if (p.plan_bias != nullptr) end.bias = p.plan_bias[feature];
  if (p.residual.data != nullptr) {
    end.residual = p.residual.data[at.row * p.residual.stride + feature];
  }
  end.y = p.y.data + at.row * p.y.stride + feature;
  return end;
}
// int8 chains run over whole numbers from 0 and are scaled here. What is not there is not added: a
// zero more would turn -0 into +0.
template <Element type>
__device__ __forceinline__ void EndChain(const ContractArgs& p, const Ending& end, float chain) {
  if (end.y == nullptr) return;
  float value = chain;
  if constexpr (type == Element::kInt8) value = std::fma(chain, end.scale, end.start);
  if (p.step_bias != nullptr) value = value + end.step_bias;
  if (p.plan_bias != nullptr) value = value + end.bias;
  value = Activated(p.activation, value);
  *end.y = p.residual.data == nullptr ? value : value + end.residual;
}
// Both, not inlined: where a thread has many chains.
template <Element type>
__device__ __noinline__ void Finish(const ContractArgs& p, int block, int64_t row_group, int output,
                                    float chain) {
  EndChain<type>(p, EndingAt<type>(p, block, row_group, output), chain);
}

}  // namespace dyad::kernels::cuda
