// Lines as requests.
#include "client/request_json.h"

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::StatusIs;

Json Line(const std::string& text) { return *ParseLine(text); }

TEST(RequestJsonTest, GenerateTakesEveryOptionOfTheProto) {
  const auto request = GenerateRequestFromJson(Line(
      R"({"text": "Hi", "max_new_tokens": 7, "temperature": 0.5, "top_k": 3, "top_p": 0.9,
          "min_p": 0.1, "repetition_penalty": 1.5, "presence_penalty": -1, "frequency_penalty": 1,
          "logit_bias": {"17": -100, "3": 0.25}, "stop": ["a", "b"], "stop_ids": [5],
          "ignore_eos": true, "seed": 18446744073709551615, "n": 2, "echo": true, "logprobs": 4,
          "special_tokens": "LITERAL", "model": "m"})"));
  ASSERT_OK(request);
  EXPECT_EQ(request->text(), "Hi");
  EXPECT_EQ(request->max_new_tokens(), 7);
  EXPECT_EQ(request->temperature(), 0.5f);
  EXPECT_EQ(request->logit_bias().at(17), -100.0f);
  EXPECT_THAT(request->stop(), ElementsAre("a", "b"));
  EXPECT_THAT(request->stop_ids(), ElementsAre(5));
  EXPECT_EQ(request->seed(), 18446744073709551615u);
  EXPECT_EQ(request->special_tokens(), v1::SPECIAL_TOKENS_LITERAL);
  EXPECT_TRUE(request->ignore_eos());
  EXPECT_EQ(request->logprobs(), 4);
}

TEST(RequestJsonTest, AbsentAndNullOptionsAreUnset) {
  const auto request = GenerateRequestFromJson(Line(R"({"ids": [1, 2], "seed": null})"));
  ASSERT_OK(request);
  EXPECT_THAT(request->ids().ids(), ElementsAre(1, 2));
  EXPECT_FALSE(request->has_seed());
  EXPECT_FALSE(request->has_temperature());
}

TEST(RequestJsonTest, AZeroThatWasGivenIsSet) {
  const auto request = GenerateRequestFromJson(Line(R"({"text": "", "temperature": 0})"));
  ASSERT_OK(request);
  EXPECT_TRUE(request->has_temperature());
  EXPECT_EQ(request->prompt_case(), v1::GenerateRequest::kText);  // an empty text is a text
}

TEST(RequestJsonTest, OneStopStringNeedsNoList) {
  EXPECT_THAT(GenerateRequestFromJson(Line(R"({"text": "a", "stop": "\n"})"))->stop(),
              ElementsAre("\n"));
}

TEST(RequestJsonTest, GenerateNamesWhatItCannotRead) {
  const auto error = [](const char* line) {
    const auto request = GenerateRequestFromJson(Line(line));
    EXPECT_EQ(request.status().code(), absl::StatusCode::kInvalidArgument) << line;
    return std::string(request.status().message());
  };
  EXPECT_THAT(error(R"({"text": "a", "temprature": 1})"), HasSubstr("temprature"));
  EXPECT_THAT(error(R"({"text": "a", "max_new_tokens": 1.5})"), HasSubstr("max_new_tokens"));
  EXPECT_THAT(error(R"({"text": "a", "ids": [1]})"), HasSubstr("both"));
  EXPECT_THAT(error(R"({"max_new_tokens": 1})"), HasSubstr("neither"));
  EXPECT_THAT(error(R"({"ids": 7})"), HasSubstr("ids is 7; it must be a list"));
  EXPECT_THAT(error(R"({"ids": [4294967296]})"), HasSubstr("4294967296"));
  EXPECT_THAT(error(R"({"text": 7, "stop": 1, "n": "x"})"), HasSubstr("n"));
}

