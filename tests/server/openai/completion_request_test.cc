// Every field of the body: what is taken, what it becomes, and what is refused.
#include "server/openai/completion_request.h"

#include "absl/strings/str_cat.h"
#include "server/api/request_error.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

absl::StatusOr<CompletionRequest> Parse(const std::string& fields) {
  return ParseCompletion(Json::parse("{" + fields + "}"), 8);
}

// The request of the API that these fields beside a prompt give, without what is always there.
std::string Becomes(const std::string& fields) {
  const auto request = Parse("\"prompt\": \"p\", " + fields);
  EXPECT_OK(request);
  if (!request.ok()) return "";
  v1::GenerateRequest first = request->prompts.front();
  first.clear_text();
  if (first.temperature() == 1) first.clear_temperature();
  return first.ShortDebugString();
}

TEST(ParseCompletionTest, EachFieldBecomesOneOfTheApi) {
  for (const auto& [fields, proto] : std::vector<std::pair<std::string, std::string>>{
           {"\"model\": \"m\"", "model: \"m\""},
           {"\"max_tokens\": 0", "max_new_tokens: 0"},
           {"\"max_tokens\": 7.0", "max_new_tokens: 7"},
           {"\"temperature\": 0", "temperature: 0"},
           {"\"top_p\": 0.5", "top_p: 0.5"},
           {"\"n\": 3", "n: 3"},
           {"\"n\": 3, \"best_of\": 3", "n: 3"},
           {"\"best_of\": 1", ""},
           {"\"logprobs\": 5", "logprobs: 5"},
           {"\"echo\": true", "echo: true"},
           {"\"seed\": 9223372036854775807", "seed: 9223372036854775807"},
           {"\"stop\": \"x\"", "stop: \"x\""},
           {"\"stop\": [\"x\", \"y\"]", "stop: \"x\" stop: \"y\""},
           {"\"presence_penalty\": -2", "presence_penalty: -2"},
           {"\"frequency_penalty\": 2", "frequency_penalty: 2"},
           {"\"logit_bias\": {\"7\": -100}", "logit_bias { key: 7 value: -100 }"},
           {"\"user\": \"me\"", ""},
           {"\"suffix\": \"\"", ""},
           {"\"top_k\": -1", "top_k: 0"},
           {"\"top_k\": 4", "top_k: 4"},
           {"\"min_p\": 0.25", "min_p: 0.25"},
           {"\"repetition_penalty\": 1.5", "repetition_penalty: 1.5"},
           {"\"ignore_eos\": true, \"min_tokens\": 5", "ignore_eos: true"},
           {"\"stop_token_ids\": [3]", "stop_ids: 3"},
           {"\"add_special_tokens\": false", "add_special_tokens: false"},
           {"\"min_tokens\": 0, \"priority\": 0, \"skip_special_tokens\": true, "
            "\"spaces_between_special_tokens\": true, \"include_stop_str_in_output\": false, "
            "\"use_beam_search\": false, \"length_penalty\": 1",
            ""},
           {"\"logprobs\": null, \"tools\": null, \"stop\": null, \"best_of\": null", ""}}) {
    EXPECT_EQ(Becomes(fields), proto) << fields;
  }
}

TEST(ParseCompletionTest, TheDefaultsAreOpenAis) {
  const auto request = Parse("\"prompt\": \"p\"");
  ASSERT_OK(request);
  EXPECT_EQ(request->prompts.front().temperature(), 1);
  EXPECT_FALSE(request->prompts.front().has_max_new_tokens());
  EXPECT_FALSE(request->stream);
  EXPECT_EQ(request->usage, UsageChunks::kNone);
}

TEST(ParseCompletionTest, ThePromptHasFourShapes) {
  const auto texts = [](const std::string& prompt) {
    std::vector<std::string> all;
    const auto request = Parse("\"n\": 2, \"prompt\": " + prompt);
    EXPECT_OK(request);
    for (const v1::GenerateRequest& one : request->prompts) {
      EXPECT_EQ(one.n(), 2);
      v1::GenerateRequest bare;
      if (one.has_text()) bare.set_text(one.text());
      if (one.has_ids()) *bare.mutable_ids() = one.ids();
      all.push_back(bare.ShortDebugString());
    }
    return all;
  };
  EXPECT_THAT(texts("\"a\""), ElementsAre("text: \"a\""));
  EXPECT_THAT(texts("[\"a\", \"b\"]"), ElementsAre("text: \"a\"", "text: \"b\""));
  EXPECT_THAT(texts("[1, 2]"), ElementsAre("ids { ids: 1 ids: 2 }"));
  EXPECT_THAT(texts("[[1], [2, 3]]"), ElementsAre("ids { ids: 1 }", "ids { ids: 2 ids: 3 }"));
}

