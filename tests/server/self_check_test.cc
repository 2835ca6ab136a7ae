// The real kernels pass, under every instruction set of this machine; a model with bad numbers does
// not.
#include "server/self_check.h"

#include <limits>
#include <memory>
#include <string>
#include <utility>

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
      EXPECT_OK(CheckKernels(kernels::MakeCpuDevices(3, {.threads = threads}))) << isa;
    }
  }
  kernels::ForceIsa(kernels::SupportedIsas().front());
}

TEST(CheckKernelsTest, RefusesAKernelThatIsWrong) {
  for (const size_t wrong : {0, 1, 2}) {
    auto devices = kernels::MakeCpuDevices(3, {});
    devices[wrong] = std::make_unique<kernels::SpoiledDevice>(std::move(devices[wrong]),
                                                              kernels::Operator::kNormalize);
    const absl::Status status = CheckKernels(devices);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInternal, HasSubstr("LayerNorm: found")));
    EXPECT_THAT(status.message(), HasSubstr(std::string(kernels::CurrentIsa())));
  }
}

// Answers every step with the same log-probability.
class FixedModel final : public engine::Model {
 public:
  explicit FixedModel(float logprob) : drawn_(1) {
    limits_.vocab_size = 3;
    drawn_[0].logprob = logprob;
  }
  const engine::ModelLimits& limits() const override { return limits_; }
  engine::StepCost cost() const override { return {}; }
  absl::StatusOr<engine::StepResult> Step(const engine::Batch& batch) override {
    if (batch.ids.empty()) return absl::InternalError("no ids");
    EXPECT_EQ(batch.chunks.size(), 1u);
    EXPECT_EQ(batch.chunks[0].pages.size(), 1u);
    EXPECT_EQ(batch.draws.size(), 1u);
    engine::StepResult result;
    result.drawn = drawn_;
    return result;
  }

 private:
  std::vector<engine::GeneratedToken> drawn_;
  engine::ModelLimits limits_;
};

TEST(WarmUpTest, RunsOneToken) {
  FixedModel model(-0.5f);
  EXPECT_OK(WarmUp(model));
}

TEST(WarmUpTest, RefusesALogProbabilityThatIsNotFinite) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    FixedModel model(bad);
    EXPECT_THAT(WarmUp(model), StatusIs(absl::StatusCode::kInternal, HasSubstr("not finite")));
  }
}

}  // namespace
}  // namespace dyad
