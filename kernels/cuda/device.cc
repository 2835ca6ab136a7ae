// Each operator is a few lines around its launcher: kernels/cuda/device.h.
#include "kernels/cuda/device.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/cpu/kv_layout.h"
#include "kernels/cpu/table.h"
#include "kernels/cuda/attention.h"
#include "kernels/cuda/rows.h"

namespace dyad::kernels::cuda {
namespace {

class CudaTable final : public Table {
 public:
  // `data`: [rows][columns] of `type`.
  CudaTable(Runtime& runtime, const TableSource& source, const void* data,
            std::span<const float> scales)
      : columns_(source.columns),
        type_(source.type),
        data_(runtime, source.rows * source.columns * ElementBytes(source.type)),
        scales_(UploadedPiece(runtime, scales)) {
    Upload(runtime, data_.data(), data, data_.bytes());
  }
  int64_t bytes() const override { return data_.bytes() + scales_.bytes(); }

  EmbedArgs args() const {
    return {.columns = columns_, .table = data_.data(), .scales = scales_.data(), .type = type_};
  }

 private:
  const int64_t columns_;
  const Element type_;
  const Piece<std::byte> data_;
  const Piece<float> scales_;
};

class CudaNorm final : public Norm {
 public:
  CudaNorm(Runtime& runtime, const NormSource& source)
      : weight_(UploadedPiece<float>(runtime, source.weight)),
        bias_(UploadedPiece<float>(runtime, source.bias)),
        epsilon_(source.epsilon) {}

  NormArgs args() const {
    return {.weight = weight_.data(), .bias = bias_.data(), .epsilon = epsilon_};
  }

