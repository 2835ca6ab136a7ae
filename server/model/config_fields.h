// What the configs of several networks have in common: ranges of sizes, names of activations.
#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/epilogue.h"
#include "server/base/json_fields.h"

namespace dyad {

// Far above any published model; they keep products of two sizes far below overflow.
inline constexpr Range<int64_t> kVocabSizes = {1, int64_t{1} << 24};
inline constexpr Range<int64_t> kWidths = {1, int64_t{1} << 18};
inline constexpr Range<int64_t> kLayers = {1, 1024};
inline constexpr Range<int64_t> kHeads = {1, 1024};
// GPT-NeoX has no tensor that proves its positions, and a table per position is computed.
inline constexpr Range<int64_t> kPositions = {1, int64_t{1} << 17};

// An activation by the name that transformers gives it; a fault where the name is unknown.
kernels::Activation ReadActivation(JsonFields& fields, std::string_view key,
                                   std::string_view otherwise);

// A fault of num_attention_heads unless it divides hidden_size. Silent after an earlier fault.
void RequireHeadsDivide(JsonFields& fields, int64_t hidden_size, int64_t heads);

}  // namespace dyad
