// The real kernels pass, under every instruction set of this machine; a model with bad logits does
// not.
#include "server/self_check.h"

#include <limits>
#include <string>

#include "kernels/devices.h"
#include "kernels/isa.h"
#include "tests/support/spoiled_device.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::StatusIs;
using ::testing::HasSubstr;

TEST(CheckKernelsTest, PassesUnderEveryInstructionSetWithOneThreadAndWithTwo) {
  for (const std::string_view isa : kernels::SupportedIsas()) {
    ASSERT_TRUE(kernels::ForceIsa(isa));
    for (const int threads : {1, 2}) {
      EXPECT_OK(CheckKernels([&] { return kernels::MakeCpuDevice({.threads = threads}); })) << isa;
    }
  }
  kernels::ForceIsa(kernels::SupportedIsas().front());
}

TEST(CheckKernelsTest, RefusesAKernelThatIsWrong) {
  const absl::Status status = CheckKernels([] {
    return std::make_unique<kernels::SpoiledDevice>(kernels::MakeCpuDevice({}),
                                                    kernels::Operator::kNormalize);
  });
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInternal, HasSubstr("LayerNorm: found")));
  EXPECT_THAT(status.message(), HasSubstr(std::string(kernels::CurrentIsa())));
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