 private:
  const Piece<float> weight_, bias_;
  const float epsilon_;
};

DeviceRows RowsOf(Matrix matrix) {
  if (matrix.data == nullptr) return {};
  return {static_cast<float*>(matrix.data) + matrix.first, matrix.stride};
}

}  // namespace

CudaDevice::CudaDevice(std::unique_ptr<Runtime> runtime, int ordinal, Arithmetic arithmetic,
                       std::shared_ptr<ThreadPool> threads)
    : runtime_(std::move(runtime)),
      arithmetic_(arithmetic),
      threads_(std::move(threads)),
      workspace_(*threads_) {
  const DeviceProperties properties = runtime_->properties();
  info_ = {.name = "cuda:" + std::to_string(ordinal) + " " + properties.name + ", sm_" +
                   std::to_string(properties.major) + std::to_string(properties.minor),
           .arithmetic = std::string(NameOf(arithmetic_)),
           .threads = threads_->threads(),
           .memory_bytes = properties.free_bytes};
}

void CudaDevice::RunOnHost(int64_t tasks, const std::function<void(int64_t)>& run) {
  threads_->Run(tasks, [&](int64_t task) { run(task); });
}

std::string_view CudaDevice::Misses(const Plan& plan) const {
  for (const Step& step : plan.steps) {
    if (const std::string_view kind = KindOf(step); !kind.empty()) return kind;
  }
  return {};
}

std::unique_ptr<Layer> CudaDevice::Pack(const Plan& plan) {
  return std::make_unique<CudaLayer>(plan, arithmetic_, *runtime_, *threads_);
}

std::unique_ptr<Table> CudaDevice::MakeTable(TableSource source) {
  if (source.type != Element::kInt8) {
    return std::make_unique<CudaTable>(*runtime_, source, source.data, std::span<const float>());
  }
  const QuantizedRows quantized = QuantizeRows(source, *threads_);
  return std::make_unique<CudaTable>(*runtime_, source, quantized.data.get(), quantized.scales);
}

std::unique_ptr<Norm> CudaDevice::MakeNorm(NormSource source) {
  return std::make_unique<CudaNorm>(*runtime_, source);
}

Matrix CudaDevice::Allocate(int64_t rows, int64_t columns) {
  activations_.emplace_back(*runtime_, rows * columns);
  return {activations_.back().data(), 0, rows, columns, columns};
}

std::string_view CudaDevice::MissesKv(const AttentionShape&, KvType type) const {
  return type == KvType::kInt8 ? "int8 keys and values" : "";
}

int64_t CudaDevice::KvPageBytes(const AttentionShape& shape, KvType type) const {
  return kernels::KvPageBytes(shape, type);
}

Fault CudaDevice::MapKv(KvSpec spec) {
  kv_ = std::move(spec);
  const int64_t bytes = kv_.layers * kv_.pages * KvPageBytes(kv_.shape, kv_.type);
  try {
    pages_ = Piece<std::byte>(*runtime_, bytes);
    cos_ = UploadedPiece<float>(*runtime_, kv_.cos);
    sin_ = UploadedPiece<float>(*runtime_, kv_.sin);
  } catch (const std::bad_alloc&) {
    return "the KV cache takes " + std::to_string(bytes) + " bytes; " + info_.name + " has " +
           std::to_string(runtime_->properties().free_bytes) + " free";
  }
  return runtime_->error();
}

void CudaDevice::Begin(const StepInput& input) {
  input_ = input;
  finishes_ = false;
  if (!lost()) {
    runtime_->Wait();  // nothing, unless the step before was not ended
    upload_.QueueStep(*runtime_, input_);
  }
  if (ids_ != 0) TakeWishes(ids_);
}

// Also brings them to the device: before the step's kernels, if the head is known by then, so that
// all kernels are queued in a row.
void CudaDevice::TakeWishes(int64_t ids) {
  ids_ = ids;
  wishes_.Take(input_, ids);
  if (!wishes_.wishes.empty() && !lost()) upload_.QueueWishes(*runtime_, input_, wishes_);
}

void CudaDevice::Embed(const Table& table, IndexedBy index, int64_t offset, Lookup lookup,
                       Matrix y) {
  EmbedArgs args = static_cast<const CudaTable&>(table).args();
  args.rows = y.rows;
  args.index = index == IndexedBy::kId ? upload_.step().ids : upload_.step().positions;
  args.offset = offset;
  args.adds = lookup == Lookup::kAdd;
  args.y = RowsOf(y);
  LaunchEmbed(*runtime_, args);
}

void CudaDevice::Normalize(const Norm& norm, Matrix x, Matrix y) {
  NormArgs args = static_cast<const CudaNorm&>(norm).args();
  args.rows = x.rows;
  args.features = x.columns;
  args.x = RowsOf(x);
  args.y = RowsOf(y);
  LaunchNorm(*runtime_, args);
}

void CudaDevice::Apply(Matrix x, std::initializer_list<LayerOutput> outputs,
                       const Finishing& finishing) {
  if (lost()) return;
  std::vector<CudaLayer::LayerOfRun> layers;
  for (const auto& [layer, y] : outputs) {
    layers.push_back({static_cast<const CudaLayer*>(layer),
                      {.rows = x.rows,
                       .x = RowsOf(x),
                       .y = RowsOf(y),
                       .activation = finishing.activation,
                       .residual = RowsOf(finishing.residual)}});
  }
  CudaLayer::RunTogether(*runtime_, scratch_, layers);
}

void CudaDevice::Attend(int64_t layer, const Qkv& qkv, Matrix out) {
  const int64_t page_bytes = KvPageBytes(kv_.shape, kv_.type);
  const StepPointers& step = upload_.step();
  LaunchAttention(*runtime_, {.rows = out.rows,
                              .shape = kv_.shape,
                              .padded_head_size = PaddedHeadSize(kv_.shape),
                              .cos = cos_.data(),
                              .sin = sin_.data(),
                              .q = RowsOf(qkv.q),
                              .k = RowsOf(qkv.k),
                              .v = RowsOf(qkv.v),
                              .head_stride = qkv.head_stride,
                              .out = RowsOf(out),
                              .type = kv_.type,
                              .kv = pages_.data() + layer * kv_.pages * page_bytes,
                              .page_bytes = page_bytes,
                              .positions = step.positions,
                              .first_pages = step.first_pages,
                              .pages = step.pages,
                              .store_rows = step.store_rows,
                              .store_slots = step.store_slots,
                              .stores = step.stores,
                              .groups = step.groups,
                              .group_count = step.group_count});
}

// The room that networks give is not needed: logits of a few hundred rows exist at once here.
void CudaDevice::Finish(const Layer& head, Matrix hidden, Matrix) {
  if (ids_ != head.out_features()) TakeWishes(head.out_features());
  finishes_ = true;
  if (wishes_.wishes.empty() || lost()) return;
  finisher_.Queue(*runtime_, static_cast<const CudaLayer&>(head), RowsOf(hidden), input_, wishes_,
                  upload_.wishes(), scratch_);
}

StepOutput CudaDevice::End() {
  runtime_->Wait();
  if (!finishes_) return {.scores = {}, .draws = {}, .top = {}, .error = runtime_->error()};
  if (!lost() && !wishes_.wishes.empty()) {
    finisher_.Collect(input_, wishes_, workspace_);
  }
  return {wishes_.scores, wishes_.draws, wishes_.top, runtime_->error()};
}

void CudaDevice::Write(Matrix matrix, std::span<const float> values) {
  const DeviceRows rows = RowsOf(matrix);
  const PinnedPiece<float> pinned(*runtime_, matrix.rows * matrix.columns);
  std::copy_n(values.begin(), pinned.count(), pinned.data());
  for (int64_t row = 0; row < matrix.rows; ++row) {
    runtime_->CopyToDevice(rows.data + row * rows.stride, pinned.data() + row * matrix.columns,
                           matrix.columns * static_cast<int64_t>(sizeof(float)));
  }
  runtime_->Wait();
}

std::vector<float> CudaDevice::Read(Matrix matrix) {
  const DeviceRows rows = RowsOf(matrix);
  const PinnedPiece<float> pinned(*runtime_, matrix.rows * matrix.columns);
  for (int64_t row = 0; row < matrix.rows; ++row) {
    runtime_->CopyToHost(pinned.data() + row * matrix.columns, rows.data + row * rows.stride,
                         matrix.columns * static_cast<int64_t>(sizeof(float)));
  }
  runtime_->Wait();
  return {pinned.data(), pinned.data() + pinned.count()};
}

}  // namespace dyad::kernels::cuda
