// Tables of vectors by id: token and position embeddings, and the head that turns hidden states
// into logits, which is often the token embedding once more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/linear.h"
#include "server/model/linear.h"
#include "server/model/load_context.h"

namespace at {
class Tensor;
}

namespace dyad {

// Rows of one weight type, kept row-major and widened as they are looked up.
class Embedding {
 public:
  Embedding() = default;
  // `scales`: of int8, one for each row.
  Embedding(std::unique_ptr<std::byte[]> rows, kernels::Element type, int64_t columns,
            std::vector<float> scales = {})
      : rows_(std::move(rows)), type_(type), columns_(columns), scales_(std::move(scales)) {}

  const std::byte* data() const { return rows_.get(); }  // row-major

  // y[t] = row ids[t] + offset. Shapes: y [ids.size(), columns]. REQUIRES: ids + offset in range.
  void Copy(std::span<const int32_t> ids, int64_t offset, const at::Tensor& y) const;
  // y[t] += row ids[t] + offset
  void Add(std::span<const int32_t> ids, int64_t offset, const at::Tensor& y) const;

 private:
  template <typename Sink>
  void ForEach(std::span<const int32_t> ids, int64_t offset, const at::Tensor& y, Sink sink) const;

  std::unique_ptr<std::byte[]> rows_;
  kernels::Element type_ = kernels::Element::kFloat32;
  int64_t columns_ = 0;
  std::vector<float> scales_;
};

struct TableSize {
  int64_t rows = 0;
  int64_t columns = 0;
};

// Takes the tensor `name`, [rows, columns].
absl::StatusOr<Embedding> LoadEmbedding(LoadContext& context, const std::string& name,
                                        TableSize size);

struct TokenTables {
  Embedding embedding;  // [vocab_size, columns]
  Linear head;          // dense, no bias
};

struct TokenTableNames {
  std::string embedding;
  std::string head;
};

// kTied: the head is the embedding; a stored head must then equal it.
enum class Head { kTied, kOwn };

// Memory: two copies of a tied embedding, one row-major for look-ups and one packed for the head.
// As int8 both hold the same numbers and scales.
absl::StatusOr<TokenTables> LoadTokenTables(LoadContext& context, const TokenTableNames& names,
                                            TableSize size, Head head);

}  // namespace dyad
