// Tables of vectors by id: token and position embeddings, and the head that turns hidden states
// into logits, which is often the token embedding once more.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/device.h"
#include "server/model/load_context.h"

namespace dyad {

struct TableSize {
  int64_t rows = 0;
  int64_t columns = 0;
};

// Takes the tensor `name`, [rows, columns]. Null in the checking pass.
absl::StatusOr<std::unique_ptr<kernels::Table>> LoadEmbedding(LoadContext& context,
                                                              const std::string& name,
                                                              TableSize size);

// Null in the checking pass.
struct TokenTables {
  std::unique_ptr<kernels::Table> embedding;  // [vocab_size, columns]
  std::unique_ptr<kernels::Layer> head;       // dense, no bias
};

struct TokenTableNames {
  std::string embedding;
  std::string head;
};

// kTied: the head is the embedding. It may be stored under either name; where both are stored, they
// must be equal.
enum class Head { kTied, kOwn };

// Memory: two copies of a tied embedding, one for look-ups and one packed for the head. As int8
// both hold the same numbers and scales.
absl::StatusOr<TokenTables> LoadTokenTables(LoadContext& context, const TokenTableNames& names,
                                            TableSize size, Head head);

}  // namespace dyad
