// Tokens with their text and bytes.
#include "server/api/token_result.h"

#include "tests/server/api/api_fixture.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;

TEST(TokenResultTest, BytesAreTheTokensOwn) {
  const ByteTokenizer tokenizer;
  const std::vector<ServedModel> models = FakeModels(tokenizer, {}, nullptr);
  const v1::TopToken half = ToTopToken(models[0], {0xC3, -1.5f});
  EXPECT_EQ(half.id(), 0xC3);
  EXPECT_EQ(half.logprob(), -1.5f);
  EXPECT_EQ(half.text(), "\uFFFD");
  EXPECT_EQ(half.bytes(), "\xC3");
  const std::vector<engine::TopToken> top = {{kThe, -1}, {'a', -2}};
  const v1::TokenLogprob logprob = ToTokenLogprob(models[0], {kEnd, -3}, top);
  EXPECT_EQ(logprob.text(), "</s>");
  EXPECT_EQ(logprob.bytes(), "</s>");
  ASSERT_EQ(logprob.top_size(), 2);
  EXPECT_EQ(logprob.top(0).bytes(), "the");
}

TEST(TokenResultTest, WithoutTokenizerThereIsNeither) {
  const ByteTokenizer tokenizer;
  const std::vector<ServedModel> models = FakeModels(tokenizer, {}, nullptr);
  const v1::TopToken token = ToTopToken(models[1], {7, -1});
  EXPECT_EQ(token.text(), "");
  EXPECT_EQ(token.bytes(), "");
}

}  // namespace
}  // namespace dyad
