// The answer to one Score call: each item is a sequence or, cut into windows, several; the answer
// is there when the last one has ended.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dyad/v1/scoring.pb.h"
#include "server/api/call.h"
#include "server/api/parse_score.h"
#include "server/api/sequence_group.h"

namespace dyad {

// ParseScore, and what the call's record says of it. Errors: also CheckAnswerBytes.
absl::StatusOr<ScorePlan> PlanScore(const v1::ScoreRequest& request, Call& call);

// A serialized ScoreResponse, cut into pieces. Each item is one as soon as it is scored: as a
// message it would take about nine times the memory.
using ScorePieces = std::vector<std::string>;

// The message whose pieces these are.
absl::StatusOr<v1::ScoreResponse> JoinPieces(const ScorePieces& pieces);

// No lock: after Start only the engine's thread touches pieces and record, until it calls on_end.
class ScoreAnswer {
 public:
  // `on_end` is called once, from the engine's thread or within Start; it may destroy this. `call`
  // belongs to the answer until then.
  ScoreAnswer(ScorePlan plan, Call& call, std::function<void(absl::StatusOr<ScorePieces>)> on_end);

  // Submits what is to be scored, or ends with the refusal. Once.
  void Start();

  // Nobody reads the answer. Any thread.
  void Abandon() { sequences_.Abandon(); }

 private:
  // A window of an item.
  class Part final : public SequenceGroup::Member {
   public:
    Part(ScoreAnswer& answer, int32_t item) : answer_(answer), item_(item) {}
    void OnScores(std::span<const engine::TokenScore> scores) override {
      answer_.OnPartScores(*this, scores);
    }

    std::vector<engine::TokenScore> scores;  // kept if the item has other parts

   private:
    friend class ScoreAnswer;
    void OnSequenceEnd(const engine::Outcome& outcome) override;

    ScoreAnswer& answer_;
    const int32_t item_;
  };
  struct Item {
    size_t first_part = 0;
    size_t parts = 0;
    size_t missing = 0;
  };

  void OnPartScores(Part& part, std::span<const engine::TokenScore> scores);
  void OnSequencesEnd();
  void SetScore(size_t index, std::span<const engine::TokenScore> scores);

  const ScorePlan plan_;
  Call& call_;
  std::function<void(absl::StatusOr<ScorePieces>)> on_end_;
  SequenceGroup sequences_;
  std::deque<Part> parts_;  // of items that have something to score, in order
  std::vector<Item> items_;
  std::optional<int32_t> failed_item_;  // the first one
  ScorePieces pieces_;                  // of each item, and of the rest
};

}  // namespace dyad
