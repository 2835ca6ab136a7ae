// Tables of a checkpoint -> the device, and how the head comes from the embedding.
#include "server/model/embedding.h"

#include <optional>
#include <utility>

#include "server/base/message_text.h"
#include "server/base/status_macros.h"
#include "server/model/convert.h"

namespace dyad {
namespace {

using kernels::Element;

// Looks the tensor up and counts it.
absl::StatusOr<NamedTensor> TakeTable(LoadContext& context, const std::string& name,
                                      TableSize size) {
  ASSIGN_OR_RETURN(NamedTensor tensor, context.tensors.Take(name, {size.rows, size.columns}));
  context.tally.AddPlain(size.rows * size.columns);
  ASSIGN_OR_RETURN(const Element type, ChooseWeightType(tensor, context.weight_dtype));
  context.tally.elements[type] += size.rows * size.columns;
  return tensor;
}

// A table's numbers as the file has them or as they are kept; int8 is made from what is stored.
struct TableRows {
  Element type;    // to keep
  Element stored;  // of `matrix`
  WeightMatrix matrix;
};

absl::StatusOr<TableRows> ReadRows(LoadContext& context, const NamedTensor& table) {
  TableRows rows;
  ASSIGN_OR_RETURN(rows.type, ChooseWeightType(table, context.weight_dtype));
  ASSIGN_OR_RETURN(rows.stored, ChooseWeightType(table, SourceDtype(context.weight_dtype)));
  ASSIGN_OR_RETURN(rows.matrix, ReadWeights(table, rows.stored, context.device));
  return rows;
}

std::unique_ptr<kernels::Layer> PackHead(LoadContext& context, const TableRows& rows,
                                         TableSize size, const std::byte* data) {
  kernels::Plan plan = kernels::DensePlan(size.columns, size.rows, {data, rows.stored});
  plan.type = rows.type;
  auto head = context.device.Pack(plan);
  context.tally.weight_bytes += head->weight_bytes();
  context.tally.linear_bytes += head->weight_bytes();
  return head;
}

// The look-up table of `table`, and the head that is tied to it.
TokenTables MakeTables(LoadContext& context, const NamedTensor& table, TableRows rows,
                       TableSize size, Head head) {
  kernels::TableSource source = {.rows = size.rows,
                                 .columns = size.columns,
                                 .type = rows.type,
                                 .stored = rows.stored,
                                 .data = rows.matrix.data(),
                                 .owned = nullptr};
  if (rows.type != Element::kInt8) {
    // From here on from the copy: the file's pages would be the same in memory once more.
    source.owned = std::move(rows.matrix)
                       .TakeCopy(size.rows * size.columns * kernels::ElementBytes(rows.stored));
    source.data = source.owned.get();
    context.tensors.Release(table);
  }
  TokenTables tables;
  if (head == Head::kTied) tables.head = PackHead(context, rows, size, source.data);
  tables.embedding = context.device.MakeTable(std::move(source));
  context.tally.weight_bytes += tables.embedding->bytes();
  context.tensors.Release(table);
  return tables;
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

absl::StatusOr<std::unique_ptr<kernels::Table>> LoadEmbedding(LoadContext& context,
                                                              const std::string& name,
                                                              TableSize size) {
  ASSIGN_OR_RETURN(const NamedTensor table, TakeTable(context, name, size));
  if (context.pass == LoadPass::kCheck) return nullptr;
  ASSIGN_OR_RETURN(TableRows rows, ReadRows(context, table));
  return MakeTables(context, table, std::move(rows), size, Head::kOwn).embedding;
}

absl::StatusOr<TokenTables> LoadTokenTables(LoadContext& context, const TokenTableNames& names,
                                            TableSize size, Head head) {
  const TensorSource& tensors = context.tensors;
  // Writers that drop duplicates keep the matrix under either of its two names.
  const bool under_head = head == Head::kTied && !tensors.Find(names.embedding).has_value() &&
                          tensors.Find(names.head).has_value();
  ASSIGN_OR_RETURN(const NamedTensor table,
                   TakeTable(context, under_head ? names.head : names.embedding, size));
  std::optional<NamedTensor> own_head;
  if (head == Head::kOwn) {
    ASSIGN_OR_RETURN(own_head, TakeTable(context, names.head, size));
  } else if (!under_head) {
    RETURN_IF_ERROR(TakeTiedHead(context, names.head, table, size));
  }
  if (context.pass == LoadPass::kCheck) return TokenTables();

  std::unique_ptr<kernels::Layer> packed_head;
  if (own_head.has_value()) {
    ASSIGN_OR_RETURN(const TableRows rows, ReadRows(context, *own_head));
    packed_head = PackHead(context, rows, size, rows.matrix.data());
    context.tensors.Release(*own_head);
  }
  ASSIGN_OR_RETURN(TableRows rows, ReadRows(context, table));
  TokenTables tables = MakeTables(context, table, std::move(rows), size, head);
  if (packed_head != nullptr) tables.head = std::move(packed_head);
  return tables;
}

}  // namespace dyad
