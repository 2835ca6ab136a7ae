// The memory behind a StepInput, filled chunk by chunk and kept from step to step.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/step.h"

namespace dyad::kernels {

struct StepArrays {
  // Some consecutive tokens of a sequence, its pages from position 0 on, and the first of the
  // consecutive rows that hold them.
  struct Tokens {
    int32_t first_row = 0;
    int32_t count = 0;
    int32_t first_position = 0;
    std::span<const int32_t> pages;

    int64_t SlotOf(int32_t position) const {
      return pages[static_cast<size_t>(position / kPageTokens)] * kPageTokens +
             position % kPageTokens;
    }
  };

  void Clear() {
    ids.clear(), positions.clear(), slots.clear(), also.clear(), chunks.clear(), pages.clear();
    scores.clear(), draws.clear(), adjustments.clear();
    id_sets = {};
  }

  // The next rows. REQUIRES: tokens.first_row is the number of rows so far. The ids are the
  // caller's to add.
  void AddChunk(const Tokens& tokens) {
    chunks.push_back({tokens.first_row, tokens.count, tokens.first_position,
                      static_cast<int32_t>(pages.size())});
    pages.insert(pages.end(), tokens.pages.begin(), tokens.pages.end());
    for (int32_t i = 0; i < tokens.count; ++i) {
      positions.push_back(tokens.first_position + i);
      slots.push_back(tokens.SlotOf(positions.back()));
    }
  }

  // Stores rows a second time.
  void AddStore(const Tokens& tokens) {
    for (int32_t i = 0; i < tokens.count; ++i) {
      also.push_back({tokens.first_row + i, tokens.SlotOf(tokens.first_position + i)});
    }
  }

  StepInput view() const {
    return {ids, positions, slots, also, chunks, pages, scores, draws, adjustments, id_sets};
  }

  std::vector<int32_t> ids, positions;
  std::vector<int64_t> slots;
  std::vector<ExtraStore> also;
  std::vector<AttentionChunk> chunks;
  std::vector<int32_t> pages;
  std::vector<ScoreRow> scores;
  std::vector<DrawRow> draws;
  std::vector<Adjustment> adjustments;
  std::span<const uint8_t> id_sets;  // not of this object's memory
};

}  // namespace dyad::kernels
