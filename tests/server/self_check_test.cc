// The real kernels pass, under every instruction set of this machine; a model with bad logits does
// not.
#include "server/self_check.h"

#include <limits>
#include <string>

#include "kernels/linear.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::StatusIs;
using ::testing::HasSubstr;

TEST(CheckKernelsTest, PassesWithOneThreadAndWithTwo) {
  for (const int threads : {1, 2}) {
    kernels::ThreadPool pool(threads);
    EXPECT_OK(CheckKernels(pool));
  }
}

// Answers every step with the same logits.
class FixedModel final : public engine::Model {
 public:
  explicit FixedModel(std::vector<float> logits) : logits_(std::move(logits)) {
    limits_.vocab_size = static_cast<int32_t>(logits_.size());
  }
  const engine::ModelLimits& limits() const override { return limits_; }
  engine::StepCost cost() const override { return {}; }
  absl::StatusOr<engine::StepResult> Step(const engine::Batch& batch) override {
    if (batch.ids.empty()) return absl::InternalError("no ids");
    EXPECT_EQ(batch.chunks.size(), 1u);
    EXPECT_EQ(batch.chunks[0].pages.size(), 1u);
    engine::StepResult result;
    result.logits = logits_;
    return result;
  }

 private:
  std::vector<float> logits_;
  engine::ModelLimits limits_;
};

TEST(WarmUpTest, RunsOneToken) {
  FixedModel model({1, 2, 3});
  EXPECT_OK(WarmUp(model));
}

TEST(WarmUpTest, RefusesLogitsThatAreNotFinite) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    FixedModel model({1, bad, 3});
    EXPECT_THAT(WarmUp(model), StatusIs(absl::StatusCode::kInternal, HasSubstr("not finite")));
  }
}

}  // namespace
}  // namespace dyad
