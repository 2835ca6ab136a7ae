// Memory that is there, and that is not.
#include "server/model_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/devices.h"
#include "server/model/load_model.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ModelMemoryTest : public ::testing::Test {
 protected:
  ModelMemoryTest() {
    options_.models = {{"m", (testing::FixturesDir() / "opt-dyad-it4").string()}};
    options_.kv_cache_bytes = 64 << 20;
    bytes_ = ModelBytes(options_.models[0].folder, {.max_batch_tokens = 512, .max_draws = 256},
                        *kernels::MakeCpuDevice({}))
                 .value_or(0);
    host_.memory_bytes = int64_t{1} << 30;
  }

  absl::StatusOr<ModelOptions> Of(int64_t device_bytes = 0) {
    events_.clear();
    return OptionsOfModels(
        options_, host_, device_bytes,
        [this](LogLevel level, const std::string& event, const std::vector<LogField>& fields) {
          EXPECT_EQ(level, LogLevel::kWarning);
          EXPECT_FALSE(fields.empty());
          events_.push_back(event);
        });
  }

  Options options_;
  Host host_;
  int64_t bytes_ = 0;
  std::vector<std::string> events_;
};

TEST_F(ModelMemoryTest, HandsOnWhatTheOptionsSay) {
  ASSERT_GT(bytes_, 0);
  options_.weight_dtype = WeightDtype::kInt8;
  options_.arithmetic = kernels::Arithmetic::kInteger16;
  const absl::StatusOr<ModelOptions> model = Of();
  ASSERT_OK(model);
  EXPECT_EQ(model->weight_dtype, WeightDtype::kInt8);
  EXPECT_EQ(model->arithmetic, kernels::Arithmetic::kInteger16);
  EXPECT_EQ(model->kv_cache_bytes, 64 << 20);
  EXPECT_EQ(model->max_batch_tokens, options_.engine.max_batch_tokens);
  EXPECT_THAT(events_, IsEmpty());
}

TEST_F(ModelMemoryTest, WarnsOfLimitsThatCannotBeRead) {
  host_.unreadable = {"proc/meminfo", "sys/fs/cgroup/memory.max"};
  EXPECT_OK(Of());
  EXPECT_THAT(events_, ElementsAre("a limit of this process cannot be read",
                                   "a limit of this process cannot be read"));
}

TEST_F(ModelMemoryTest, WeightsThatDoNotFitAreRefusedWhateverTheCache) {
  for (const int64_t cache : {int64_t{0}, int64_t{64} << 20}) {
    options_.kv_cache_bytes = cache;
    host_.memory_bytes = bytes_ / 2;
    EXPECT_THAT(Of().status(),
                StatusIs(absl::StatusCode::kResourceExhausted,
                         AllOf(HasSubstr("weights and activations take about"),
                               HasSubstr(std::to_string(bytes_ / 2)), HasSubstr("host"))));
    host_.memory_bytes = int64_t{1} << 30;
    EXPECT_THAT(Of(bytes_ / 2).status(),
                StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("device has free")));
  }
}

TEST_F(ModelMemoryTest, CachesThatDoNotFitAreRefusedAndThoseThatNearlyDoNotWarnedOf) {
  host_.memory_bytes = (int64_t{64} << 20) + bytes_ / 2;
  EXPECT_THAT(Of().status(), StatusIs(absl::StatusCode::kResourceExhausted,
                                      HasSubstr("--kv_cache_bytes is 67108864")));
  host_.memory_bytes = (int64_t{65} << 20) + bytes_;
  EXPECT_OK(Of());
  EXPECT_THAT(events_, ElementsAre("kv cache and models leave little memory"));
}

TEST_F(ModelMemoryTest, EveryModelAndItsCacheCounts) {
  host_.memory_bytes = 2 * (bytes_ + (int64_t{64} << 20)) - bytes_ / 2;
  EXPECT_OK(Of());
  options_.models.push_back({"b", options_.models[0].folder});
  EXPECT_THAT(Of().status(),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("--kv_cache_bytes is 67108864 for each model"),
                             HasSubstr(std::to_string(2 * bytes_)))));
  host_.memory_bytes += bytes_ / 2;
  EXPECT_OK(Of());
  host_.memory_bytes = 2 * bytes_ - bytes_ / 2;
  EXPECT_THAT(Of().status(), StatusIs(absl::StatusCode::kResourceExhausted,
                                      HasSubstr("weights and activations take about")));
}

TEST_F(ModelMemoryTest, SaysOfWhichModelAndThatACommaMayBeMeantOtherwise) {
  options_.models.push_back({"b", "/nowhere"});
  EXPECT_THAT(Of().status(), StatusIs(absl::StatusCode::kNotFound,
                                      AllOf(HasSubstr("model b: "), HasSubstr("a comma in"))));
}

}  // namespace
}  // namespace dyad
