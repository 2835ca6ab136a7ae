// Each operator is a few lines around its kernel: kernels/cpu/device.h.
#include "kernels/cpu/device.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kernels/cpu/finish.h"
#include "kernels/cpu/kv_population.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/paged_attention.h"
#include "kernels/cpu/table.h"
#include "kernels/integer.h"

namespace dyad::kernels {
namespace {

class CpuLayer final : public Layer {
 public:
  CpuLayer(const Plan& plan, ThreadPool& pool, Arithmetic arithmetic)
      : packed(plan, &pool, arithmetic) {}

  int64_t in_features() const override { return packed.in_features(); }
  int64_t out_features() const override { return packed.out_features(); }
  int64_t weight_bytes() const override { return packed.weight_bytes(); }
  int64_t multiply_adds() const override { return packed.multiply_adds(); }

  const PackedLinear packed;
};

class CpuNorm final : public Norm {
 public:
  explicit CpuNorm(NormSource source) : source_(std::move(source)) {}
  NormWeights weights() const { return {source_.weight, source_.bias, source_.epsilon}; }

 private:
  const NormSource source_;
};

// What a device made comes back to it.
const PackedLinear& PackedOf(const Layer& layer) {
  return static_cast<const CpuLayer&>(layer).packed;
}

float* DataOf(Matrix matrix) { return static_cast<float*>(matrix.data) + matrix.first; }
ConstRows ReadRows(Matrix matrix) {
  return matrix.data == nullptr ? ConstRows() : ConstRows{DataOf(matrix), matrix.stride};
}
Rows WriteRows(Matrix matrix) { return {DataOf(matrix), matrix.stride}; }

}  // namespace

DeviceInfo CpuDevice::info() const {
  return {.name = "cpu",
          .arithmetic = std::string(NameOf(arithmetic_)),
          .threads = threads_->threads()};
}

void CpuDevice::RunOnHost(int64_t tasks, const std::function<void(int64_t)>& run) {
  threads_->Run(tasks, [&](int64_t task) { run(task); });
}

std::string_view CpuDevice::Misses(const Plan& plan) const {
  const auto is_deep = [&](const Step& step) {
    const auto* const contract = std::get_if<Contract>(&step);
    return contract != nullptr && IsInteger(ArithmeticOf(*contract, plan.type, arithmetic_)) &&
           contract->depth * std::ssize(contract->terms) > kMostIntegerDepth;
  };
  if (!std::ranges::any_of(plan.steps, is_deep)) return {};
  return "integer sums over more than 65536 features";
}

std::unique_ptr<Layer> CpuDevice::Pack(const Plan& plan) {
  return std::make_unique<CpuLayer>(plan, *threads_, arithmetic_);
}

std::unique_ptr<Table> CpuDevice::MakeTable(TableSource source) {
  return std::make_unique<CpuTable>(std::move(source), *threads_);
}

std::unique_ptr<Norm> CpuDevice::MakeNorm(NormSource source) {
  return std::make_unique<CpuNorm>(std::move(source));
}

// Side by side on huge pages; memory counts as resident once it is used.
Matrix CpuDevice::Allocate(int64_t rows, int64_t columns) {
  activations_.push_back(AlignedBuffer::Kept(rows * columns * static_cast<int64_t>(sizeof(float))));
  return {activations_.back().as<float>(), 0, rows, columns, columns};
}

std::string_view CpuDevice::MissesKv(const AttentionShape& shape, KvType type) const {
  if (type != KvType::kInt8 || shape.head_size <= kMostInt8HeadSize) return {};
  return "int8 keys and values of more than 512 features a head";
}

int64_t CpuDevice::KvPageBytes(const AttentionShape& shape, KvType type) const {
  return kernels::KvPageBytes(shape, type);
}

Fault CpuDevice::MapKv(KvSpec spec) {
  kv_ = std::move(spec);
  Fault fault = cache_.Map(kv_);
  if (fault.empty() && population_ == KvPopulation::kInBackground) {
    populating_ = PopulateInBackground(cache_);
  }
  return fault;
}

void CpuDevice::Embed(const Table& table, IndexedBy index, int64_t offset, Lookup lookup,
                      Matrix y) {
  const std::span<const int32_t> indices = index == IndexedBy::kId ? input_.ids : input_.positions;
  static_cast<const CpuTable&>(table).LookUp(indices, offset, lookup, WriteRows(y));
}

void CpuDevice::Normalize(const Norm& norm, Matrix x, Matrix y) {
  NormalizeRows(static_cast<const CpuNorm&>(norm).weights(), x.rows, x.columns, ReadRows(x),
                WriteRows(y), *threads_);
}

void CpuDevice::Apply(Matrix x, std::initializer_list<LayerOutput> outputs,
                      const Finishing& finishing) {
  const Epilogue epilogue = {finishing.activation, ReadRows(finishing.residual)};
  if (outputs.size() == 1 || epilogue.activation != Activation::kNone) {
    for (const auto& [layer, y] : outputs) {
      PackedOf(*layer).Apply(x.rows, ReadRows(x), WriteRows(y), epilogue, workspace_);
    }
    NoteFailures(outputs);
    return;
  }
  std::array<LinearOutput, kMostTogether> together;
  std::transform(outputs.begin(), outputs.end(), together.begin(), [](const LayerOutput& output) {
    return LinearOutput{&PackedOf(*output.layer), WriteRows(output.y)};
  });
  ApplyTogether(x.rows, ReadRows(x), {together.data(), outputs.size()}, workspace_);
  NoteFailures(outputs);
}

// What fails in one layer is no number for the next ones, which fail, too.
void CpuDevice::NoteFailures(std::initializer_list<LayerOutput> outputs) {
  for (const auto& failure : workspace_.failures) {
    const auto row = static_cast<int32_t>(failure.row);
    if (std::ranges::any_of(failed_, [&](const FailedRow& known) { return known.row == row; })) {
      continue;
    }
    const auto* const output = std::ranges::find_if(
        outputs, [&](const LayerOutput& any) { return &PackedOf(*any.layer) == failure.layer; });
    failed_.push_back({row, output->layer});
  }
  workspace_.failures.clear();
}

void CpuDevice::Attend(int64_t layer, const Qkv& qkv, Matrix out) {
  PagedAttention(kv_.shape, {kv_.cos, kv_.sin}, input_,
                 {ReadRows(qkv.q), ReadRows(qkv.k), ReadRows(qkv.v), qkv.head_stride},
                 cache_.layer(layer), WriteRows(out), workspace_);
}

void CpuDevice::Finish(const Layer& head, Matrix hidden, Matrix logits) {
  const int64_t vocabulary = head.out_features();
  scores_.resize(input_.scores.size());
  draws_.resize(input_.draws.size());
  top_.resize(static_cast<size_t>(TopEntries(input_, vocabulary)));
  const int64_t room = SampledRows(input_.draws) * vocabulary;
  kernels::Finish(PackedOf(head), ReadRows(hidden), input_,
                  {DataOf(logits), static_cast<size_t>(room)}, {scores_, draws_, top_}, workspace_);
}

void CpuDevice::Write(Matrix matrix, std::span<const float> values) {
  for (int64_t row = 0; row < matrix.rows; ++row) {
    std::copy_n(values.begin() + row * matrix.columns, matrix.columns,
                DataOf(matrix) + row * matrix.stride);
  }
}

std::vector<float> CpuDevice::Read(Matrix matrix) {
  std::vector<float> values;
  for (int64_t row = 0; row < matrix.rows; ++row) {
    const float* data = DataOf(matrix) + row * matrix.stride;
    values.insert(values.end(), data, data + matrix.columns);
  }
  return values;
}

}  // namespace dyad::kernels