TEST(ParseCompletionTest, Streams) {
  const auto usage = [](const std::string& options) {
    return Parse("\"prompt\": \"p\", \"stream\": true, \"stream_options\": {" + options + "}")
        ->usage;
  };
  EXPECT_EQ(usage(""), UsageChunks::kNone);
  EXPECT_EQ(usage("\"include_usage\": true"), UsageChunks::kLast);
  EXPECT_EQ(usage("\"include_usage\": true, \"continuous_usage_stats\": true"), UsageChunks::kAll);
  EXPECT_EQ(usage("\"include_obfuscation\": false"), UsageChunks::kNone);
  const auto flags =
      Parse("\"prompt\": \"p\", \"return_token_ids\": true, \"return_tokens_as_token_ids\": true");
  EXPECT_TRUE(flags->returns_ids && flags->names_tokens_by_id);
}

TEST(ParseCompletionTest, EachWrongFieldIsNamed) {
  const std::string p = "\"prompt\": \"p\", ";
  for (const auto& [fields, param] : std::vector<std::pair<std::string, std::string>>{
           {"\"model\": \"m\"", "prompt"},
           {"\"prompt\": 1", "prompt"},
           {"\"prompt\": []", "prompt"},
           {"\"prompt\": {}", "prompt"},
           {"\"prompt\": [\"a\", [1]]", "prompt[1]"},
           {"\"prompt\": [[1], \"a\"]", "prompt[1]"},
           {"\"prompt\": [\"a\", 1]", "prompt[1]"},
           {"\"prompt\": [1, \"a\"]", "prompt[1]"},
           {"\"prompt\": [1, 1.5]", "prompt[1]"},
           {"\"prompt\": [-1]", "prompt[0]"},
           {"\"prompt\": [[2147483648]]", "prompt[0][0]"},
           {p + "\"model\": 1", "model"},
           {p + "\"max_tokens\": -1", "max_tokens"},
           {p + "\"max_tokens\": \"5\"", "max_tokens"},
           {p + "\"max_tokens\": 1.5", "max_tokens"},
           {p + "\"max_tokens\": true", "max_tokens"},
           {p + "\"max_tokens\": 1e300", "max_tokens"},
           {p + "\"temperature\": 2.1", "temperature"},
           {p + "\"temperature\": \"hot\"", "temperature"},
           {p + "\"temperature\": -0.1", "temperature"},
           {p + "\"top_p\": -0.1", "top_p"},
           {p + "\"min_p\": 1.5", "min_p"},
           {p + "\"repetition_penalty\": 11", "repetition_penalty"},
           {p + "\"frequency_penalty\": -3", "frequency_penalty"},
           {p + "\"logprobs\": -1", "logprobs"},
           {p + "\"logprobs\": true", "logprobs"},
           {p + "\"ignore_eos\": 1", "ignore_eos"},
           {p + "\"add_special_tokens\": 0", "add_special_tokens"},
           {p + "\"return_token_ids\": 1", "return_token_ids"},
           {p + "\"return_tokens_as_token_ids\": 1", "return_tokens_as_token_ids"},
           {p + "\"stop_token_ids\": [-1]", "stop_token_ids[0]"},
           {p + "\"stream_options\": 1", "stream_options"},
           {p + "\"stream_options\": {\"include_usage\": 1}", "include_usage"},
           {p + "\"min_tokens\": 5, \"ignore_eos\": false", "min_tokens"},
           {p + "\"n\": 1.5", "n"},
           {p + "\"top_p\": 1.5", "top_p"},
           {p + "\"presence_penalty\": 3", "presence_penalty"},
           {p + "\"n\": 0", "n"},
           {p + "\"n\": 2, \"best_of\": 3", "best_of"},
           {p + "\"best_of\": 2", "best_of"},
           {p + "\"n\": 9", "prompt"},
           {p + "\"seed\": -1", "seed"},
           {p + "\"seed\": 9223372036854775808", "seed"},
           {p + "\"echo\": 1", "echo"},
           {p + "\"stop\": [1]", "stop[0]"},
           {p + "\"stop\": 1", "stop"},
           {p + "\"logit_bias\": {\"x\": 1}", "logit_bias key"},
           {p + "\"logit_bias\": {\"1\": \"x\"}", "logit_bias[1]"},
           {p + "\"logit_bias\": []", "logit_bias"},
           {p + "\"stream\": \"yes\"", "stream"},
           {p + "\"stream_options\": {\"include_usag\": true}", "include_usag"},
           {p + "\"stream_options\": {\"include_obfuscation\": true}",
            "stream_options.include_obfuscation"},
           {p + "\"user\": 1", "user"},
           {p + "\"suffix\": \"x\"", "suffix"},
           {p + "\"top_k\": -2", "top_k"},
           {p + "\"stop_token_ids\": 3", "stop_token_ids"},
           {p + "\"min_tokens\": 5", "min_tokens"},
           {p + "\"priority\": 1", "priority"},
           {p + "\"skip_special_tokens\": false", "skip_special_tokens"},
           {p + "\"spaces_between_special_tokens\": false", "spaces_between_special_tokens"},
           {p + "\"include_stop_str_in_output\": true", "include_stop_str_in_output"},
           {p + "\"use_beam_search\": true", "use_beam_search"},
           {p + "\"length_penalty\": 2", "length_penalty"},
           {p + "\"response_format\": {}", "response_format"},
           {p + "\"tools\": []", "tools"},
           {p + "\"messages\": []", "messages"},
           {p + "\"images\": []", "images"},
           {p + "\"prompt_embeds\": []", "prompt_embeds"},
           {p + "\"prompt_logprobs\": 1", "prompt_logprobs"},
           {p + "\"truncate_prompt_tokens\": 1", "truncate_prompt_tokens"},
           {p + "\"guided_json\": {}", "guided_json"},
           {p + "\"guided_regex\": \"a\"", "guided_regex"},
           {p + "\"guided_choice\": []", "guided_choice"},
           {p + "\"guided_grammar\": \"a\"", "guided_grammar"},
           {p + "\"max_token\": 1", "max_token"}}) {
    const auto request = Parse(fields);
    ASSERT_FALSE(request.ok()) << fields;
    const std::vector<std::string> named = FieldsOf(request.status());
    ASSERT_FALSE(named.empty()) << request.status();
    EXPECT_EQ(named.front(), param) << fields;
    const bool is_unknown = param == "max_token" || param == "include_usag";
    EXPECT_EQ(ReasonOf(request.status()) == "UNKNOWN_PARAMETER", is_unknown) << fields;
  }
}

