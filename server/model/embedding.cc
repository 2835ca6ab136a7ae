// Look-ups, and how the head comes from the embedding.
#include "server/model/embedding.h"

#include <cstring>
#include <optional>
#include <utility>

#include "server/base/status_macros.h"
#include "server/model/convert.h"
#include "server/model/float16.h"
#include "server/model/message_text.h"
#include "server/model/tensor_rows.h"

namespace dyad {
namespace {

using kernels::WeightType;

// Looks the tensor up and counts it.
absl::StatusOr<NamedTensor> TakeTable(LoadContext& context, const std::string& name,
                                      TableSize size) {
  ASSIGN_OR_RETURN(NamedTensor tensor, context.tensors.Take(name, {size.rows, size.columns}));
  context.tally.AddPlain(size.rows * size.columns);
  ASSIGN_OR_RETURN(const WeightType type, ChooseWeightType(tensor, context.weight_dtype));
  context.tally.elements[type] += size.rows * size.columns;
  return tensor;
}

absl::StatusOr<Linear> PackHead(LoadContext& context, const NamedTensor& table, TableSize size,
                                const std::byte* rows) {
  ASSIGN_OR_RETURN(const WeightType type, ChooseWeightType(table, context.weight_dtype));
  Linear head{kernels::PackedLinear(kernels::DenseSpec(size.columns, size.rows, type, rows, {}))};
  context.tally.weight_bytes += head.packed()->weight_bytes();
  context.tally.linear_bytes += head.packed()->weight_bytes();
  return head;
}

// The table in memory of its own; the file's pages are given back.
absl::StatusOr<Embedding> ReadTable(LoadContext& context, const NamedTensor& table,
                                    TableSize size) {
  ASSIGN_OR_RETURN(const WeightType type, ChooseWeightType(table, context.weight_dtype));
  ASSIGN_OR_RETURN(WeightMatrix matrix, ReadWeights(table, type, context.pool));
  const int64_t bytes = size.rows * size.columns * kernels::WeightBytes(type);
  Embedding embedding(std::move(matrix).TakeCopy(bytes), type, size.columns);
  context.tensors.Release(table);
  context.tally.weight_bytes += bytes;
  return embedding;
}

absl::StatusOr<Linear> ReadHead(LoadContext& context, const NamedTensor& table, TableSize size) {
  ASSIGN_OR_RETURN(const WeightType type, ChooseWeightType(table, context.weight_dtype));
  ASSIGN_OR_RETURN(const WeightMatrix matrix, ReadWeights(table, type, context.pool));
  ASSIGN_OR_RETURN(Linear head, PackHead(context, table, size, matrix.data()));
  context.tensors.Release(table);
  return head;
}

// A stored head beside a tied embedding must not say anything else.
absl::Status TakeTiedHead(LoadContext& context, const std::string& name,
                          const NamedTensor& embedding, TableSize size) {
  if (!context.tensors.Find(name).has_value()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const NamedTensor head, context.tensors.Take(name, {size.rows, size.columns}));
  RETURN_IF_ERROR(ChooseWeightType(head, context.weight_dtype).status());
  if (context.pass == LoadPass::kCheck) return absl::OkStatus();
  const bool same = SameValues(*head.stored, *embedding.stored);
  context.tensors.Release(head);
  if (same) return absl::OkStatus();
  return absl::InvalidArgumentError(
      Text(TensorText(head), " differs from ", embedding.name,
           "; expected equal values, because config.json ties them (tie_word_embeddings)"));
}

}  // namespace

template <typename Sink>
void Embedding::ForEach(std::span<const int32_t> ids, int64_t offset, const at::Tensor& y,
                        Sink sink) const {
  const kernels::Rows out = WriteRows(y);
  const std::byte* table = rows_.get();
  for (size_t t = 0; t < ids.size(); ++t) {
    const int64_t first = (ids[t] + offset) * columns_;
    float* row = out.data + static_cast<int64_t>(t) * out.stride;
    if (type_ == WeightType::kFloat32) {
      const float* values = reinterpret_cast<const float*>(table) + first;
      for (int64_t i = 0; i < columns_; ++i) sink(row[i], values[i]);
    } else if (type_ == WeightType::kBfloat16) {
      const uint16_t* values = reinterpret_cast<const uint16_t*>(table) + first;
      for (int64_t i = 0; i < columns_; ++i) sink(row[i], FromBfloat16(values[i]));
    } else {
      const uint16_t* values = reinterpret_cast<const uint16_t*>(table) + first;
      for (int64_t i = 0; i < columns_; ++i) sink(row[i], FromFloat16(values[i]));
    }
  }
}

void Embedding::Copy(std::span<const int32_t> ids, int64_t offset, const at::Tensor& y) const {
  ForEach(ids, offset, y, [](float& to, float value) { to = value; });
}

void Embedding::Add(std::span<const int32_t> ids, int64_t offset, const at::Tensor& y) const {
  ForEach(ids, offset, y, [](float& to, float value) { to += value; });
}

absl::StatusOr<Embedding> LoadEmbedding(LoadContext& context, const std::string& name,
                                        TableSize size) {
  ASSIGN_OR_RETURN(const NamedTensor table, TakeTable(context, name, size));
  if (context.pass == LoadPass::kCheck) return Embedding();
  return ReadTable(context, table, size);
}

absl::StatusOr<TokenTables> LoadTokenTables(LoadContext& context, const TokenTableNames& names,
                                            TableSize size, Head head) {
  ASSIGN_OR_RETURN(const NamedTensor table, TakeTable(context, names.embedding, size));
  std::optional<NamedTensor> own_head;
  if (head == Head::kOwn) {
    ASSIGN_OR_RETURN(own_head, TakeTable(context, names.head, size));
  } else {
    RETURN_IF_ERROR(TakeTiedHead(context, names.head, table, size));
  }
  if (context.pass == LoadPass::kCheck) return TokenTables();

  TokenTables tables;
  if (own_head.has_value()) {
    ASSIGN_OR_RETURN(tables.head, ReadHead(context, *own_head, size));
  }
  ASSIGN_OR_RETURN(tables.embedding, ReadTable(context, table, size));
  if (!own_head.has_value()) {
    // From the copy, not from the file, whose pages would be a third time the same in memory.
    ASSIGN_OR_RETURN(tables.head, PackHead(context, table, size, tables.embedding.data()));
  }
  return tables;
}

}  // namespace dyad
