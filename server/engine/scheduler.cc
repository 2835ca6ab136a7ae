// See the header for the order of decisions, README.md for why.
#include "server/engine/scheduler.h"

#include <algorithm>
#include <utility>

namespace dyad::engine {
namespace {

bool Decodes(const Sequence& sequence) {
  return sequence.generated() > 0 && sequence.remaining() == 1;
}

bool Older(const std::unique_ptr<Sequence>& a, const std::unique_ptr<Sequence>& b) {
  return a->order < b->order;
}

template <typename Queue>
void InsertByAge(Queue& queue, std::unique_ptr<Sequence> sequence) {
  const auto place = std::upper_bound(queue.begin(), queue.end(), sequence, Older);
  queue.insert(place, std::move(sequence));
}

// Moves those that ended to `ended`, and keeps the order of the rest.
template <typename Queue>
void MoveEnded(Queue& queue, std::vector<std::unique_ptr<Sequence>>& ended) {
  auto kept = queue.begin();
  for (auto& sequence : queue) {
    if (sequence->outcome.has_value()) {
      ended.push_back(std::move(sequence));
    } else {
      std::swap(*kept++, sequence);
    }
  }
  queue.erase(kept, queue.end());
}

}  // namespace

Scheduler::Scheduler(const SchedulerLimits& limits, PagePool& pool, PrefixTree& tree)
    : limits_(limits), pool_(pool), tree_(tree) {}

void Scheduler::Add(std::unique_ptr<Sequence> sequence) {
  sequence->order = next_order_++;
  waiting_tokens_ += sequence->length();
  waiting_.push_back(std::move(sequence));
}

const Plan& Scheduler::Schedule() {
  plan_.chunks.clear();
  plan_.admitted.clear();
  plan_.preempted.clear();
  plan_.tokens = 0;
  in_flight_.clear();
  budget_ = limits_.max_batch_tokens;
  PlanDecodes();
  PlanPrefills();
  // What a preemption freed is for the older ones; admitting now would only preempt again.
  if (plan_.preempted.empty()) Admit();
  return plan_;
}

void Scheduler::PlanDecodes() {
  // Preemption shortens running_ from the end, where the youngest stand: never before this index.
  for (size_t i = 0; i < running_.size() && budget_ > 0; ++i) {
    Sequence& sequence = *running_[i];
    if (Decodes(sequence) && TakePageForNextToken(sequence)) AddToPlan(sequence, 1);
  }
}

void Scheduler::PlanPrefills() {
  for (size_t i = 0; i < running_.size() && budget_ > 0; ++i) {
    Sequence& sequence = *running_[i];
    if (!Decodes(sequence)) AddToPlan(sequence, std::min(budget_, sequence.remaining()));
  }
}

// False if the sequence itself was the youngest, and was preempted.
bool Scheduler::TakePageForNextToken(Sequence& sequence) {
  while (static_cast<int32_t>(sequence.pages.size()) <= sequence.stored / kPageTokens) {
    if (pool_.available() > 0) {
      sequence.pages.push_back(tree_.Take());
      continue;
    }
    const bool itself = running_.back().get() == &sequence;
    PreemptYoungest();
    if (itself) return false;
  }
  return true;
}

void Scheduler::PreemptYoungest() {
  std::unique_ptr<Sequence> sequence = std::move(running_.back());
  running_.pop_back();
  ReleasePages(*sequence);
  sequence->running = false;
  if (sequence->generates()) --running_generating_;
  waiting_tokens_ += sequence->length();
  plan_.preempted.push_back(sequence.get());
  InsertByAge(waiting_, std::move(sequence));
}

void Scheduler::Admit() {
  auto next = waiting_.begin();
  while (next != waiting_.end() && budget_ > 0 &&
         static_cast<int32_t>(running_.size()) < limits_.max_running_sequences) {
    Sequence& sequence = **next;
    FindPrefix(sequence);
    if (!sequence.postponed && WaitsForPageInFlight(sequence)) {
      // After this step the page can be shared instead of computed twice. Once only, so that nobody
      // starves behind a stream of equal prefixes.
      sequence.postponed = true;
      ReleasePages(sequence);
      ++next;
      continue;
    }
    const int32_t pages = PagesFor(sequence.target());
    const int32_t missing = std::max(0, pages - static_cast<int32_t>(sequence.pages.size()));
    if (missing > 0 && pool_.available() < missing + running_generating_) {
      ReleasePages(sequence);
      return;
    }
    for (int32_t i = 0; i < missing; ++i) sequence.pages.push_back(tree_.Take());
    sequence.running = true;
    if (sequence.generates()) ++running_generating_;
    waiting_tokens_ -= sequence.length();
    InsertByAge(running_, std::move(*next));
    next = waiting_.erase(next);
    plan_.admitted.push_back(&sequence);
    AddToPlan(sequence, std::min(budget_, sequence.remaining()));
  }
}

// Holds the pages of the longest known prefix of whole pages, and sets what is stored with them.
// Scores that the pages know are taken; a page that lacks a wanted score ends the prefix.
void Scheduler::FindPrefix(Sequence& sequence) {
  const bool needs_top = sequence.scores_missing() && sequence.request.top_n > 0;
  if (limits_.prefix_cache == PrefixCache::kOff || needs_top) return;
  while ((sequence.tree_pages + 1) * kPageTokens <= sequence.length()) {
    const auto found = tree_.Find(sequence.node, sequence.PageIdsAt(sequence.tree_pages));
    if (!found.has_value() || !TakeKnownScores(sequence, *found)) break;
    pool_.Hold(found->page);
    sequence.pages.push_back(found->page);
    sequence.node = found->node;
    ++sequence.tree_pages;
  }
  sequence.stored = sequence.tree_pages * kPageTokens;
  // The row before a missing score, or before a token to draw, has to run once more: the cache
  // holds its keys and values, but not what they predict. It writes the same bits to the same slot.
  if (sequence.scores_missing()) {
    sequence.stored = std::min(sequence.stored, sequence.next_score() - 1);
  }
  if (sequence.generates()) sequence.stored = std::min(sequence.stored, sequence.length() - 1);
}

bool Scheduler::TakeKnownScores(Sequence& sequence, const CachedPage& found) {
  const int32_t begin = sequence.tree_pages * kPageTokens;
  const int32_t end = std::min(begin + kPageTokens, sequence.prompt_tokens);
  const PageScores& known = tree_.scores(found.page);
  for (int32_t i = std::max(begin, sequence.next_score()); i < end; ++i) {
    if (known[i - begin].rank == 0) return false;
  }
  for (int32_t i = std::max(begin, sequence.next_score()); i < end; ++i) {
    sequence.scores.push_back({known[i - begin].logprob, known[i - begin].rank, {}});
  }
  return true;
}

bool Scheduler::WaitsForPageInFlight(const Sequence& sequence) const {
  if (limits_.prefix_cache == PrefixCache::kOff || in_flight_.empty()) return false;
  if (sequence.scores_missing() && sequence.request.top_n > 0) return false;
  if ((sequence.tree_pages + 1) * kPageTokens > sequence.target()) return false;
  return in_flight_.contains(
      PrefixTree::KeyHash(sequence.node, sequence.PageIdsAt(sequence.tree_pages)));
}

void Scheduler::AddToPlan(Sequence& sequence, int32_t tokens) {
  budget_ -= tokens;
  plan_.tokens += tokens;
  plan_.chunks.push_back({&sequence, tokens});
  const bool fills = sequence.stored + tokens >= (sequence.tree_pages + 1) * kPageTokens;
  if (limits_.prefix_cache == PrefixCache::kOn && fills) {
    in_flight_.insert(PrefixTree::KeyHash(sequence.node, sequence.PageIdsAt(sequence.tree_pages)));
  }
}

void Scheduler::Store(Sequence& sequence, int32_t tokens) {
  sequence.stored += tokens;
  if (limits_.prefix_cache == PrefixCache::kOff) return;
  while ((sequence.tree_pages + 1) * kPageTokens <= sequence.stored) {
    const int32_t begin = sequence.tree_pages * kPageTokens;
    PageScores scores;
    for (int32_t slot = 0; slot < kPageTokens; ++slot) {
      const int32_t id = begin + slot;
      if (id < sequence.score_begin || id >= sequence.next_score()) continue;
      const TokenScore& score = sequence.scores[id - sequence.score_begin];
      scores[slot] = {score.logprob, score.rank};
    }
    int32_t& page = sequence.pages[sequence.tree_pages];
    const CachedPage held =
        tree_.Insert(sequence.node, sequence.PageIdsAt(sequence.tree_pages), page, scores);
    page = held.page;
    sequence.node = held.node;
    ++sequence.tree_pages;
  }
}

void Scheduler::End(Sequence& sequence, absl::Status status, FinishReason reason) {
  if (sequence.outcome.has_value()) return;
  sequence.outcome.emplace();
  sequence.outcome->status = std::move(status);
  sequence.outcome->reason = reason;
  ++(sequence.running ? ended_running_ : ended_waiting_);
}

std::vector<std::unique_ptr<Sequence>> Scheduler::TakeEnded() {
  std::vector<std::unique_ptr<Sequence>> ended;
  if (ended_waiting_ > 0) MoveEnded(waiting_, ended);
  if (ended_running_ > 0) MoveEnded(running_, ended);
  ended_waiting_ = ended_running_ = 0;
  for (const auto& sequence : ended) {
    ReleasePages(*sequence);
    if (!sequence->running) {
      waiting_tokens_ -= sequence->length();
    } else if (sequence->generates()) {
      --running_generating_;
    }
  }
  return ended;
}

// Last page first: pages without holders are reclaimed in the order of their release, and a prefix
// is of use without its continuation, not the other way round.
void Scheduler::ReleasePages(Sequence& sequence) {
  for (auto page = sequence.pages.rbegin(); page != sequence.pages.rend(); ++page) {
    pool_.Release(*page);
  }
  sequence.pages.clear();
  sequence.tree_pages = 0;
  sequence.node = kRootNode;
  sequence.stored = 0;
}

}  // namespace dyad::engine
