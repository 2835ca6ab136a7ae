// Names and offsets of tokens, and the arrays that clients sum.
#include "server/openai/completion_json.h"

#include <cmath>
#include <limits>

#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Token = TextOffsets::Token;

TEST(TextOffsetsTest, CountCodePoints) {
  TextOffsets offsets("");
  EXPECT_EQ(offsets.Next("aé", Token::kOrdinary), 0);
  EXPECT_EQ(offsets.Next("\xe2\x82", Token::kOrdinary), 2);  // a part of the euro sign
  EXPECT_EQ(offsets.Next("\xac", Token::kOrdinary), 2);
  EXPECT_EQ(offsets.Next("b", Token::kOrdinary), 3);
  EXPECT_EQ(offsets.Next("\xff", Token::kOrdinary), 4);  // U+FFFD in the text
  EXPECT_EQ(offsets.Next("c", Token::kOrdinary), 5);
}

TEST(TextOffsetsTest, ASpecialTokenThatIsNotInTheTextTakesNoRoom) {
  TextOffsets offsets("a</s>b");
  EXPECT_EQ(offsets.Next("</s>", Token::kSpecial), 0);  // the tokenizer's own
  EXPECT_EQ(offsets.Next("a", Token::kOrdinary), 0);
  EXPECT_EQ(offsets.Next("</s>", Token::kSpecial), 1);  // written out
  EXPECT_EQ(offsets.Next("b", Token::kOrdinary), 5);
  EXPECT_EQ(offsets.Next("</s>", Token::kSpecial), 6);  // generated
  EXPECT_EQ(offsets.Next("c", Token::kOrdinary), 6);
}

v1::TokenLogprob Logprob(int32_t id, const std::string& text, const std::string& bytes,
                         float logprob) {
  v1::TokenLogprob token;
  token.set_id(id);
  token.set_text(text);
  token.set_bytes(bytes);
  token.set_logprob(logprob);
  return token;
}

void AddTop(v1::TokenLogprob& token, int32_t id, const std::string& text, float logprob) {
  v1::TopToken& top = *token.add_top();
  top.set_id(id);
  top.set_text(text);
  top.set_bytes(text);
  top.set_logprob(logprob);
}

TEST(TokenNameTest, IsTheTextOrTheBytesOrTheId) {
  CompletionRequest request;
  EXPECT_EQ(TokenName(Logprob(1, "é", "é", 0), request), "é");
  EXPECT_EQ(TokenName(Logprob(1, " \uFFFD", " \xe2\x80", 0), request), "bytes: \\xe2\\x80");
  EXPECT_EQ(TokenName(Logprob(7, "", "", 0), request), "token_id:7");
  request.names_tokens_by_id = true;
  EXPECT_EQ(TokenName(Logprob(7, "a", "a", 0), request), "token_id:7");
}

class CompletionChoiceTest : public ::testing::Test {
 protected:
  CompletionChoiceTest() {
    plan_.model = &models_.models().front();
    plan_.request.ids = {kEnd, 'a'};
    plan_.prompt_text = "a";
    plan_.logprobs = 1;
    plan_.echo = Echo::kYes;
    choice_.add_ids(kEnd);
    choice_.add_ids('a');
    choice_.add_ids('b');
    choice_.set_text("ab");
    *choice_.add_logprobs() = Logprob(kEnd, "</s>", "</s>", 0);
    *choice_.add_logprobs() = Logprob('a', "a", "a", -1.5f);
    AddTop(*choice_.mutable_logprobs(1), 'x', "x", -0.1f);
    *choice_.add_logprobs() = Logprob('b', "b", "b", -0.7f);
    AddTop(*choice_.mutable_logprobs(2), 'b', "b", -0.7f);
  }
  ByteTokenizer tokenizer_;
  ModelRegistry models_{
      FakeModels(tokenizer_, {.vocab_size = kByteVocabulary, .context_length = 20}, nullptr)};
  GenerationPlan plan_;
  CompletionRequest request_;
  v1::Choice choice_;
};

