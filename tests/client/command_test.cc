// What commands share: flags, defaults, lists of ids.
#include "client/command.h"

#include <algorithm>

#include "client/commands.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using testing::RunDyadctl;
using testing::StatusIs;

// What dyadctl says on `err` to a command line that it refuses with status 1.
std::string Refusal(const std::vector<std::string>& words) {
  const auto run = RunDyadctl(words);
  EXPECT_EQ(run.status, 1);
  return run.err;
}

// A command that shows what its flags were read as.
class Shown final : public BatchCommand {
 public:
  Shown() : BatchCommand({.name = "shown", .usage = "", .summary = "", .text = ""}) {}
  void AddFlags(CLI::App& app) override {
    AddField(app, fields_, "top_n", {"N", ""});
    AddField(app, fields_, "convention", {"NAME", ""});
    AddTextField(app, fields_, "context", {"TEXT", ""});
    AddSwitchField(app, fields_, "echo", "");
    AddSwitchField(app, fields_, "ignore_eos", "");
    BatchCommand::AddFlags(app);
  }

  void Parse(std::vector<std::string> words) {
    CLI::App app;
    AddFlags(app);
    std::reverse(words.begin(), words.end());
    app.parse(words);
  }

  const ConnectionOptions& connection() const { return connection_; }
  const Json& fields() const { return fields_; }

 protected:
  absl::Status Start() override { return absl::OkStatus(); }
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
  for (const char* wrong : {"--timeout=0", "--timeout=-1", "--timeout=x", "--timeout=nan"}) {
    EXPECT_THAT(Refusal({"score", "a", wrong}), HasSubstr("INVALID_ARGUMENT: --timeout is"))
        << wrong;
  }
}

TEST(CommandTest, BatchesComeFromFlags) {
  EXPECT_NO_THROW(Shown().Parse({"--input=i", "--output=o", "--concurrency=256"}));
  for (const char* wrong : {"257", "0", "-1", "x", "1.5"}) {
    EXPECT_EQ(Refusal({"score", "--input=i", "--concurrency", wrong}),
              absl::StrCat("dyadctl score: INVALID_ARGUMENT: --concurrency is ", wrong,
                           "; it must be a whole number from 1 to 256\n"));
  }
  EXPECT_THAT(Refusal({"score", "--input=i", "text"}), HasSubstr("\"text\""));
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
  command.Parse(
      {"--top_n=3", "--convention=BABYLM", "--context=7", "--echo", "--ignore_eos=false"});
  EXPECT_EQ(FormatLine(command.fields()),
            R"({"top_n":3,"convention":"BABYLM","context":"7","echo":true,"ignore_eos":false})");
  EXPECT_EQ(FormatLine(Shown().fields()), "{}");
}

TEST(CommandTest, ALineWinsOverDefaults) {
  EXPECT_EQ(FormatLine(WithDefaults({{"a", 1}, {"b", 2}}, {{"b", 3}, {"c", 4}})),
            R"({"a":1,"b":3,"c":4})");
}

TEST(CommandTest, IdsComeInSeveralSpellings) {
  for (const char* text : {"1,2,3", "[1, 2, 3]", "1 2 3", " 1, 2,3 "}) {
    EXPECT_EQ(FormatLine(*IdList("--ids", text)), "[1,2,3]") << text;
  }
  EXPECT_EQ(FormatLine(*IdList("--ids", "")), "[]");
  EXPECT_THAT(IdList("--ids", "1,x"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--ids: \"x\"")));
  EXPECT_FALSE(IdList("--ids", "4294967296").ok());
}

}  // namespace
}  // namespace dyad::client
