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

// Rows, and of each sequence the tokens of a page that is not full.
int32_t MaxTrieNodes(const SchedulerLimits& limits) {
  if (limits.prefix_cache == PrefixCache::kOff) return 0;
  return limits.max_batch_tokens + limits.max_running_sequences * (kPageTokens - 1);
}

// Whether the token at `position` predicts one whose score is still wanted.
bool PredictsScore(const Sequence& sequence, int32_t position) {
  return position + 1 >= sequence.next_score() && position + 1 < sequence.score_end();
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
    : limits_(limits), pool_(pool), tree_(tree), trie_(MaxTrieNodes(limits)) {}

void Scheduler::Add(std::unique_ptr<Sequence> sequence) {
  sequence->order = next_order_++;
  sequence->client = &clients_[sequence->request.client];
  sequence->client->waiting.Add(sequence->queued());
  waiting_.push_back(std::move(sequence));
}

const Plan& Scheduler::Schedule() {
  plan_.chunks.clear();
  plan_.admitted.clear();
  plan_.preempted.clear();
  plan_.rows.clear();
  plan_.tokens = 0;
  trie_.Clear();
  budget_ = limits_.max_batch_tokens;
  MakeRoomForTurns();
  const size_t for_turns = plan_.preempted.size();
  PlanDecodes();
  PlanPrefills();
  // What a decode preempted is for the older ones; admitting now would only preempt again.
  if (plan_.preempted.size() == for_turns) Admit();
  return plan_;
}

// Before anything is planned, as who is preempted must have no part in the step. A place that was
// made and not yet taken is not made again.
void Scheduler::MakeRoomForTurns() {
  if (clients_.size() < 2 || waiting_.empty()) return;
  const Sequence& next = *waiting_[NextInTurn()];
  if (next.client->running > 0) return;
  while (!CouldAdmit(next) && PreemptForTurn()) {
  }
}

// The youngest of the client that runs most. False: no client runs two.
bool Scheduler::PreemptForTurn() {
  size_t victim = running_.size();
  int32_t most = 1;
  for (size_t i = running_.size(); i-- > 0;) {
    if (running_[i]->client->running <= most) continue;
    most = running_[i]->client->running;
    victim = i;
  }
  if (victim == running_.size()) return false;
  Preempt(victim);
  return true;
}

// Without what the prefix tree would spare: a place may be made that was not needed.
bool Scheduler::CouldAdmit(const Sequence& sequence) const {
  return static_cast<int32_t>(running_.size()) < limits_.max_running_sequences &&
         pool_.available() >= PagesFor(sequence.target()) + running_generating_;
}

// REQUIRES: something waits. Cost: up to the first sequence of a client that runs nothing.
size_t Scheduler::NextInTurn() const {
  if (clients_.size() == 1) return 0;
  size_t next = 0;
  for (size_t i = 0; i < waiting_.size() && waiting_[next]->client->running > 0; ++i) {
    if (waiting_[i]->client->running < waiting_[next]->client->running) next = i;
  }
  return next;
}

void Scheduler::PlanDecodes() {
  // Preemption shortens running_ from the end, where the youngest stand: never before this index.
  for (size_t i = 0; i < running_.size() && budget_ > 0; ++i) {
    Sequence& sequence = *running_[i];
    if (Decodes(sequence) && TakePageForNextToken(sequence)) AddToPlan(sequence, {});
  }
}

void Scheduler::PlanPrefills() {
  for (size_t i = 0; i < running_.size() && budget_ > 0; ++i) {
    Sequence& sequence = *running_[i];
    if (!Decodes(sequence)) AddToPlan(sequence, ShareRows(sequence));
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
    Preempt(running_.size() - 1);
    if (itself) return false;
  }
  return true;
}

void Scheduler::Preempt(size_t index) {
  std::unique_ptr<Sequence> sequence = std::move(running_[index]);
  running_.erase(running_.begin() + static_cast<ptrdiff_t>(index));
  ReleasePages(*sequence);
  sequence->running = false;
  --sequence->client->running;
  sequence->client->waiting.Add(sequence->queued());
  if (sequence->generates()) --running_generating_;
  plan_.preempted.push_back(sequence.get());
  InsertByAge(waiting_, std::move(sequence));
}

void Scheduler::Admit() {
  while (!waiting_.empty() && budget_ > 0 &&
         static_cast<int32_t>(running_.size()) < limits_.max_running_sequences) {
    const auto next = waiting_.begin() + static_cast<ptrdiff_t>(NextInTurn());
    Sequence& sequence = **next;
    FindPrefix(sequence);
    const Shared shared = ShareRows(sequence);
    const int32_t pages = PagesFor(sequence.target());
    const int32_t missing = std::max(0, pages - static_cast<int32_t>(sequence.pages.size()));
    if (missing > 0 && pool_.available() < missing + running_generating_) {
      ReleasePages(sequence);
      plan_.rows.resize(plan_.rows.size() - shared.tokens);
      return;
    }
    for (int32_t i = 0; i < missing; ++i) sequence.pages.push_back(tree_.Take());
    sequence.running = true;
    sequence.client->waiting.Add(-sequence.queued());
    ++sequence.client->running;
    if (sequence.generates()) ++running_generating_;
    InsertByAge(running_, std::move(*next));
    waiting_.erase(next);
    plan_.admitted.push_back(&sequence);
    AddToPlan(sequence, shared);
  }
}

// Holds the pages of the longest known prefix of whole pages, and sets what is stored with them.
// Scores that the pages know are taken; a page that lacks a wanted score ends the prefix.
void Scheduler::FindPrefix(Sequence& sequence) {
  const bool needs_more =
      sequence.scores_missing() && (sequence.request.top_n > 1 || !sequence.request.sets.empty());
  if (limits_.prefix_cache == PrefixCache::kOff || needs_more) return;
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
  const bool with_best = sequence.request.top_n > 0;
  for (int32_t i = std::max(begin, sequence.next_score()); i < end; ++i) {
    const SlotScore& score = known[i - begin];
    if (score.rank == 0 || (with_best && score.best.id < 0)) return false;
  }
  for (int32_t i = std::max(begin, sequence.next_score()); i < end; ++i) {
    const SlotScore& score = known[i - begin];
    sequence.scores.push_back({score.logprob, score.rank, {}});
    if (with_best) sequence.scores.back().top = {score.best};
  }
  return true;
}

// Finds out which of the next tokens are in the trie already, and shares their pages as far as
// those will be full. A page that will not be full is the sequence's own: its tokens can be copied
// there from their rows, so that all of them need one. Whatever predicts a wanted score needs one,
// too.
Scheduler::Shared Scheduler::ShareRows(Sequence& sequence) {
  Shared shared;
  if (limits_.prefix_cache == PrefixCache::kOff) return shared;
  const int32_t begin = std::min(sequence.stored, sequence.tree_pages * kPageTokens);
  TriePrefix prefix = begin == 0 ? kEmptyPrefix
                                 : PrefixInPage(sequence.pages[(begin - 1) / kPageTokens],
                                                (begin - 1) % kPageTokens + 1);
  for (int32_t i = begin; i < sequence.stored; ++i) {
    prefix = trie_.Add(prefix, sequence.ids[i], {RowNode::kNoRow, sequence.pages[i / kPageTokens]});
  }
  shared.end = prefix;
  const size_t first = plan_.rows.size();
  bool copyable = true;  // all tokens of this page so far have rows
  for (int32_t i = sequence.stored; i < sequence.target(); ++i) {
    const std::optional<TriePrefix> next = trie_.Find(prefix, sequence.ids[i]);
    if (!next.has_value()) break;
    prefix = *next;
    const RowNode& node = trie_.node(prefix);
    const bool has_row = node.row != RowNode::kNoRow;
    if (!has_row && PredictsScore(sequence, i)) break;
    plan_.rows.push_back(node.row);
    copyable = has_row && (copyable || i % kPageTokens == 0);
    const bool fills_page = (i + 1) % kPageTokens == 0;
    if (fills_page) SharePage(sequence, i / kPageTokens, node.page);
    if (fills_page || copyable) shared = {i + 1 - sequence.stored, prefix};
  }
  plan_.rows.resize(first + shared.tokens);
  return shared;
}

// The sequence's page at this index holds nothing yet that `page` will not hold, too.
void Scheduler::SharePage(Sequence& sequence, int32_t index, int32_t page) {
  pool_.Hold(page);
  if (index == static_cast<int32_t>(sequence.pages.size())) {
    sequence.pages.push_back(page);
  } else {
    pool_.Release(std::exchange(sequence.pages[index], page));
  }
}

// Plans the shared tokens and then as many rows as the sequence needs and the budget allows.
void Scheduler::AddToPlan(Sequence& sequence, const Shared& shared) {
  const int32_t fresh = std::min(budget_, sequence.remaining() - shared.tokens);
  const auto first_token = static_cast<int32_t>(plan_.rows.size()) - shared.tokens;
  plan_.chunks.push_back({&sequence, shared.tokens + fresh, shared.tokens, first_token});
  std::optional<TriePrefix> prefix = shared.end;
  const int32_t begin = sequence.stored + shared.tokens;
  for (int32_t i = begin; i < begin + fresh; ++i) {
    const int32_t row = plan_.tokens++;
    plan_.rows.push_back(row);
    if (!prefix.has_value()) continue;
    prefix = trie_.Add(*prefix, sequence.ids[i], {row, sequence.pages[i / kPageTokens]});
  }
  budget_ -= fresh;
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
      if (!score.top.empty()) scores[slot].best = score.top.front();
    }
    int32_t& page = sequence.pages[sequence.tree_pages];
    const CachedPage held =
        tree_.Insert(sequence.node, sequence.PageIdsAt(sequence.tree_pages), page, scores);
    page = held.page;
    sequence.node = held.node;
    ++sequence.tree_pages;
  }
}

