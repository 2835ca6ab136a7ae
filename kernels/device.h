// Where a model lives and what computes it. Networks are written once, against this interface:
//
//   load   Pack, MakeTable, MakeNorm, Allocate, MapKv         weights and memory
//   step   Begin → Embed, Normalize, Apply, Attend … → Finish → End
//
// Only the device looks behind a matrix, a layer, a table or a norm. kernels/reference/device.h
// says what each operator computes, in plain loops; every other device is compared with it.
//
// Bits: a row's results depend on the ids before it in its sequence, never on the other rows, on
// where a step was cut, or on the number of threads.
//
// Threads: one at a time. What a device made is of use to this device alone, and ends before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/attention.h"
#include "kernels/epilogue.h"
#include "kernels/fault.h"
#include "kernels/plan.h"
#include "kernels/step.h"

namespace dyad::kernels {

// Rows of float32 in a device's memory.
struct Matrix {
  void* data = nullptr;
  int64_t first = 0;  // element of the first row's first column
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t stride = 0;  // elements from row to row

  Matrix FirstRows(int64_t count) const { return {data, first, count, columns, stride}; }
  Matrix FromColumn(int64_t column) const {
    return {data, first + column, rows, columns - column, stride};
  }
};

// A linear layer, packed. Immutable.
class Layer {
 public:
  virtual ~Layer() = default;
  virtual int64_t in_features() const = 0;
  virtual int64_t out_features() const = 0;
  virtual int64_t weight_bytes() const = 0;   // packed, padding and scales included
  virtual int64_t multiply_adds() const = 0;  // for a row
};

// Vectors by id: an embedding. Immutable.
class Table {
 public:
  virtual ~Table() = default;
  virtual int64_t bytes() const = 0;
};

// What LayerNorm multiplies with and adds. Immutable.
class Norm {
 public:
  virtual ~Norm() = default;
};

// Rows [rows][columns] as stored, and what they are kept as. int8 is made from them, a scale for
// each row (kernels/int8.h), by the rules by which Pack makes it of a dense layer.
struct TableSource {
  int64_t rows = 0;
  int64_t columns = 0;
  Element type = Element::kFloat32;    // kept as
  Element stored = Element::kFloat32;  // of `data`: `type`, unless that is int8
  const std::byte* data = nullptr;
  // The memory of `data`, if the device may keep it; else it copies.
  std::unique_ptr<std::byte[]> owned;
};

struct NormSource {
  int64_t features = 0;
  std::vector<float> weight, bias;  // [features] each, or both empty for none
  float epsilon = 1e-5f;
};

// One layer that reads rows, and where they go.
struct LayerOutput {
  const Layer* layer = nullptr;
  Matrix y;
};

// y = activation(x Wᵀ + bias) + residual
struct Finishing {
  Activation activation = Activation::kNone;
  Matrix residual = {};  // data null: none. May be y itself.
};

enum class Lookup { kCopy, kAdd };
enum class IndexedBy { kId, kPosition };

// Queries, keys and values of every row: [rows, heads · head_stride], head h from column
// h · head_stride on. GPT-NeoX packs q, k and v of a head together: 3 · head_size.
struct Qkv {
  Matrix q, k, v;
  int64_t head_stride = 0;
};

struct DeviceInfo {
  std::string name;  // "cpu"
  std::string arithmetic = "exact";
  int threads = 1;  // of the host that it uses
  // Memory of its own that was free when it was made; 0: it uses the host's.
  int64_t memory_bytes = 0;
};

class Device {
 public:
  virtual ~Device() = default;

  virtual DeviceInfo info() const = 0;

  // --- Loading ---

  // Work on host memory with all that the device has for it: task 0 … tasks − 1, each once, on any
  // thread, and returns when all are done. `run` must not throw.
  virtual void RunOnHost(int64_t tasks, const std::function<void(int64_t)>& run) = 0;

  // The first kind of step of the plan that it has no kernel for, as KindOf names it; empty: it can
  // run the plan.
  virtual std::string_view Misses(const Plan& plan) const {
    static_cast<void>(plan);
    return {};
  }
  // May throw std::bad_alloc, as the three after it. REQUIRES: Misses(plan) is empty.
  virtual std::unique_ptr<Layer> Pack(const Plan& plan) = 0;
  virtual std::unique_ptr<Table> MakeTable(TableSource source) = 0;
  virtual std::unique_ptr<Norm> MakeNorm(NormSource source) = 0;
  // For a step's rows. Not initialised; lives as long as the device.
  virtual Matrix Allocate(int64_t rows, int64_t columns) = 0;

  // What it has no kernel for where keys and values of such heads are kept so; empty: nothing.
  virtual std::string_view MissesKv(const AttentionShape& shape, KvType type) const {
    static_cast<void>(shape), static_cast<void>(type);
    return {};
  }
  // Bytes that a page takes in one layer. REQUIRES, as MapKv: MissesKv is empty.
  virtual int64_t KvPageBytes(const AttentionShape& shape, KvType type) const = 0;
  // The memory of keys and values. Once, before the first step. Fault: no such memory.
  virtual Fault MapKv(KvSpec spec) = 0;

  // --- A step ---

  // `input` and what it points to stay as they are until End.
  virtual void Begin(const StepInput& input) = 0;

  // y[t] = or += row index(t) + offset of the table, for every row t of the step.
  // Shapes: y [rows, columns of the table]. REQUIRES: index + offset is within the table.
  virtual void Embed(const Table& table, IndexedBy index, int64_t offset, Lookup lookup,
                     Matrix y) = 0;

  // y[t] = (x[t] − mean) / √(variance + ε) · weight + bias, over the columns. y may be x.
  virtual void Normalize(const Norm& norm, Matrix x, Matrix y) = 0;

  // y_i = activation(x W_iᵀ + bias_i) + residual for 1 to kMostTogether layers that read the same
  // rows. Shapes: x [rows, in], y_i [rows, out_i]; they do not overlap, but y may be the residual.
  // REQUIRES: a residual only with one layer.
  virtual void Apply(Matrix x, std::initializer_list<LayerOutput> outputs,
                     const Finishing& finishing) = 0;

  // Stores keys (rotated) and values of every row in its slots of `layer`, then
  // out[row] = softmax(scale · q Kᵀ, causal) V for every row and head (q rotated).
  // Shapes: out [rows, heads · head_size].
  virtual void Attend(int64_t layer, const Qkv& qkv, Matrix out) = 0;

  // Results of the rows that the step's input asks for, from the states that the head reads.
  // Shapes: hidden [rows, in_features of the head]; logits [at least the draws that are not greedy,
  // vocabulary], room to work in. REQUIRES: a dense layer, of at most 2^23 outputs.
  virtual void Finish(const Layer& head, Matrix hidden, Matrix logits) = 0;

  // Waits for all that was asked since Begin. The result is valid until the next Begin.
  virtual StepOutput End() = 0;

  // --- For checks: waits, and copies ---

  // Shapes: values [rows · columns], row by row.
  virtual void Write(Matrix matrix, std::span<const float> values) = 0;
  virtual std::vector<float> Read(Matrix matrix) = 0;
};

}  // namespace dyad::kernels
