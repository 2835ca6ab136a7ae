// What dyadctl says to what it refuses, before anything is sent: a row each.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/archives.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::RunDyadctl;

struct MessageRow {
  std::vector<std::string> words;
  std::string message;  // behind "dyadctl COMMAND: "
};

const std::vector<MessageRow> kWrongCommandLines = {
    // Spelling.
    {{"generate", "a", "--max-new-tokens=3"},
     "unknown flag --max-new-tokens; the nearest is --max_new_tokens"},
    {{"generate", "a", "--max_tokens=3"},
     "unknown flag --max_tokens; the nearest is --max_new_tokens"},
    {{"score", "a", "--modle=x"}, "unknown flag --modle; the nearest is --model"},
    {{"score", "a", "--frobnicate"}, "unknown flag --frobnicate"},
    // What follows a short flag is no more of them.
    {{"tokenize", "a", "-hh-add_special_tokens=falseX"},
     "unknown flag '-hh-add_special_tokens=falseX'; a text that begins so goes behind --"},
    // Values.
    {{"generate", "a", "--seed=-1"},
     "--seed is -1; it must be an integer from 0 to 18446744073709551615"},
    {{"generate", "a", "--seed=x"},
     "--seed is \"x\"; it must be an integer from 0 to 18446744073709551615"},
    {{"generate", "a", "--max_new_tokens=1.5"},
     "--max_new_tokens is 1.5; it must be an integer from -2147483648 to 2147483647"},
    {{"generate", "a", "--temperature=hot"},
     "--temperature is \"hot\"; it must be a number of at most 3.4e38"},
    {{"generate", "a", "--special_tokens=parse"},
     "--special_tokens is \"parse\"; it must be PARSE or LITERAL"},
    {{"generate", "a", "--logit_bias=[1]"},
     "--logit_bias is [1]; it must be an object: {\"ID\": NUMBER}"},
    {{"generate", "--input=-", "--seed=-1"},
     "--seed is -1; it must be an integer from 0 to 18446744073709551615"},
    {{"score", "a", "--top_n=x"},
     "--top_n is \"x\"; it must be an integer from -2147483648 to 2147483647"},
    {{"score", "a", "--convention=lm_eval"},
     "--convention is \"lm_eval\"; it must be LM_EVAL or BABYLM or MINICONS_MEAN or MINICONS_SUM "
     "or CONDITIONAL"},
    {{"pairs", "a", "b", "--convention=x"},
     "--convention is \"x\"; it must be LM_EVAL or BABYLM or MINICONS_MEAN or MINICONS_SUM or "
     "CONDITIONAL"},
    {{"score", "a", "--timeout=soon"}, "--timeout: must be above 0 seconds, found soon"},
    {{"score", "--input=-", "--concurrency=0"}, "--concurrency: Value 0 not in range 1 to 256"},
    {{"score", "a", "--json=maybe"}, "--json is 'maybe'; it must be true or false"},
    {{"score", "a", "--model"}, "--model needs a value"},
    {{"score", "a", "--model=a", "--model=b"}, "--model is given more than once"},
    {{"tokenize", "--add_special_tokens", "false"},
     "--add_special_tokens takes its value behind \"=\": --add_special_tokens=false; a text "
     "\"false\" goes behind --"},
    {{"models", "--server=http://127.0.0.1:1"},
     "--server is http://127.0.0.1:1; leave http:// out: HOST:PORT"},
    {{"health", "--server="}, "--server is empty; it must be HOST:PORT"},
    {{"models", "--tls_cert=x"}, "--tls_cert needs --tls_key"},
    {{"models", "--tls_key=x"}, "--tls_key needs --tls_cert"},
    // Nothing to do, or too much.
    {{"generate"}, "nothing to continue: give a text, --ids or --input"},
    {{"generate", "a", "b"}, "generate takes one text; put it in quotes"},
    {{"generate", "a", "--ids=1"}, "a text and --ids are both prompts: give one of them"},
    {{"score"}, "nothing to score: give a text, --ids or --input"},
    {{"tokenize"}, "nothing to tokenize: give a text or --input"},
    {{"detokenize"}, "nothing to detokenize: give ids or --input"},
    {{"detokenize", "x"}, "\"x\" is no token id; ids look like 2,50,713"},
    {{"pairs", "a"}, "takes --input, or a good and a bad sentence"},
    {{"blimp"}, "takes one path: a folder, an archive or a file of BLiMP's lines"},
    {{"models", "demo"}, "takes flags only, not 'demo'"},
    {{"health", "demo"}, "takes flags only, not 'demo'"},
    // What would have no effect.
    {{"score", "a", "--output=x"}, "--output needs --input"},
    {{"generate", "a", "--output=x"}, "--output needs --input"},
    {{"tokenize", "a", "--concurrency=2"}, "--concurrency needs --input"},
    {{"score", "a", "--header=on"}, "--header needs --input"},
    {{"pairs", "a", "b", "--header=on"}, "--header shows with --output, or with pairs --json"},
    {{"verify"}, "takes one file: an output of dyadctl"},
    {{"score", "a", "--details"}, "--details shows with --json or --input only"},
    {{"tokenize", "a", "--details"}, "--details shows with --json or --input only"},
    {{"generate", "a", "--logprobs=1"}, "--logprobs shows with --json or --input only"},
    {{"score", "a", "--input=-"}, "--input and 'a' exclude each other"},
    {{"score", "--text=a", "--input=-"}, "--input and 'a' exclude each other"},
    {{"generate", "--ids=1", "--input=-"}, "--ids has no effect beside --input"},
    {{"score", "--ids=1", "--input=-"}, "--ids has no effect beside --input"},
    {{"score", "--context=a", "--input=-"}, "--context has no effect beside --input"},
    {{"score", "--context_ids=1", "--input=-"}, "--context_ids has no effect beside --input"},
    {{"tokenize", "a", "--tokenizer=x", "--server=h:1"},
     "--server has no effect beside --tokenizer"},
    {{"tokenize", "a", "--tokenizer=x", "--model=m"}, "--model has no effect beside --tokenizer"},
    {{"detokenize", "1", "--tokenizer=x", "--timeout=1"},
     "--timeout has no effect beside --tokenizer"},
    {{"pairs", "a", "b", "--timeout=1"}, "unknown flag --timeout"},
    {{"blimp", "x", "--timeout=1"}, "unknown flag --timeout"},
    {{"health", "--timeout=1"}, "unknown flag --timeout"},
    {{"health", "--model=m"}, "unknown flag --model"},
};

