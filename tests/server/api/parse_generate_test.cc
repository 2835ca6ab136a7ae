// Every field of GenerateRequest: default, both ends of its range, and one step beyond.
#include "server/api/parse_generate.h"

#include <cmath>
#include <functional>
#include <map>

#include "absl/strings/str_join.h"
#include "server/api/request_error.h"
#include "tests/server/api/api_fixture.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using namespace ::dyad::testing;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

class ParseGenerateTest : public ::testing::Test {
 protected:
  ParseGenerateTest() {
    request_.set_model("bytes");
    request_.set_text("ab");
  }
  absl::StatusOr<GenerationPlan> Parse() { return ParseGenerate(request_, models_, limits_, 77); }

  // The field that is named as bad.
  std::string BadFieldWith(const std::function<void(v1::GenerateRequest&)>& change) {
    v1::GenerateRequest request = request_;
    change(request);
    const auto plan = ParseGenerate(request, models_, limits_, 77);
    if (plan.ok()) return "none";
    EXPECT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument);
    const std::string message(plan.status().message());
    return message.substr(0, message.find(" is "));
  }

  ByteTokenizer tokenizer_;
  RequestLimits limits_;
  ModelRegistry models_{
      FakeModels(tokenizer_, {.vocab_size = kByteVocabulary, .context_length = 20}, nullptr)};
  v1::GenerateRequest request_;
};

TEST_F(ParseGenerateTest, Defaults) {
  const auto plan = Parse();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->model->name, "bytes");
  EXPECT_THAT(plan->request.ids, ElementsAre(kEnd, 'a', 'b'));
  EXPECT_EQ(plan->request.max_new_tokens, 16);
  EXPECT_EQ(plan->request.sampling.temperature, 0);
  EXPECT_EQ(plan->request.sampling.top_k, 0);
  EXPECT_EQ(plan->request.sampling.top_p, 1);
  EXPECT_EQ(plan->request.sampling.repetition_penalty, 1);
  EXPECT_EQ(plan->request.sampling.seed, 77u);
  EXPECT_THAT(plan->request.eos_ids, ElementsAre(kEnd));
  EXPECT_EQ(plan->request.score_from, std::nullopt);
  EXPECT_EQ(plan->request.top_n, 0);
  EXPECT_EQ(plan->choices, 1);
  EXPECT_EQ(plan->echo, Echo::kNo);
  EXPECT_EQ(plan->logprobs, std::nullopt);
}

TEST_F(ParseGenerateTest, WithoutSpecialTokensTheTextAloneIsFed) {
  request_.set_add_special_tokens(false);
  EXPECT_THAT(Parse()->request.ids, ElementsAre('a', 'b'));
  request_.set_add_special_tokens(true);
  EXPECT_THAT(Parse()->request.ids, ElementsAre(kEnd, 'a', 'b'));
  request_.set_add_special_tokens(false);
  request_.set_text("");
  EXPECT_THAT(Parse(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("text is empty")));
}

TEST_F(ParseGenerateTest, TheDefaultLengthShrinksToWhatFits) {
  request_.set_text(std::string(17, 'x'));
  EXPECT_EQ(Parse()->request.max_new_tokens, 2);
  request_.set_text(std::string(19, 'x'));
  EXPECT_THAT(Parse(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("text is 20 tokens"), HasSubstr("context of 20 tokens"))));
}

TEST_F(ParseGenerateTest, PromptAndContinuationMustFit) {
  request_.set_max_new_tokens(17);
  EXPECT_EQ(Parse()->request.max_new_tokens, 17);
  request_.set_max_new_tokens(18);
  EXPECT_THAT(Parse(), StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("max_new_tokens is 18; prompt (3) and continuation must "
                                          "fit the model's context of 20 tokens")));
}

TEST_F(ParseGenerateTest, NothingIsGeneratedWhereThePromptIsOnlyScored) {
  request_.set_max_new_tokens(0);
  EXPECT_THAT(Parse(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("or 0 with echo")));
  request_.set_echo(true);
  request_.set_text(std::string(19, 'x'));
  ASSERT_OK(Parse());
  EXPECT_EQ(Parse()->request.max_new_tokens, 0);
  request_.set_text(std::string(20, 'x'));
  const auto longer = Parse();
  EXPECT_THAT(longer, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("text is 21 tokens")));
  EXPECT_EQ(ReasonOf(longer.status()), kContextLengthExceeded);
}