void Scheduler::End(Sequence& sequence, absl::Status status, FinishReason reason,
                    std::optional<absl::Duration> retry_after) {
  if (sequence.outcome.has_value()) return;
  sequence.outcome.emplace();
  sequence.outcome->status = std::move(status);
  sequence.outcome->reason = reason;
  sequence.outcome->retry_after = retry_after;
  ++(sequence.running ? ended_running_ : ended_waiting_);
}

std::vector<std::unique_ptr<Sequence>> Scheduler::TakeEnded() {
  std::vector<std::unique_ptr<Sequence>> ended;
  if (ended_waiting_ > 0) MoveEnded(waiting_, ended);
  if (ended_running_ > 0) MoveEnded(running_, ended);
  ended_waiting_ = ended_running_ = 0;
  for (const auto& sequence : ended) {
    ReleasePages(*sequence);
    ClientLoad& client = *sequence->client;
    if (sequence->running) {
      --client.running;
    } else {
      client.waiting.Add(-sequence->queued());
    }
    if (client.running + client.waiting.sequences == 0) clients_.erase(sequence->request.client);
    if (sequence->running && sequence->generates()) --running_generating_;
  }
  return ended;
}

QueuedWork Scheduler::Queued() const {
  QueuedWork all;
  for (const auto& [id, client] : clients_) all.Add(client.waiting);
  return all;
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
