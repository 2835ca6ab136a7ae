// Messages as JSON, there and back; what is wrong is named.
#include "server/connect/message_json.h"

#include "dyad/v1/generation.pb.h"
#include "dyad/v1/scoring.pb.h"
#include "server/api/request_error.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename Message>
absl::StatusOr<Message> Read(std::string_view json) {
  Message message;
  const absl::Status status = ReadMessageJson(json, message);
  if (!status.ok()) return status;
  return message;
}

TEST(MessageJsonTest, EachKindOfFieldIsRead) {
  const auto request = Read<v1::ScoreRequest>(R"({
    "model": "m", "items": [{"text": "a\u00e9", "regions": [{"begin": 0, "end": 1}]},
                            {"ids": {"ids": [1, "2"]}}],
    "convention": "CONVENTION_BABYLM", "special_tokens": null, "topN": 3,
    "words": {"correction": 2}})");
  ASSERT_OK(request);
  EXPECT_EQ(request->model(), "m");
  ASSERT_EQ(request->items_size(), 2);
  EXPECT_EQ(request->items(0).text(), "a\xc3\xa9");
  EXPECT_EQ(request->items(0).regions(0).end(), 1);
  EXPECT_THAT(request->items(1).ids().ids(), ElementsAre(1, 2));
  EXPECT_EQ(request->convention(), v1::CONVENTION_BABYLM);
  EXPECT_EQ(request->top_n(), 3);
  EXPECT_EQ(request->words().correction(), v1::WORD_CORRECTION_OH_SCHULER);
  const auto generate = Read<v1::GenerateRequest>(
      R"({"text": "", "temperature": 0.5, "seed": "18446744073709551615", "echo": true,
          "logit_bias": {"7": -1.5}})");
  ASSERT_OK(generate);
  EXPECT_TRUE(generate->has_text());
  EXPECT_EQ(generate->temperature(), 0.5f);
  EXPECT_EQ(generate->seed(), UINT64_MAX);
  EXPECT_TRUE(generate->echo());
  EXPECT_EQ(generate->logit_bias().at(7), -1.5f);
}

TEST(MessageJsonTest, WhatIsWrongIsNamed) {
  struct Row {
    std::string json;
    std::string field;
    std::string limit;
  };
  for (const Row& row : std::vector<Row>{
           {R"({"itms": []})", "itms", "did you mean items?"},
           {R"({"items": [{"txt": "a"}]})", "items[0].txt", "did you mean text?"},
           {R"({"qqq": 1})", "qqq", "refused rather than ignored"},
           {R"({"items": {}})", "items", "a list"},
           {R"({"items": ["a"]})", "items[0]", "an object"},
           {R"({"items": [{"text": 7}]})", "items[0].text", "a string"},
           {R"({"items": [{"ids": [1]}]})", "items[0].ids", "an object"},
           {R"({"items": [{"ids": {"ids": [1.5]}}]})", "items[0].ids.ids[0]", "a whole number"},
           {R"({"top_n": 3000000000})", "top_n", "2147483647"},
           {R"({"top_n": true})", "top_n", "a whole number"},
           {R"({"top_n": 1, "topN": 1})", "top_n", "once is enough"},
           {R"({"items": [{"text": "a", "ids": {}}]})", "items[0].text", "only one may be"},
           {R"({"convention": "BABYLM"})", "convention", "CONVENTION_BABYLM"},
           {R"({"convention": 99})", "convention", "CONVENTION_BABYLM"},
           {R"({"model": ["m"]})", "model", "a string"}}) {
    const absl::Status status = Read<v1::ScoreRequest>(row.json).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << row.json;
    EXPECT_THAT(FieldsOf(status), ElementsAre(row.field)) << row.json;
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.limit)) << row.json;
  }
  for (const char* json :
       {R"({"logit_bias": [1]})", R"({"logit_bias": {"a": 1}})", R"({"logit_bias": {"1": "x"}})",
        R"({"temperature": "0.5"})", R"({"echo": 1})", R"({"seed": -1})"}) {
    EXPECT_FALSE(FieldsOf(Read<v1::GenerateRequest>(json).status()).empty()) << json;
  }
}

TEST(MessageJsonTest, WhatIsNoJsonIsRefused) {
  for (const char* json : {"", "[]", "{", "7", R"({"model": "a", "model": "b"})", "\xef\xbb\xbf{}",
                           "{\"model\": \"\xff\"}", "{\"model\": NaN}"}) {
    EXPECT_EQ(ReasonOf(Read<v1::ScoreRequest>(json).status()), "INVALID_JSON") << json;
  }
}

TEST(MessageJsonTest, AnAnswerReadsBackToItself) {
  v1::ScoreResponse response;
  v1::TextScore& score = *response.add_scores();
  for (const float x : {-0.1f, -3.4028235e38f, -1e-45f, 0.0f, -0.0f, -12.345678f, -10.0f, -0.0f}) {
    score.add_logprobs(x);
  }
  score.set_sum(-0.0);
  score.add_texts("\xef\xbf\xbd\"\n");
  score.add_texts("[-0,\"-0]\\");
  response.set_convention(v1::CONVENTION_MINICONS_SUM);
  const auto json = WriteMessageJson(response);
  ASSERT_OK(json);
  EXPECT_THAT(*json, HasSubstr("\"convention\":\"CONVENTION_MINICONS_SUM\""));
  const auto back = Read<v1::ScoreResponse>(*json);
  ASSERT_OK(back);
  EXPECT_EQ(back->SerializeAsString(), response.SerializeAsString());
}

}  // namespace
}  // namespace dyad
