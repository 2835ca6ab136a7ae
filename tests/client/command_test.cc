// What commands share: flags, defaults, lists of ids.
#include "client/command.h"

#include <algorithm>

#include "client/commands.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::RunDyadctl;
using testing::StatusIs;

// What dyadctl says on `err` to a command line that it refuses with status 2.
std::string Refusal(const std::vector<std::string>& words) {
  const auto run = RunDyadctl(words);
  EXPECT_EQ(run.status, 2);
  return run.err;
}

// A command that shows what its flags were read as.
class Shown final : public BatchCommand {
 public:
  Shown() : BatchCommand({.name = "shown", .usage = "", .summary = "", .text = ""}) {}
  void AddFlags(CLI::App& app) override {
    AddFields(app, fields_,
              {{"top_n", FieldKind::kJson, "N", ""},
               {"convention", FieldKind::kJson, "NAME", ""},
               {"context", FieldKind::kText, "TEXT", ""},
               {"ids", FieldKind::kIds, "IDS", ""},
               {"echo", FieldKind::kSwitch, "", ""},
               {"ignore_eos", FieldKind::kSwitch, "", ""}});
    BatchCommand::AddFlags(app);
  }

  void Parse(std::vector<std::string> words) {
    CLI::App app;
    AddFlags(app);
    std::reverse(words.begin(), words.end());
    app.parse(words);
  }

  const Json& fields() const { return fields_; }

 protected:
  absl::Status Start() override { return absl::OkStatus(); }
  const std::vector<std::string>& LineOptions() const override {
    static const std::vector<std::string> options = {"a"};
    return options;
  }
  absl::StatusOr<Json> Answer(const Json& line) const override { return line; }
  absl::StatusOr<int> RunWords(const Console&) override { return 7; }
};

TEST(CommandTest, NoFlagHasADash) {
  for (const auto make : {&GenerateCommand, &ScoreCommand, &PairsCommand, &BlimpCommand,
                          &TokenizeCommand, &DetokenizeCommand, &ModelsCommand, &HealthCommand}) {
    CLI::App app;
    make()->AddFlags(app);  // CLI11 throws at a flag that is there already
    for (const CLI::Option* flag : app.get_options()) {
      EXPECT_EQ(flag->get_name().find('-', 2), std::string::npos) << flag->get_name();
    }
  }
}

TEST(CommandTest, ConnectionsComeFromFlags) {
  Shown command;
  command.Parse({"--server=h:1", "--tls_ca=a", "--tls_cert=b", "--tls_key=c"});
  EXPECT_EQ(command.connection().server, "h:1");
  EXPECT_EQ(command.connection().tls_ca, "a");
  EXPECT_EQ(command.connection().tls_cert, "b");
  EXPECT_EQ(command.connection().tls_key, "c");
  EXPECT_EQ(Shown().connection().server, "127.0.0.1:50051");
}

TEST(CommandTest, TimeoutsAreSecondsAboveZero) {
  EXPECT_NO_THROW(Shown().Parse({"--timeout=0.5"}));
  for (const char* wrong : {"0", "-1", "nan", "x"}) {
    EXPECT_THAT(Refusal({"score", "a", std::string("--timeout=") + wrong}),
                HasSubstr(std::string("--timeout: must be above 0 seconds, found ") + wrong));
  }
}

TEST(CommandTest, TheTimeoutEndsEachRequest) {
  for (std::vector<std::string> words : {std::vector<std::string>{"generate", "a"},
                                         {"generate", "a", "--json"},
                                         {"score", "a"},
                                         {"tokenize", "a"},
                                         {"detokenize", "65"}}) {
    testing::FakeServer server;
    server.traffic.SetFaults({.longest_delay_ms = 1000});  // the first of the sequence is 417
    words.push_back("--server=" + server.address());
    words.push_back("--timeout=0.1");
    EXPECT_EQ(RunDyadctl(words).status, 1) << words[0];
  }
}

TEST(CommandTest, BatchesComeFromFlags) {
  EXPECT_NO_THROW(Shown().Parse({"--input=i", "--output=o", "--concurrency=256"}));
  for (const char* wrong : {"257", "0", "-1", "x", "1.5"}) {
    EXPECT_EQ(Refusal({"score", "--input=i", "--concurrency", wrong}),
              absl::StrCat("dyadctl score: --concurrency: Value ", wrong,
                           " not in range 1 to 256; dyadctl score --help lists the flags\n"));
  }
  EXPECT_THAT(Refusal({"score", "--input=i", "text"}), HasSubstr("--input and 'text'"));
}

TEST(CommandTest, ABatchAnswersLinesAndWordsAreForTheRest) {
  std::istringstream in("{\"a\":1}\n");
  std::ostringstream out;
  Shown batch;
  batch.Parse({"--input=-", "--model=m", "--top_n=3"});
  EXPECT_EQ(*batch.Run({.in = in, .out = out, .err = out}), 0);
  EXPECT_EQ(out.str(), "{\"top_n\":3,\"model\":\"m\",\"a\":1}\n");
  EXPECT_EQ(*Shown().Run({.in = in, .out = out, .err = out}), 7);
}

TEST(CommandTest, FieldsAreNumbersWhereTheyReadAsNumbers) {
  Shown command;
  command.Parse({"--top_n=3", "--convention=BABYLM", "--context=7", "--ids=[1, 2]", "--echo",
                 "--ignore_eos=false"});
  EXPECT_EQ(FormatLine(command.fields()),
            R"({"top_n":3,"convention":"BABYLM","context":"7","ids":[1,2],)"
            R"("echo":true,"ignore_eos":false})");
  EXPECT_EQ(FormatLine(Shown().fields()), "{}");
}

TEST(CommandTest, ALineWinsOverDefaults) {
  EXPECT_EQ(FormatLine(WithDefaults({{"a", 1}, {"b", 2}}, {{"b", 3}, {"c", 4}})),
            R"({"a":1,"b":3,"c":4})");
}

TEST(CommandTest, IdsComeInSeveralSpellings) {
  for (const char* text : {"1,2,3", "[1, 2, 3]", "1 2 3", " 1, 2,3 "}) {
    EXPECT_EQ(FormatLine(*IdList(text)), "[1,2,3]") << text;
  }
  EXPECT_EQ(FormatLine(*IdList("")), "[]");
  EXPECT_THAT(IdList("1,x"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"x\"")));
  EXPECT_THAT(Refusal({"score", "--ids=1,x"}),
              HasSubstr("dyadctl score: --ids: \"x\" is no token id"));
  EXPECT_FALSE(IdList("4294967296").ok());
}

}  // namespace
}  // namespace dyad::client
