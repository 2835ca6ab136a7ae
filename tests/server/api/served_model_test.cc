// How a model is named.
#include "server/api/served_model.h"

#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::ByteTokenizer;
using ::dyad::testing::FakeModels;
using ::dyad::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(ModelRegistryTest, FindsByName) {
  const ByteTokenizer tokenizer;
  const ModelRegistry registry(FakeModels(tokenizer, {}, nullptr));
  EXPECT_EQ((*registry.Find("ids"))->info.digest, "d2");
  EXPECT_EQ((*registry.Find("bytes"))->info.digest, "d1");
}

TEST(ModelRegistryTest, NoNameMeansTheOnlyModel) {
  const ByteTokenizer tokenizer;
  std::vector<ServedModel> models = FakeModels(tokenizer, {}, nullptr);
  const ModelRegistry two(models);
  EXPECT_THAT(two.Find(""),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("several: bytes, ids")));
  models.pop_back();
  const ModelRegistry one(models);
  EXPECT_EQ((*one.Find(""))->name, "bytes");
}

TEST(ModelRegistryTest, AnUnknownNameIsNotFoundAndShortened) {
  const ByteTokenizer tokenizer;
  const ModelRegistry registry(FakeModels(tokenizer, {}, nullptr));
  const auto found = registry.Find(std::string(5000, 'x'));
  EXPECT_THAT(found, StatusIs(absl::StatusCode::kNotFound,
                              AllOf(HasSubstr("xxx…"), HasSubstr("this server has: bytes, ids"))));
  EXPECT_LT(found.status().message().size(), 200u);
}

}  // namespace
}  // namespace dyad
