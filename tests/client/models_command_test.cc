// dyadctl models, whole.
#include "client/dyadctl.h"
#include "client/json_line.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using testing::FakeServer;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::RunDyadctl;

TEST(ModelsCommandTest, ListsModelsForPeople) {
  FakeServer server;
  const auto run = RunDyadctl({"models", "--server", server.address()});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("fake\n"));
  EXPECT_THAT(run.out, HasSubstr("5000000000"));
  EXPECT_THAT(run.out, HasSubstr("no: token ids only"));
  EXPECT_THAT(run.out, Not(HasSubstr("fc1")));
}

TEST(ModelsCommandTest, OneModelHasItsLayers) {
  FakeServer server;
  const auto run = RunDyadctl({"models", "--model=fake", "--server", server.address()});
  EXPECT_THAT(run.out, HasSubstr("decoder.layers.0.fc1"));
  EXPECT_THAT(run.out, HasSubstr("monarch 4 blocks"));
}

TEST(ModelsCommandTest, LayersHaveTheirDetails) {
  FakeServer server;
  for (const char* model : {"--model=fake", "--model="}) {
    const auto run = RunDyadctl({"models", "--layers", model, "--server", server.address()});
    EXPECT_THAT(run.out, HasSubstr("decoder.layers.4.fc1"));  // of the third answer
    EXPECT_THAT(run.out, HasSubstr("of dense: parameters 50 (50.0 %), "));
    EXPECT_THAT(run.out, HasSubstr("form: PLAN, fewer parameters\n"));
    EXPECT_THAT(run.out, HasSubstr("step: contract x -> y: 1 -> 2\n"));
    EXPECT_THAT(run.out, HasSubstr("from: fc1.blkdiag1 float16 [4, 2]\n"));
    EXPECT_THAT(run.out, HasSubstr("from: 2 tensors more\n"));
  }
  const auto json =
      ParseLine(RunDyadctl({"models", "--layers", "--json", "--server", server.address()}).out);
  ASSERT_OK(json);
  ASSERT_EQ((*json)["layers"].size(), 5u);
  EXPECT_EQ((*json)["layers"][4]["kind"], "monarch");
  EXPECT_EQ((*json)["layers"][4]["tensors"][0]["shape"], Json({4, 2}));
  EXPECT_EQ((*json)["layers"][4]["form"], "PLAN");
  EXPECT_FALSE((*json)["layers"][4].contains("pays"));
}

TEST(ModelsCommandTest, JsonIsOneObjectPerModel) {
  FakeServer server;
  const auto json = ParseLine(RunDyadctl({"models", "--json", "--server", server.address()}).out);
  ASSERT_OK(json);
  EXPECT_EQ((*json)["parameters"], 5'000'000'000);
  EXPECT_EQ((*json)["state"], "READY");
}

TEST(ModelsCommandTest, AnUnknownModelIsAnError) {
  FakeServer server;
  const auto run = RunDyadctl({"models", "--model=x", "--server", server.address()});
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.err, HasSubstr("NOT_FOUND"));
}

}  // namespace
}  // namespace dyad::client
