// Every flag of every command and every key of a line has its effect: changed alone, the request or
// what is printed changes.
#include <set>

#include "client/command.h"
#include "client/commands.h"
#include "client/json_message.h"
#include "dyad/v1/generation.pb.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"

namespace dyad::client {
namespace {

using Words = std::vector<std::string>;
using testing::RunDyadctl;

struct Row {
  Words base;
  std::string flag;  // with its value
};

const Words kGenerate = {"generate", "ab"}, kScore = {"score", "ab"},
            kTokenize = {"tokenize", "ab"}, kDetokenize = {"detokenize", "2", "65"},
            kSurprisal = {"surprisal", "a b"}, kEvaluate = {"evaluate", "choices", "CHOICES"},
            kPairs = {"pairs", "a", "bb"}, kModels = {"models"}, kHealth = {"health"};

Words With(Words words, const std::string& word) {
  words.push_back(word);
  return words;
}

const std::vector<Row> kRows = {
    {kGenerate, "--max_new_tokens=1"},
    {kGenerate, "--temperature=0.5"},
    {kGenerate, "--top_k=3"},
    {kGenerate, "--top_p=0.5"},
    {kGenerate, "--min_p=0.5"},
    {kGenerate, "--repetition_penalty=2"},
    {kGenerate, "--presence_penalty=1"},
    {kGenerate, "--frequency_penalty=1"},
    {kGenerate, R"(--logit_bias={"7": 1.5})"},
    {kGenerate, "--seed=7"},
    {kGenerate, "--n=2"},
    {With(kGenerate, "--json"), "--logprobs=1"},
    {kGenerate, "--special_tokens=LITERAL"},
    {kGenerate, "--stop_ids=7"},
    {kGenerate, "--ignore_eos"},
    {kGenerate, "--echo"},
    {kGenerate, "--add_special_tokens=false"},
    {kGenerate, "--stop=x"},
    {{"generate"}, "--ids=7"},
    {{"generate"}, "--text=x"},
    {kGenerate, "--model=fake"},
    {kGenerate, "--json"},
    {kSurprisal, "--convention=BABYLM"},
    {kSurprisal, "--special_tokens=LITERAL"},
    {kSurprisal, "--split=PUNCTUATION"},
    {kSurprisal, "--correction=OH_SCHULER"},
    {kSurprisal, "--unit=nats"},
    {kSurprisal, "--context=x"},
    {kSurprisal, "--text=x"},
    {kSurprisal, "--model=fake"},
    {kSurprisal, "--json"},
    {kEvaluate, "--convention=LM_EVAL"},
    {kEvaluate, "--special_tokens=LITERAL"},
    {kEvaluate, "--limit=1"},
    {kEvaluate, "--model=fake"},
    {kEvaluate, "--json"},
    {kScore, "--convention=BABYLM"},
    {kScore, "--special_tokens=LITERAL"},
    {kScore, "--top_n=3"},
    {kScore, "--word_split=PUNCTUATION"},
    {kScore, "--word_correction=OH_SCHULER"},
    {kScore, "--ids=7,8"},
    {kScore, "--context=x"},
    {{"score", "--ids=7"}, "--context_ids=8"},
    {kScore, "--text=x"},
    {With(kScore, "--json"), "--details"},
    {kScore, "--model=fake"},
    {kScore, "--json"},
    {kTokenize, "--add_special_tokens=false"},
    {kTokenize, "--special_tokens=LITERAL"},
    {kTokenize, "--text=x"},
    {With(kTokenize, "--json"), "--details"},
    {kTokenize, "--model=fake"},
    {kTokenize, "--json"},
    {kDetokenize, "--skip_special_tokens"},
    {kDetokenize, "--model=fake"},
    {kDetokenize, "--json"},
    {kPairs, "--convention=BABYLM"},
    {kPairs, "--special_tokens=LITERAL"},
    {kPairs, "--model=fake"},
    {kPairs, "--json"},
    {{"blimp", "FOLDER"}, "--convention=BABYLM"},
    {{"blimp", "FOLDER"}, "--special_tokens=LITERAL"},
    {{"blimp", "FOLDER"}, "--model=fake"},
    {{"blimp", "FOLDER"}, "--json"},
    {{"blimp", "FOLDER"}, "--limit=1"},
    {kModels, "--model=fake"},
    {kModels, "--json"},
    {kHealth, "--service=liveness"},
    {kHealth, "--json"},
};

// How fast, how long, where to: tests of their own look at these.
const std::set<std::string> kElsewhere = {
    "--help", "--server", "--tls_ca", "--tls_cert", "--tls_key", "--api_key_file", "--input",
    "--concurrency", "--streams", "--timeout", "--tokenizer", "--retry_errors", "--output",
    "--layers", "--header",
    // tests of surprisal and evaluate
    "--regions", "--columns", "--prefix", "--format", "--variant", "--baselines", "--predictions"};

class SettingsTest : public ::testing::Test {
 protected:
  SettingsTest() {
    folder_.Write("a.jsonl",
                  "{\"sentence_good\":\"a\",\"sentence_bad\":\"b\"}\n"
                  "{\"sentence_good\":\"a\",\"sentence_bad\":\"c\"}\n");
    choices_.Write("c.jsonl", "{\"options\":[\"a\",\"b\"]}\n{\"options\":[\"c\",\"d\"]}\n");
  }