TEST(RequestJsonTest, ScoreTakesTextOrIdsWithTheirContexts) {
  const auto text = ScoreRequestFromJson(
      Line(R"({"text": "b", "context": "a", "convention": "BABYLM", "top_n": 3, "id": "mine"})"));
  ASSERT_OK(text);
  EXPECT_EQ(text->items(0).text(), "b");
  EXPECT_EQ(text->items(0).context_text(), "a");
  EXPECT_EQ(text->convention(), v1::CONVENTION_BABYLM);
  EXPECT_EQ(text->top_n(), 3);
  const auto ids = ScoreRequestFromJson(Line(R"({"ids": [3], "context_ids": [1, 2]})"));
  ASSERT_OK(ids);
  EXPECT_THAT(ids->items(0).ids().ids(), ElementsAre(3));
  EXPECT_THAT(ids->items(0).context_ids().ids(), ElementsAre(1, 2));
}

TEST(RequestJsonTest, WordsAreAskedForByEitherKey) {
  const auto split = ScoreRequestFromJson(Line(R"({"text": "b", "word_split": "PUNCTUATION"})"));
  ASSERT_OK(split);
  EXPECT_EQ(split->words().split(), v1::WORD_SPLIT_PUNCTUATION);
  const auto corrected = ScoreRequestFromJson(
      Line(R"({"text": "b", "word_correction": "OH_SCHULER", "word": "own"})"));
  ASSERT_OK(corrected);
  EXPECT_EQ(corrected->words().correction(), v1::WORD_CORRECTION_OH_SCHULER);
  EXPECT_FALSE(ScoreRequestFromJson(Line(R"({"text": "b", "split": "train"})"))->has_words());
  EXPECT_THAT(ScoreRequestFromJson(Line(R"({"text": "b", "word_split": "x"})")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("word_split is \"x\"; it must be WHITESPACE or PUNCTUATION")));
}

// An empty context is the prefix id; no context is the convention's business.
TEST(RequestJsonTest, AnEmptyContextIsNotNoContext) {
  EXPECT_EQ(ScoreRequestFromJson(Line(R"({"text": "b", "context": ""})"))->items(0).context_case(),
            v1::ScoreItem::kContextText);
  EXPECT_EQ(
      ScoreRequestFromJson(Line(R"({"ids": [1], "context_ids": []})"))->items(0).context_case(),
      v1::ScoreItem::kContextIds);
  EXPECT_EQ(ScoreRequestFromJson(Line(R"({"text": "b"})"))->items(0).context_case(),
            v1::ScoreItem::CONTEXT_NOT_SET);
}

TEST(RequestJsonTest, ScoreNamesWhatItCannotRead) {
  for (const char* line :
       {R"({"context": "a"})", R"({"text": "a", "ids": [1]})", R"({"text": ["a"]})",
        R"({"text": "a", "context": "b", "context_ids": []})", R"({"ids": ["x"]})",
        R"({"text": "a", "convention": "MINE"})"}) {
    EXPECT_EQ(ScoreRequestFromJson(Line(line)).status().code(), absl::StatusCode::kInvalidArgument)
        << line;
  }
}

TEST(RequestJsonTest, TokenizeKnowsAbsentFromFalse) {
  EXPECT_FALSE(TokenizeRequestFromJson(Line(R"({"text": "a"})"))->has_add_special_tokens());
  const auto request =
      TokenizeRequestFromJson(Line(R"({"text": "a", "add_special_tokens": false, "cat": "x"})"));
  ASSERT_OK(request);
  EXPECT_TRUE(request->has_add_special_tokens());
  EXPECT_FALSE(request->add_special_tokens());
  EXPECT_THAT(TokenizeRequestFromJson(Line(R"({"ids": [1]})")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("text must be a string")));
}