TEST(MessagesTest, AWrongCommandLineIsOneLineAndStatusTwo) {
  for (const MessageRow& row : kWrongCommandLines) {
    const auto run = RunDyadctl(row.words);
    const std::string name = "dyadctl " + row.words[0];
    EXPECT_EQ(run.status, 2) << row.message;
    EXPECT_EQ(run.err, name + ": " + row.message + "; " + name + " --help lists the flags\n");
    EXPECT_EQ(run.out, "");
  }
}

TEST(MessagesTest, InputThatIsNoTextIsOneLineAndAnEnd) {
  const testing::TemporaryFolder folder;
  const testing::FakeServer server;
  const std::string binary = folder.Write("binary", std::string("\x7f"
                                                                "ELF\0\0\n\0\n",
                                                                9));
  const struct {
    std::string path;
    std::string message;
  } rows[] = {
      {folder.Path("none"),
       "NOT_FOUND: cannot open " + folder.Path("none") + ": No such file or directory"},
      {folder.Path("."), "INVALID_ARGUMENT: " + folder.Path(".") + " is a folder; expected a file"},
      {binary, "INVALID_ARGUMENT: " + binary + " is a binary file; expected lines of JSON"},
  };
  for (const char* command : {"score", "generate", "tokenize", "detokenize", "pairs"}) {
    for (const auto& row : rows) {
      const auto run = RunDyadctl({command, "--input=" + row.path, "--server=" + server.address()});
      EXPECT_EQ(run.status, 1);
      EXPECT_EQ(run.err, std::string("dyadctl ") + command + ": " + row.message + "\n");
      EXPECT_EQ(run.out, "");
    }
  }
  const auto gzip =
      RunDyadctl({"tokenize", "--input=-", "--server=" + server.address()}, testing::Gzip("{}\n"));
  EXPECT_EQ(gzip.status, 1);
  EXPECT_THAT(gzip.err, HasSubstr("standard input is a binary file"));
}

TEST(MessagesTest, NoLibrarySpeaksInAnAnswer) {
  testing::FakeServer server;
  const auto run =
      RunDyadctl({"generate", "--input=-", "--server=" + server.address()},
                 "{\"text\": NaN}\n{\"text\": \"a\", \"seed\": -1}\n{\"text\": 7}\n[1]\n"
                 "{\"text\": \"caf\xe9\"}\n{\"text\": \"a\", \"n\": 1e999}\n");
  EXPECT_EQ(run.status, 1);
  for (const char* foreign : {"json.exception", "TYPE_", "parse error", "nlohmann"}) {
    EXPECT_THAT(run.out, Not(HasSubstr(foreign)));
  }
  EXPECT_THAT(run.out, HasSubstr("seed is -1; it must be an integer"));
  EXPECT_EQ(server.traffic.calls(), 0);
}

TEST(MessagesTest, DeepFlagsAreRefusedWithoutRecursion) {
  const std::string deep = std::string(60'000, '[') + std::string(60'000, ']');
  EXPECT_EQ(RunDyadctl({"generate", "a", "--logit_bias=" + deep}).status, 2);
  EXPECT_EQ(RunDyadctl({"generate", "a", "--logit_bias={\"1\":" + deep + "}"}).status, 2);
}

TEST(MessagesTest, NobodyListening) {
  const auto run = RunDyadctl({"health", "--server=127.0.0.1:1"});
  EXPECT_EQ(run.status, 1);
  EXPECT_EQ(run.err,
            "dyadctl health: UNAVAILABLE: cannot reach 127.0.0.1:1: nobody listens there; is a "
            "server running?\n");
}

}  // namespace
}  // namespace dyad::client
