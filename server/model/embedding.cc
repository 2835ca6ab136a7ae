// Look-ups, and how the head comes from the embedding.
#include "server/model/embedding.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "kernels/float16.h"
#include "kernels/int8.h"
#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/model/convert.h"
#include "server/model/tensor_rows.h"

namespace dyad {
namespace {

using kernels::FromBfloat16;
using kernels::FromFloat16;
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

// A table's numbers as the file has them or as they are kept; int8 is made from what is stored.
struct TableRows {
  WeightType type;    // to keep
  WeightType source;  // of `matrix`
  WeightMatrix matrix;
};

absl::StatusOr<TableRows> ReadRows(LoadContext& context, const NamedTensor& table) {
  TableRows rows;
  ASSIGN_OR_RETURN(rows.type, ChooseWeightType(table, context.weight_dtype));
  ASSIGN_OR_RETURN(rows.source, ChooseWeightType(table, SourceDtype(context.weight_dtype)));
  ASSIGN_OR_RETURN(rows.matrix, ReadWeights(table, rows.source, context.pool));
  return rows;
}

// One row of `type` as float32.
void WidenRow(const std::byte* row, WeightType type, std::span<float> values) {
  const auto* halves = reinterpret_cast<const uint16_t*>(row);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = type == WeightType::kFloat32    ? reinterpret_cast<const float*>(row)[i]
                : type == WeightType::kBfloat16 ? FromBfloat16(halves[i])
                                                : FromFloat16(halves[i]);
  }
}

// By the rules by which the kernels quantise the rows of a head.
Embedding Quantized(const TableRows& table, TableSize size, kernels::ThreadPool& pool) {
  auto rows = std::make_unique_for_overwrite<std::byte[]>(size.rows * size.columns);
  std::vector<float> scales(size.rows);
  const int64_t row_bytes = size.columns * kernels::WeightBytes(table.source);
  constexpr int64_t kTaskRows = 64;
  pool.Run((size.rows + kTaskRows - 1) / kTaskRows, [&](int64_t task) {
    std::vector<float> values(size.columns);
    const int64_t last = std::min(size.rows, (task + 1) * kTaskRows);
    for (int64_t row = task * kTaskRows; row < last; ++row) {
      WidenRow(table.matrix.data() + row * row_bytes, table.source, values);
      float largest = 0;
      for (const float value : values) largest = std::max(largest, std::abs(value));
      scales[row] = kernels::Int8Scale(largest);
      for (int64_t i = 0; i < size.columns; ++i) {
        rows[row * size.columns + i] =
            static_cast<std::byte>(kernels::QuantizeInt8(values[i], scales[row]));
      }
    }
  });
  return Embedding(std::move(rows), WeightType::kInt8, size.columns, std::move(scales));
}

// In memory of its own. Leaves int8's source where it is.
Embedding MakeEmbedding(LoadContext& context, TableRows& table, TableSize size) {
  const int64_t bytes = size.rows * size.columns * kernels::WeightBytes(table.type);
  context.tally.weight_bytes += bytes;
  if (table.type != WeightType::kInt8) {
    return Embedding(std::move(table.matrix).TakeCopy(bytes), table.type, size.columns);
  }
  context.tally.weight_bytes += size.rows * int64_t{sizeof(float)};
  return Quantized(table, size, context.pool);
}

Linear PackHead(LoadContext& context, const TableRows& table, TableSize size,
                const std::byte* rows) {
  kernels::LinearSpec spec = kernels::DenseSpec(size.columns, size.rows, table.type, rows, {});
  spec.quantized_from = table.source;
  Linear head{kernels::PackedLinear(spec, &context.pool)};
  context.tally.weight_bytes += head.packed()->weight_bytes();
  context.tally.linear_bytes += head.packed()->weight_bytes();
  return head;
}

absl::StatusOr<Linear> ReadHead(LoadContext& context, const NamedTensor& table, TableSize size) {
  ASSIGN_OR_RETURN(const TableRows rows, ReadRows(context, table));
  Linear head = PackHead(context, rows, size, rows.matrix.data());
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
    switch (type_) {
      case WeightType::kFloat32: {
        const float* values = reinterpret_cast<const float*>(table) + first;
        for (int64_t i = 0; i < columns_; ++i) sink(row[i], values[i]);
        break;
      }
      case WeightType::kBfloat16: {
        const uint16_t* values = reinterpret_cast<const uint16_t*>(table) + first;
        for (int64_t i = 0; i < columns_; ++i) sink(row[i], FromBfloat16(values[i]));
        break;
      }
      case WeightType::kFloat16: {
        const uint16_t* values = reinterpret_cast<const uint16_t*>(table) + first;
        for (int64_t i = 0; i < columns_; ++i) sink(row[i], FromFloat16(values[i]));
        break;
      }
      case WeightType::kInt8: {
        const int8_t* values = reinterpret_cast<const int8_t*>(table) + first;
        const float scale = scales_[ids[t] + offset];
        for (int64_t i = 0; i < columns_; ++i) sink(row[i], static_cast<float>(values[i]) * scale);
        break;
      }
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
  ASSIGN_OR_RETURN(TableRows rows, ReadRows(context, table));
  Embedding embedding = MakeEmbedding(context, rows, size);
  context.tensors.Release(table);
  return embedding;
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
  ASSIGN_OR_RETURN(TableRows rows, ReadRows(context, table));
  tables.embedding = MakeEmbedding(context, rows, size);
  if (!own_head.has_value() && rows.type == WeightType::kInt8) {
    tables.head = PackHead(context, rows, size, rows.matrix.data());
  }
  context.tensors.Release(table);
  if (!own_head.has_value() && rows.type != WeightType::kInt8) {
    // From the copy, not from the file, whose pages would be a third time the same in memory.
    tables.head = PackHead(context, rows, size, tables.embedding.data());
  }
  return tables;
}

}  // namespace dyad
