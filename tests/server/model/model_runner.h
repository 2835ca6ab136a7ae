// Drives a model as the engine does, but by hand: sequences with pages of their own, run in chunks
// of any size, alone or mixed with others.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/thread_pool.h"
#include "server/engine/model.h"
#include "server/model/load_model.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"

namespace dyad::testing {

inline const std::vector<std::string>& ServedFixtures() {
  static const auto* names = new std::vector<std::string>{"opt-dense",
                                                          "opt-dyad-it4",
                                                          "opt-dyad-it4-nokey",
                                                          "opt-dyad-it3-odd",
                                                          "opt-dyad-it8-postln-proj",
                                                          "opt-dyad-ot4",
                                                          "opt-dyad-dt4",
                                                          "opt-dyad-nobias",
                                                          "opt-lowrank",
                                                          "opt-monarch",
                                                          "neox-dense",
                                                          "neox-dense-gelufast",
                                                          "neox-dyad-it4",
                                                          "neox-dyad-it4-nokey",
                                                          "neox-dyad-serial"};
  return *names;
}

// Those of families whose layers are several steps of other kinds, or that narrow differently.
inline const std::vector<std::string>& StructuredFixtures() {
  static const auto* names = new std::vector<std::string>{"opt-asvd",
                                                          "opt-blast",
                                                          "neox-blast",
                                                          "opt-einsum-btt1",
                                                          "opt-einsum-btt11-normalized-gamma",
                                                          "opt-einsum-kron",
                                                          "opt-einsum-tt3",
                                                          "opt-einsum-lowrank",
                                                          "opt-einsum-generic",
                                                          "neox-einsum-btt5",
                                                          "opt-gblr-box",
                                                          "neox-gblr-gauss",
                                                          "opt-mixed",
                                                          "opt-bttmoe",
                                                          "neox-bttmoe",
                                                          "opt-moe",
                                                          "neox-moe",
                                                          "opt-blockdense",
                                                          "neox-blockdense",
                                                          "opt-blockdynamic",
                                                          "opt-blockdynamic-flat"};
  return *names;
}

inline std::string FixtureFolder(const std::string& name) {
  return (FixturesDir() / name).string();
}

inline ModelOptions SmallOptions() {
  return {.weight_dtype = WeightDtype::kAsStored,
          .kv_dtype = kernels::KvType::kFloat32,
          .kv_cache_bytes = 4 << 20,
          .max_batch_tokens = 128,
          .max_draws = 128};
}

// A sequence, and what was computed for it so far.
struct Sequence {
  Sequence() = default;
  explicit Sequence(std::vector<int32_t> all) : ids(std::move(all)) {}

  std::vector<int32_t> ids;
  std::vector<int32_t> pages;  // filled by Driver
  int32_t done = 0;
  std::vector<std::vector<float>> logprobs;   // [done][vocab_size]
  std::vector<engine::GeneratedToken> drawn;  // [done], greedily
  std::vector<engine::TokenScore> scores;     // of ids[1 …], computed from row to row
};

class Driver {
 public:
  explicit Driver(engine::Model& model, uint32_t seed = 1) : model_(model), random_(seed) {
    for (int32_t page = 0; page < model.limits().kv_pages; ++page) free_.push_back(page);
    std::shuffle(free_.begin(), free_.end(), random_);
  }

  // Runs the next tokens[i] tokens of runs[i], all in one batch. Asks for a score of every id and a
  // draw after each.
  absl::Status Step(std::vector<Sequence*> runs, const std::vector<int32_t>& tokens,
                    int32_t top_n = 0) {
    engine::Batch batch;
    for (size_t i = 0; i < runs.size(); ++i) Add(batch, *runs[i], tokens[i], top_n);
    const absl::StatusOr<engine::StepResult> result = model_.Step(batch);
    if (!result.ok()) return result.status();
    Deliver(*result, runs, tokens);
    return absl::OkStatus();
  }

  // Runs a sequence to its end in chunks of `chunk` tokens, alone.
  void Finish(Sequence& run, int32_t chunk, int32_t top_n = 0) {
    while (run.done < std::ssize(run.ids)) {
      const auto left = static_cast<int32_t>(std::ssize(run.ids)) - run.done;
      ASSERT_OK(Step({&run}, {std::min(chunk, left)}, top_n));
    }
    Free(run);
  }

