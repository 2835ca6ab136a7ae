// Which sequences run in the next step, and with how many tokens: pure policy over the queue, the
// running set and the pages. No thread, no clock, no model; tests crank it step by step.
//
// Order of decisions in a step, all under one budget of tokens:
//   1. a client that waits with nothing running, while places or pages are used up, gets a place:
//      the youngest sequence of the client that runs most is preempted. It gives its pages back,
//      waits again, and is later recomputed.
//   2. sequences that decode, oldest first, one token each. If pages run short the youngest running
//      sequence is preempted.
//   3. running sequences that are still in their prompt (or are recomputed), oldest first, as much
//      as the budget leaves.
//   4. unless 2 preempted something: admissions from the queue. The turn is of the client that runs
//      least, with its oldest sequence; of several such clients, of the one whose is older. It is
//      admitted when all pages for the ids it has so far are available and each running sequence
//      that generates could still take one more; until then nobody passes it.
// So a sequence takes all pages for its prompt when it is admitted, and only decodes can run short.
//
// The budget counts rows. In 3 and 4 a token that an earlier chunk of the step computes after the
// same ids is no row of its own: its row is shared, and so is its page if the page is full after
// the step.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "server/engine/engine_options.h"
#include "server/engine/outlook.h"
#include "server/engine/page_pool.h"
#include "server/engine/prefix_tree.h"
#include "server/engine/row_trie.h"
#include "server/engine/sequence.h"

namespace dyad::engine {

struct SchedulerLimits {
  int32_t max_batch_tokens = 512;       // rows of a step; >= 1
  int32_t max_running_sequences = 256;  // >= 1
  PrefixCache prefix_cache = PrefixCache::kOn;
};

// `tokens` of a sequence from its position `stored` on; 0 if all it needs was found in the tree.
struct PlannedChunk {
  Sequence* sequence = nullptr;
  int32_t tokens = 0;
  int32_t shared = 0;       // the first of them: rows of chunks before this one
  int32_t first_token = 0;  // of them, in Plan::rows
};

struct Plan {
  // The row of each token of `chunk`. Of a shared one it may be RowNode::kNoRow: an earlier step
  // stored it in a page that is shared, and nothing is asked of what it predicts.
  std::span<const int32_t> RowsOf(const PlannedChunk& chunk) const {
    return std::span(rows).subspan(chunk.first_token, chunk.tokens);
  }

  std::vector<PlannedChunk> chunks;
  std::vector<int32_t> rows;  // of all chunks' tokens; those that are not shared are 0, 1, 2, …
  std::vector<Sequence*>
      admitted;  // part of chunks; those admitted again after a preemption included
  std::vector<Sequence*> preempted;  // waiting again
  int32_t tokens = 0;                // rows of the step: tokens of all chunks less those shared
};

// Threads: the engine's only. REQUIRES of every sequence: PagesFor(StoredTokens(request)) <=
// pool.total(). Owns its sequences until TakeEnded.
class Scheduler {
 public:
  Scheduler(const SchedulerLimits& limits, PagePool& pool, PrefixTree& tree);

  void Add(std::unique_ptr<Sequence> sequence);  // at the end of the queue

  // Decides the next step. Not empty if there is a sequence, unless none of them needs a step.
  // Valid until the next call; the caller must answer each chunk with Store, or End its sequence.
  const Plan& Schedule();

  // The next `tokens` tokens of a running sequence are stored and their scores, if wanted, appended
  // to sequence.scores: counts them, and offers pages that became full to the tree.
  void Store(Sequence& sequence, int32_t tokens);

  // The sequence leaves with this outcome at the next TakeEnded. Only the first call for it counts.
  void End(Sequence& sequence, absl::Status status, FinishReason reason = FinishReason::kNone,
           std::optional<absl::Duration> retry_after = {});

  // Hands over all that ended, oldest first within waiting and running; their pages are released.
  std::vector<std::unique_ptr<Sequence>> TakeEnded();

  const std::deque<std::unique_ptr<Sequence>>& waiting() const { return waiting_; }  // oldest first
  const std::vector<std::unique_ptr<Sequence>>& running() const {
    return running_;
  }  // oldest first
  const Clients& clients() const { return clients_; }
  QueuedWork Queued() const;  // of all that wait
  const SchedulerLimits& limits() const { return limits_; }

 private:
  // Tokens of a sequence that others compute, in front of those it computes itself.
  struct Shared {
    int32_t tokens = 0;             // the last ones in plan_.rows
    std::optional<TriePrefix> end;  // all ids up to then; absent: others cannot share its rows
  };

  void MakeRoomForTurns();
  bool PreemptForTurn();
  size_t NextInTurn() const;
  bool CouldAdmit(const Sequence& sequence) const;
  void PlanDecodes();
  void PlanPrefills();
  void Admit();
  bool TakePageForNextToken(Sequence& sequence);
  void Preempt(size_t index);
  void FindPrefix(Sequence& sequence);
  bool TakeKnownScores(Sequence& sequence, const CachedPage& found);
  Shared ShareRows(Sequence& sequence);
  void SharePage(Sequence& sequence, int32_t index, int32_t page);
  void AddToPlan(Sequence& sequence, const Shared& shared);
  void ReleasePages(Sequence& sequence);

  const SchedulerLimits limits_;
  PagePool& pool_;
  PrefixTree& tree_;
  std::deque<std::unique_ptr<Sequence>> waiting_;
  std::vector<std::unique_ptr<Sequence>> running_;
  Clients clients_;  // with a sequence here
  int32_t running_generating_ = 0;
  int32_t ended_waiting_ = 0;
  int32_t ended_running_ = 0;
  uint64_t next_order_ = 0;
  Plan plan_;
  int32_t budget_ = 0;
  RowTrie trie_;  // of the chunks in plan_, decodes excepted
};

}  // namespace dyad::engine