TEST(RequestJsonTest, DetokenizeTakesIdsWhateverElseTheLineHas) {
  const auto request = DetokenizeRequestFromJson(
      Line(R"({"ids": [5, 6], "text": "gold", "skip_special_tokens": true})"));
  ASSERT_OK(request);
  EXPECT_THAT(request->ids(), ElementsAre(5, 6));
  EXPECT_TRUE(request->skip_special_tokens());
  EXPECT_FALSE(DetokenizeRequestFromJson(Line(R"({"text": "x"})")).ok());
}

TEST(RequestJsonTest, PairsNeedBothSentences) {
  const auto pair =
      MinimalPairFromJson(Line(R"({"sentence_good": "g", "sentence_bad": "b", "UID": "u"})"));
  ASSERT_OK(pair);
  EXPECT_EQ(pair->good(), "g");
  EXPECT_EQ(pair->bad(), "b");
  EXPECT_FALSE(pair->has_context());
  const auto after =
      MinimalPairFromJson(Line(R"({"sentence_good": "g", "sentence_bad": "b", "context": ""})"));
  EXPECT_TRUE(after->has_context());
  EXPECT_THAT(
      MinimalPairFromJson(Line(R"({"sentence_good": "g", "sentence_bad": "b", "context": 1})")),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("context must be a string")));
  EXPECT_THAT(MinimalPairFromJson(Line(R"({"sentence_good": "g"})")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("sentence_bad")));
}

// The words of every message are here.
TEST(RequestJsonTest, AMisspeltOptionIsRefusedByName) {
  const struct {
    const char* line;
    const char* key;  // as it stands in the line
    const char* option;
  } rows[] = {
      {R"({"text": "a", "contexts": "b"})", "contexts", "context"},
      {R"({"text": "a", "Context": "b"})", "Context", "context"},
      {R"({"text": "a", "contextIds": []})", "contextIds", "context_ids"},
      {R"({"text": "a", "conventon": "BABYLM"})", "conventon", "convention"},
      {R"({"text": "a", "special-tokens": "PARSE"})", "special-tokens", "special_tokens"},
      {R"({"text": "a", "topN": 3})", "topN", "top_n"},
      {R"({"text": "a", "modl": "m"})", "modl", "model"},
  };
  for (const auto& row : rows) {
    EXPECT_THAT(
        ScoreRequestFromJson(Line(row.line)),
        StatusIs(absl::StatusCode::kInvalidArgument,
                 absl::StrCat("the key '", row.key, "' is no option; '", row.option, "' is one")));
  }
  EXPECT_FALSE(TokenizeRequestFromJson(Line(R"({"text": "a", "add_special_token": true})")).ok());
  EXPECT_FALSE(DetokenizeRequestFromJson(Line(R"({"ids": [1], "modell": ""})")).ok());
  EXPECT_FALSE(MinimalPairFromJson(
                   Line(R"({"sentence_good": "g", "sentence_bad": "b", "sentenceGood": "x"})"))
                   .ok());
  EXPECT_FALSE(GenerateRequestFromJson(Line(R"({"text": "a", "maxNewTokens": 1})")).ok());
}

TEST(RequestJsonTest, OtherKeysAreTheCallersOwn) {
  const Json line =
      Line(R"({"text": "a", "id": 7, "topic": "cats", "test": true, "condition": "plural"})");
  EXPECT_OK(ScoreRequestFromJson(line));
  EXPECT_OK(GenerateRequestFromJson(line));
  EXPECT_OK(TokenizeRequestFromJson(line));
}

TEST(RequestJsonTest, APairHasNoOptionsOfItsOwn) {
  for (const char* key : {"context_ids", "convention", "special_tokens", "model"}) {
    Json line = {{"sentence_good", "g"}, {"sentence_bad", "b"}, {key, "x"}};
    EXPECT_THAT(MinimalPairFromJson(line), StatusIs(absl::StatusCode::kInvalidArgument,
                                                    HasSubstr(std::string(key) + ": a pair")));
    line[key] = nullptr;
    EXPECT_OK(MinimalPairFromJson(line));
  }
}

}  // namespace
}  // namespace dyad::client