TEST_F(ParseGenerateTest, NumbersOutsideTheirRangeAreNamed) {
  using R = v1::GenerateRequest;
  const float nan = std::nanf("");
  EXPECT_EQ(BadFieldWith([](R& r) { r.set_max_new_tokens(0); }), "max_new_tokens");
  for (const float bad : {-0.1f, 100.1f, nan}) {
    EXPECT_EQ(BadFieldWith([&](R& r) { r.set_temperature(bad); }), "temperature");
  }
  EXPECT_EQ(BadFieldWith([](R& r) { r.set_top_k(-1); }), "top_k");
  for (const float bad : {0.0f, 1.1f, nan}) {
    EXPECT_EQ(BadFieldWith([&](R& r) { r.set_top_p(bad); }), "top_p");
  }
  for (const float bad : {-0.1f, 1.0f, nan}) {
    EXPECT_EQ(BadFieldWith([&](R& r) { r.set_min_p(bad); }), "min_p");
  }
  for (const float bad : {0.0f, 10.1f, nan}) {
    EXPECT_EQ(BadFieldWith([&](R& r) { r.set_repetition_penalty(bad); }), "repetition_penalty");
  }
  for (const float bad : {-2.1f, 2.1f, nan}) {
    EXPECT_EQ(BadFieldWith([&](R& r) { r.set_presence_penalty(bad); }), "presence_penalty");
    EXPECT_EQ(BadFieldWith([&](R& r) { r.set_frequency_penalty(bad); }), "frequency_penalty");
  }
  for (const int bad : {0, 17}) EXPECT_EQ(BadFieldWith([&](R& r) { r.set_n(bad); }), "n");
  for (const int bad : {-1, 21}) {
    EXPECT_EQ(BadFieldWith([&](R& r) { r.set_logprobs(bad); }), "logprobs");
  }
  EXPECT_EQ(BadFieldWith([&](R& r) { (*r.mutable_logit_bias())[3] = nan; }), "logit_bias[3]");
  EXPECT_EQ(BadFieldWith([&](R& r) { (*r.mutable_logit_bias())[3] = 100.5f; }), "logit_bias[3]");
  EXPECT_EQ(BadFieldWith([&](R& r) { (*r.mutable_logit_bias())[-3] = 1; }), "logit_bias key");
  EXPECT_EQ(BadFieldWith([&](R& r) { r.add_stop_ids(kByteVocabulary); }), "stop_ids[0]");
  EXPECT_EQ(BadFieldWith([&](R& r) { r.add_stop(""); }), "stop[0]");
  EXPECT_EQ(BadFieldWith([&](R& r) { r.add_stop(std::string(257, 's')); }), "stop[0]");
  EXPECT_EQ(BadFieldWith([&](R& r) { r.clear_prompt(); }), "prompt");
  EXPECT_EQ(BadFieldWith([&](R& r) { r.mutable_ids(); }), "ids");
  EXPECT_EQ(BadFieldWith([&](R& r) { r.mutable_ids()->add_ids(-1); }), "ids[0]");
  EXPECT_EQ(BadFieldWith([&](R& r) { r.set_special_tokens(static_cast<v1::SpecialTokens>(3)); }),
            "special_tokens");
}

TEST_F(ParseGenerateTest, AllWrongFieldsAreNamed) {
  request_.set_temperature(-1);
  request_.add_stop("");
  request_.set_n(0);
  request_.set_max_new_tokens(0);
  const std::string message(Parse().status().message());
  for (const char* fault :
       {"temperature is -1", "stop[0] is 0 bytes", "n is 0", "max_new_tokens is 0"}) {
    EXPECT_THAT(message, HasSubstr(fault));
  }
}

TEST_F(ParseGenerateTest, ListsAreBounded) {
  using R = v1::GenerateRequest;
  const auto many = [](int count, const std::function<void(R&, int)>& add) {
    return [=](R& r) {
      for (int i = 0; i < count; ++i) add(r, i);
    };
  };
  const auto stop = [](R& r, int) { r.add_stop("s"); };
  const auto stop_id = [](R& r, int) { r.add_stop_ids(1); };
  EXPECT_EQ(BadFieldWith(many(16, stop)), "none");
  EXPECT_EQ(BadFieldWith(many(17, stop)), "stop");
  EXPECT_EQ(BadFieldWith(many(64, stop_id)), "none");
  EXPECT_EQ(BadFieldWith(many(65, stop_id)), "stop_ids");
  EXPECT_EQ(BadFieldWith(many(1025, [](R& r, int i) { (*r.mutable_logit_bias())[i] = 1; })),
            "logit_bias");
}

TEST_F(ParseGenerateTest, EndsOfRangesAreAllowed) {
  request_.set_temperature(100);
  request_.set_top_p(1);
  request_.set_min_p(0);
  request_.set_repetition_penalty(10);
  request_.set_presence_penalty(-2);
  request_.set_frequency_penalty(2);
  request_.set_n(16);
  request_.set_logprobs(20);
  request_.set_seed(0);
  (*request_.mutable_logit_bias())[9] = -100;
  (*request_.mutable_logit_bias())[4] = 100;
  const auto plan = Parse();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->request.sampling.seed, 0u) << "given, so not drawn";
  EXPECT_EQ(plan->request.top_n, 20);
  EXPECT_EQ(plan->choices, 16);
  EXPECT_THAT(plan->request.sampling.logit_bias, ElementsAre(Pair(4, 100), Pair(9, -100)));
}