  // Runs all of them to their ends in batches with random chunks and random neighbours. Returns how
  // many batches that took; 0 if one failed.
  int64_t FinishMixed(std::vector<Sequence>& runs) {
    for (int64_t batches = 0;;) {
      std::vector<Sequence*> some;
      std::vector<int32_t> tokens;
      int32_t room = model_.limits().max_batch_tokens;
      for (Sequence& run : runs) {
        const auto left = static_cast<int32_t>(std::ssize(run.ids)) - run.done;
        if (left == 0 || room == 0 || random_() % 3 == 0) continue;
        tokens.push_back(1 + static_cast<int32_t>(random_() % std::min(left, room)));
        room -= tokens.back();
        some.push_back(&run);
      }
      if (some.empty() && std::all_of(runs.begin(), runs.end(), [](const Sequence& run) {
            return run.done == std::ssize(run.ids);
          })) {
        for (Sequence& run : runs) Free(run);
        return batches;
      }
      const absl::Status status = Step(some, tokens);
      EXPECT_OK(status);
      if (!status.ok()) return 0;
      batches += some.empty() ? 0 : 1;
    }
  }

  std::vector<int32_t> Greedy(std::vector<int32_t> prompt, int32_t count) {
    Sequence run{std::move(prompt)};
    std::vector<int32_t> generated;
    while (std::ssize(generated) < count) {
      const auto left = static_cast<int32_t>(std::ssize(run.ids)) - run.done;
      const absl::Status status = Step({&run}, {left});
      EXPECT_OK(status);
      if (!status.ok()) break;
      generated.push_back(run.drawn.back().id);
      run.ids.push_back(generated.back());
    }
    Free(run);
    return generated;
  }

 private:
  void Add(engine::Batch& batch, Sequence& run, int32_t tokens, int32_t top_n) {
    const auto first_row = static_cast<int32_t>(batch.ids.size());
    while (std::ssize(run.pages) * engine::kPageTokens < run.done + tokens) {
      run.pages.push_back(free_.back());
      free_.pop_back();
    }
    batch.chunks.push_back({first_row, tokens, run.done, run.pages});
    for (int32_t i = run.done; i < run.done + tokens; ++i) {
      const int32_t row = first_row + i - run.done;
      batch.ids.push_back(run.ids[i]);
      batch.draws.push_back({.row = row, .top_n = top_n});
      for (int32_t id = 0; id < model_.limits().vocab_size; ++id) {
        const bool is_next = i + 1 < std::ssize(run.ids) && run.ids[i + 1] == id;
        batch.score_rows.push_back({row, id, is_next ? top_n : 0});
      }
    }
  }

  void Deliver(const engine::StepResult& result, const std::vector<Sequence*>& runs,
               const std::vector<int32_t>& tokens) {
    const size_t vocab_size = model_.limits().vocab_size;
    size_t first = 0;
    for (size_t i = 0; i < runs.size(); ++i) {
      Sequence& run = *runs[i];
      for (int32_t t = 0; t < tokens[i]; ++t, ++run.done, ++first) {
        std::vector<float> row;
        const auto scores = result.scores.subspan(first * vocab_size, vocab_size);
        for (const engine::TokenScore& score : scores) row.push_back(score.logprob);
        run.logprobs.push_back(std::move(row));
        run.drawn.push_back(result.drawn[first]);
        if (run.done + 1 < std::ssize(run.ids)) {
          run.scores.push_back(scores[static_cast<size_t>(run.ids[run.done + 1])]);
        }
      }
    }
  }

  void Free(Sequence& run) {
    free_.insert(free_.begin(), run.pages.begin(), run.pages.end());
    run.pages.clear();
  }

  engine::Model& model_;
  std::mt19937 random_;
  std::vector<int32_t> free_;
};

inline std::vector<int32_t> RandomIds(int64_t count, int32_t vocab_size, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> ids(count);
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % vocab_size);
  return ids;
}

}  // namespace dyad::testing