TEST_F(CompletionChoiceTest, HasOneEntryATokenAndNothingBeforeTheFirst) {
  CompletionChoice writer(plan_, request_);
  choice_.set_finish_reason(v1::FINISH_REASON_EOS);
  const auto json = writer.Piece(choice_);
  ASSERT_OK(json);
  EXPECT_EQ((*json)["text"], "ab");
  EXPECT_EQ((*json)["finish_reason"], "stop");
  EXPECT_TRUE((*json)["stop_reason"].is_null());
  const auto& logprobs = (*json)["logprobs"];
  EXPECT_EQ(logprobs["tokens"].dump(), R"(["</s>","a","b"])");
  EXPECT_EQ(logprobs["text_offset"].dump(), "[0,0,1]");
  EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
  EXPECT_TRUE(logprobs["top_logprobs"][0].is_null());
  EXPECT_EQ(logprobs["top_logprobs"][1].size(), 2u);
  EXPECT_EQ(logprobs["top_logprobs"][2].size(), 1u);
  EXPECT_EQ(writer.generated_tokens(), 1);
}

TEST_F(CompletionChoiceTest, NumbersAreTheFloatsAsDoubles) {
  CompletionChoice writer(plan_, request_);
  const auto json = writer.Piece(choice_);
  const std::string text = (*json)["logprobs"]["token_logprobs"].dump();
  EXPECT_EQ(text, "[null,-1.5,-0.699999988079071]");
  const auto read = nlohmann::json::parse(text);
  EXPECT_EQ(read[2].get<double>(), static_cast<double>(-0.7f));
  // "Greedy" is found by equality of these two.
  EXPECT_EQ((*json)["logprobs"]["top_logprobs"][2]["b"].dump(),
            (*json)["logprobs"]["token_logprobs"][2].dump());
}

TEST_F(CompletionChoiceTest, OfTwoTokensWithOneTextTheLikelierStays) {
  AddTop(*choice_.mutable_logprobs(1), 400, "a", -0.25f);
  CompletionChoice writer(plan_, request_);
  EXPECT_EQ((*writer.Piece(choice_))["logprobs"]["top_logprobs"][1]["a"], -0.25);
}

TEST_F(CompletionChoiceTest, WhatIsNotFiniteIsAnError) {
  choice_.mutable_logprobs(2)->set_logprob(std::numeric_limits<float>::quiet_NaN());
  CompletionChoice writer(plan_, request_);
  EXPECT_THAT(writer.Piece(choice_),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("not finite, of token 98")));
  choice_.mutable_logprobs(2)->set_logprob(-1);
  choice_.mutable_logprobs(1)->mutable_top(0)->set_logprob(-INFINITY);
  EXPECT_FALSE(CompletionChoice(plan_, request_).Piece(choice_).ok());
}

TEST_F(CompletionChoiceTest, PiecesGoOnWhereTheLastOneEnded) {
  CompletionChoice writer(plan_, request_);
  ASSERT_OK(writer.Piece(choice_));
  v1::Choice next;
  next.add_ids('c');
  next.set_text("c");
  next.set_finish_reason(v1::FINISH_REASON_STOP);
  next.set_stop_string("!");
  *next.add_logprobs() = Logprob('c', "c", "c", -2);
  const auto json = writer.Piece(next);
  EXPECT_EQ((*json)["logprobs"]["text_offset"].dump(), "[2]");
  EXPECT_EQ((*json)["logprobs"]["token_logprobs"].dump(), "[-2.0]");
  EXPECT_EQ((*json)["stop_reason"], "!");
  next.set_stop_id('c');
  EXPECT_EQ((*writer.Piece(next))["stop_reason"], static_cast<int>('c'));
  EXPECT_EQ(writer.generated_tokens(), 3);
}

TEST_F(CompletionChoiceTest, IdsComeWhereTheyAreAskedFor) {
  EXPECT_FALSE(CompletionChoice(plan_, request_).Piece(choice_)->contains("token_ids"));
  request_.returns_ids = true;
  CompletionChoice writer(plan_, request_);
  const auto json = writer.Piece(choice_);
  EXPECT_EQ((*json)["token_ids"].dump(), "[256,97,98]");
  EXPECT_EQ((*json)["prompt_token_ids"].dump(), "[256,97]");
  EXPECT_FALSE(writer.Piece(choice_)->contains("prompt_token_ids"));
}

}  // namespace
}  // namespace dyad