TEST_F(ParseGenerateTest, EchoScoresThePromptOnlyForLogprobs) {
  request_.set_echo(true);
  EXPECT_EQ(Parse()->request.score_from, std::nullopt);
  EXPECT_EQ(Parse()->prompt_text, "ab");
  request_.set_logprobs(0);
  EXPECT_EQ(Parse()->request.score_from, 0);
  request_.mutable_ids()->add_ids(kEnd);
  request_.mutable_ids()->add_ids(kThe);
  EXPECT_EQ(Parse()->prompt_text, "the") << "decoded without special tokens";
}

// All that a request without a fault decides, but EOS.
std::string Describe(const GenerationPlan& plan) {
  const engine::Request& request = plan.request;
  const engine::Sampling& s = request.sampling;
  std::string text = absl::StrCat(
      plan.model->name, "|", absl::StrJoin(request.ids, ","), "|", request.max_new_tokens, "|",
      s.temperature, "|", s.top_k, "|", s.top_p, "|", s.min_p, "|", s.repetition_penalty, "|",
      s.presence_penalty, "|", s.frequency_penalty, "|", s.seed, "|", plan.choices, "|",
      plan.prompt_text, "|", plan.logprobs.value_or(-1), "|", request.top_n, "|",
      absl::StrJoin(plan.stop, ","), "|", absl::StrJoin(request.stop_ids, ","));
  for (const auto& [id, bias] : s.logit_bias) absl::StrAppend(&text, "|", id, ":", bias);
  return text;
}

TEST_F(ParseGenerateTest, EveryFieldAloneChangesWhatIsAsked) {
  using R = v1::GenerateRequest;
  const std::map<std::string, std::function<void(R&)>> changes = {
      {"text", [](R& r) { r.set_text("the"); }},
      {"ids", [](R& r) { r.mutable_ids()->add_ids(7); }},
      {"special_tokens", [](R& r) { r.set_special_tokens(v1::SPECIAL_TOKENS_LITERAL); }},
      {"add_special_tokens", [](R& r) { r.set_add_special_tokens(false); }},
      {"max_new_tokens", [](R& r) { r.set_max_new_tokens(3); }},
      {"temperature", [](R& r) { r.set_temperature(0.5f); }},
      {"top_k", [](R& r) { r.set_top_k(5); }},
      {"top_p", [](R& r) { r.set_top_p(0.5f); }},
      {"min_p", [](R& r) { r.set_min_p(0.5f); }},
      {"repetition_penalty", [](R& r) { r.set_repetition_penalty(2); }},
      {"presence_penalty", [](R& r) { r.set_presence_penalty(1); }},
      {"frequency_penalty", [](R& r) { r.set_frequency_penalty(1); }},
      {"logit_bias", [](R& r) { (*r.mutable_logit_bias())[3] = 1; }},
      {"stop", [](R& r) { r.add_stop("x"); }},
      {"stop_ids", [](R& r) { r.add_stop_ids(9); }},
      {"seed", [](R& r) { r.set_seed(5); }},
      {"n", [](R& r) { r.set_n(2); }},
      {"echo", [](R& r) { r.set_echo(true); }},
      {"logprobs", [](R& r) { r.set_logprobs(2); }},
      {"model", [](R& r) { r.set_model("none"); }}};
  request_.set_text("a</s>");
  const std::string before = Describe(*Parse());
  const auto* fields = v1::GenerateRequest::descriptor();
  for (int i = 0; i < fields->field_count(); ++i) {
    const std::string& name = fields->field(i)->name();
    if (name == "ignore_eos") continue;  // below
    ASSERT_TRUE(changes.contains(name)) << name << " needs a row";
    v1::GenerateRequest changed = request_;
    changes.at(name)(changed);
    const auto plan = ParseGenerate(changed, models_, limits_, 77);
    EXPECT_TRUE(!plan.ok() || Describe(*plan) != before) << name;
  }
}

TEST_F(ParseGenerateTest, IgnoreEosLeavesNoEos) {
  request_.set_ignore_eos(true);
  EXPECT_THAT(Parse()->request.eos_ids, IsEmpty());
}

TEST_F(ParseGenerateTest, SpecialTokensInTextFollowTheRequest) {
  request_.set_text("</s>");
  EXPECT_THAT(Parse()->request.ids, ElementsAre(kEnd, kEnd));
  request_.set_special_tokens(v1::SPECIAL_TOKENS_LITERAL);
  EXPECT_THAT(Parse()->request.ids, ElementsAre(kEnd, '<', '/', 's', '>'));
}

TEST_F(ParseGenerateTest, AModelWithoutTokenizerTakesIdsAndNoStopStrings) {
  request_.set_model("ids");
  EXPECT_THAT(Parse(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("token ids only")));
  request_.mutable_ids()->add_ids(3);
  request_.set_echo(true);
  ASSERT_OK(Parse());
  EXPECT_THAT(Parse()->prompt_text, IsEmpty());
  request_.add_stop("x");
  EXPECT_THAT(Parse(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("token ids only")));
}

}  // namespace
}  // namespace dyad
