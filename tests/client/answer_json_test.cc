// Answers as lines.
#include "client/answer_json.h"

#include "gtest/gtest.h"

namespace dyad::client {
namespace {

v1::TextScore TwoTokens() {
  v1::TextScore score;
  for (const int id : {2, 7}) score.add_ids(id);
  score.add_scored(false);
  score.add_scored(true);
  score.add_logprobs(0);
  score.add_logprobs(-0.1f);
  score.add_greedy(false);
  score.add_greedy(true);
  score.add_ranks(0);
  score.add_ranks(1);
  score.add_texts("</s>");
  score.add_texts("a");
  score.add_byte_offsets(0);
  score.add_byte_offsets(0);
  score.set_sum(-0.1);
  score.set_mean(-0.1);
  score.set_scored_tokens(1);
  return score;
}

TEST(AnswerJsonTest, ScoresHaveNullWhereNothingWasScored) {
  EXPECT_EQ(FormatLine(ScoreAnswer(TwoTokens(), "a", v1::CONVENTION_LM_EVAL, Details::kNo)),
            R"({"ids":[2,7],"logprobs":[null,-0.1],"greedy":[null,true],"sum":-0.1,"mean":-0.1,)"
            R"("scored_tokens":1,"convention":"LM_EVAL"})");
}

TEST(AnswerJsonTest, TheSumOfNothingIsNull) {
  v1::TextScore score;
  score.add_ids(7);
  score.add_scored(false);
  score.add_logprobs(0);
  score.add_greedy(false);
  EXPECT_EQ(FormatLine(ScoreAnswer(score, "a", v1::CONVENTION_MINICONS_SUM, Details::kNo)),
            R"({"ids":[7],"logprobs":[null],"greedy":[null],"sum":null,"mean":null,)"
            R"("scored_tokens":0,"convention":"MINICONS_SUM"})");
}

TEST(AnswerJsonTest, WordsComeWhenAskedFor) {
  v1::TextScore score = TwoTokens();
  v1::SpanScore& word = *score.add_words();
  word.set_begin(3);
  word.set_end(8);
  word.set_tokens(1);
  word.set_logprob(-1.5);
  score.add_words()->set_end(2);
  EXPECT_EQ(FormatLine(
                ScoreAnswer(score, "is na\u00EFve", v1::CONVENTION_LM_EVAL, Details::kNo)["words"]),
            "[{\"word\":\"na\u00EFv\",\"begin\":3,\"end\":8,\"tokens\":1,\"logprob\":-1.5},"
            "{\"word\":\"is\",\"begin\":0,\"end\":2,\"tokens\":0,\"logprob\":null}]");
  EXPECT_EQ(WordText("ab", word), "") << "a server that counts otherwise";
}

TEST(AnswerJsonTest, DetailsAddRanksTextsAndOffsets) {
  const Json json = ScoreAnswer(TwoTokens(), "a", v1::CONVENTION_LM_EVAL, Details::kYes);
  EXPECT_EQ(FormatLine(json["ranks"]), "[null,1]");
  EXPECT_EQ(FormatLine(json["texts"]), R"(["</s>","a"])");
  EXPECT_EQ(FormatLine(json["byte_offsets"]), "[0,0]");
}

TEST(AnswerJsonTest, TopListsComeWhenAskedFor) {
  v1::TextScore score = TwoTokens();
  score.add_top();
  v1::TopToken* token = score.add_top()->add_tokens();
  token->set_id(9);
  token->set_logprob(-0.25f);
  token->set_bytes("\xF0\x9F");
  EXPECT_EQ(FormatLine(ScoreAnswer(score, "a", v1::CONVENTION_LM_EVAL, Details::kNo)["top"]),
            R"([null,[{"id":9,"text":"","bytes":[240,159],"logprob":-0.25}]])");
}

TEST(AnswerJsonTest, OneChoiceIsTheAnswerItself) {
  v1::GenerateResponse response;
  v1::Choice* choice = response.add_choices();
  choice->add_ids(5);
  choice->set_text("x");
  choice->set_finish_reason(v1::FINISH_REASON_STOP);
  response.set_seed(3);
  EXPECT_EQ(FormatLine(GenerateAnswer(response)),
            R"({"ids":[5],"text":"x","finish_reason":"STOP","seed":3})");
  v1::TokenLogprob* logprob = choice->add_logprobs();
  logprob->set_id(5);
  logprob->set_logprob(-0.7f);
  EXPECT_EQ(FormatLine(GenerateAnswer(response)["logprobs"]),
            R"([{"id":5,"text":"","bytes":[],"logprob":-0.7,"top":[]}])");
  choice->set_stop_string("b");
  EXPECT_EQ(GenerateAnswer(response)["stop_reason"], "b");
  choice->set_stop_id(7);
  EXPECT_EQ(GenerateAnswer(response)["stop_reason"], 7);
}

TEST(AnswerJsonTest, SeveralChoicesAreAList) {
  v1::GenerateResponse response;
  response.add_choices()->set_index(0);
  response.add_choices()->set_index(1);
  const Json json = GenerateAnswer(response);
  ASSERT_EQ(json["choices"].size(), 2u);
  EXPECT_EQ(json["choices"][1]["index"], 1);
  EXPECT_EQ(json["choices"][1]["finish_reason"], "UNSPECIFIED");
}

TEST(AnswerJsonTest, PairsHaveSumsMarginAndVerdict) {
  v1::PairScore score;
  score.set_good_sum(-1.5);
  score.set_bad_sum(-2);
  score.set_good_scored_tokens(3);
  score.set_bad_scored_tokens(4);
  score.set_margin(0.5);
  score.set_correct(true);
  EXPECT_EQ(
      FormatLine(PairAnswer(score)),
      R"({"good_sum":-1.5,"bad_sum":-2.0,"good_mean":0.0,"bad_mean":0.0,"good_scored_tokens":3,)"
      R"("bad_scored_tokens":4,"margin":0.5,"tie":false,"correct":true,)"
      R"("first_difference":null})");
  score.set_first_difference(0);
  EXPECT_EQ(PairAnswer(score)["first_difference"], 0);
}

TEST(AnswerJsonTest, ABadPairIsAnErrorObjectAlone) {
  v1::PairScore score;
  score.mutable_error()->set_code(3);
  score.mutable_error()->set_message("too long");
  EXPECT_EQ(FormatLine(PairAnswer(score)),
            R"({"error":{"code":"INVALID_ARGUMENT","message":"too long"}})");
}

TEST(AnswerJsonTest, ModelsKeepBigNumbersAsNumbers) {
  v1::Model model;
  model.set_name("m");
  model.set_parameters(int64_t{6'700'000'000});
  model.set_eos_id(2);
  model.add_eos_ids(2);
  model.add_eos_ids(60);
  const Json json = ModelAnswer(model);
  EXPECT_EQ(json["parameters"], 6'700'000'000);
  EXPECT_EQ(json["eos_id"], 2);
  EXPECT_EQ(json["eos_ids"], (std::vector<int32_t>{2, 60}));
  EXPECT_TRUE(json["bos_id"].is_null());
  EXPECT_FALSE(json.contains("layers"));
  model.add_layers()->set_structure("monarch 4 blocks");
  EXPECT_EQ(ModelAnswer(model)["layers"][0]["structure"], "monarch 4 blocks");
}

}  // namespace
}  // namespace dyad::client