TEST(ParseCompletionTest, AllWrongFieldsAreNamedTogether) {
  EXPECT_THAT(Parse("\"prompt\": 1, \"top_p\": 2, \"n\": 0"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       ::testing::AllOf(HasSubstr("n is 0"), HasSubstr("top_p is 2"),
                                        HasSubstr("prompt is 1"))));
}

TEST(ParseCompletionTest, PromptsTimesChoicesAreBounded) {
  EXPECT_OK(Parse("\"prompt\": [\"a\", \"b\"], \"n\": 4"));
  EXPECT_THAT(Parse("\"prompt\": [\"a\", \"b\", \"c\"], \"n\": 3"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("3 prompts of 3 choices")));
}

TEST(CompletionFieldTest, NamesFieldsAsTheBodyDoes) {
  for (const auto& [field, name] : std::vector<std::pair<std::string, std::string>>{
           {"text", "prompt"},
           {"prompt", "prompt"},
           {"ids[3]", "prompt[3]"},
           {"requests[2].text", "prompt[2]"},
           {"requests[2].ids[3]", "prompt[2][3]"},
           {"requests[2].max_new_tokens", "max_tokens"},
           {"max_new_tokens", "max_tokens"},
           {"stop_ids[1]", "stop_token_ids[1]"},
           {"stop[1]", "stop[1]"},
           {"top_p", "top_p"}}) {
    EXPECT_EQ(CompletionField(field), name);
  }
}

}  // namespace
}  // namespace dyad