  // What is printed, without times, and the request.
  std::string Seen(Words words, const std::string& input = "") {
    words.push_back("--server=" + server_.address());
    for (std::string& word : words) {
      if (word == "FOLDER") word = folder_.Path("");
      if (word == "CHOICES") word = choices_.Path("c.jsonl");
    }
    const auto run = RunDyadctl(words, input);
    status_ = run.status;
    const std::string text = run.out.substr(0, run.out.find("pairs in "));
    return text + run.err + server_.traffic.seen();
  }

  testing::FakeServer server_;
  testing::TemporaryFolder folder_, choices_;
  int status_ = 0;  // of the last run
};

TEST_F(SettingsTest, EveryFlagChangesSomething) {
  for (const Row& row : kRows) {
    const std::string without = Seen(row.base);
    EXPECT_NE(without, Seen(With(row.base, row.flag))) << row.base.front() << " " << row.flag;
    EXPECT_NE(status_, 2) << row.base.front() << " " << row.flag;
  }
}

TEST_F(SettingsTest, EveryFlagIsLookedAt) {
  for (const auto make :
       {&GenerateCommand, &ScoreCommand, &SurprisalCommand, &PairsCommand, &BlimpCommand,
        &EvaluateCommand, &TokenizeCommand, &DetokenizeCommand, &ModelsCommand, &HealthCommand}) {
    const auto command = make();
    CLI::App app;
    command->AddFlags(app);
    for (const CLI::Option* option : app.get_options()) {
      const std::string flag = option->get_name();
      const bool here = std::any_of(kRows.begin(), kRows.end(), [&](const Row& row) {
        return row.base.front() == command->help().name &&
               row.flag.substr(0, row.flag.find('=')) == flag;
      });
      EXPECT_TRUE(here || kElsewhere.contains(flag) || flag == "-h,--help")
          << command->help().name << " " << flag;
    }
  }
}

TEST_F(SettingsTest, EveryKeyOfALineChangesSomething) {
  const struct {
    const char* command;
    const char* base;
    const char* key;
    Json value;
  } rows[] = {
      {"score", "text", "context", "x"},
      {"score", "ids", "context_ids", {7}},
      {"score", "text", "model", "fake"},
      {"score", "text", "convention", "BABYLM"},
      {"score", "text", "special_tokens", "LITERAL"},
      {"score", "text", "top_n", 3},
      {"score", "text", "word_split", "PUNCTUATION"},
      {"score", "text", "word_correction", "OH_SCHULER"},
      {"tokenize", "text", "add_special_tokens", false},
      {"tokenize", "text", "special_tokens", "LITERAL"},
      {"tokenize", "text", "model", "fake"},
      {"detokenize", "ids", "skip_special_tokens", true},
      {"detokenize", "ids", "model", "fake"},
      {"generate", "text", "model", "fake"},
      {"generate", "text", "special_tokens", "LITERAL"},
      {"generate", "text", "max_new_tokens", 1},
      {"generate", "text", "temperature", 0.5},
      {"generate", "text", "top_k", 3},
      {"generate", "text", "top_p", 0.5},
      {"generate", "text", "min_p", 0.5},
      {"generate", "text", "repetition_penalty", 2},
      {"generate", "text", "presence_penalty", 1},
      {"generate", "text", "frequency_penalty", 1},
      {"generate", "text", "logit_bias", {{"7", 1}}},
      {"generate", "text", "stop", "x"},
      {"generate", "text", "stop_ids", {7}},
      {"generate", "text", "ignore_eos", true},
      {"generate", "text", "seed", 7},
      {"generate", "text", "n", 2},
      {"generate", "text", "echo", true},
      {"generate", "text", "add_special_tokens", false},
      {"generate", "text", "logprobs", 1},
  };
  std::set<std::string> of_generate = {"text", "ids"};
  for (const auto& row : rows) {
    Json line = {{row.base, row.base == std::string("text") ? Json("ab") : Json({2, 65})}};
    const std::string base = FormatLine(line);
    line[row.key] = row.value;
    const Words words = {row.command, "--input=-"};
    EXPECT_NE(Seen(words, base), Seen(words, FormatLine(line))) << row.command << " " << row.key;
    if (row.command == std::string("generate")) of_generate.insert(row.key);
  }
  for (const std::string& name : FieldNames<v1::GenerateRequest>()) {
    EXPECT_TRUE(of_generate.contains(name)) << name;
  }
}

}  // namespace
}  // namespace dyad::client
