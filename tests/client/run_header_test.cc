// Headers by themselves, and each option of each command changed alone.
#include "client/run_header.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"
#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::StatusIs;
using testing::TemporaryFolder;

Json SomeFields() {
  return {{"model",
           {{"name", "m"},
            {"digest", "d1"},
            {"tokenizer_digest", "t1"},
            {"architecture", "opt"},
            {"structure", "dyad"},
            {"weight_dtype", "float32"},
            {"kv_dtype", "float32"},
            {"arithmetic", "exact"},
            {"device", "cpu"}}},
          {"task", {{"name", "score"}}},
          {"convention", "LM_EVAL"},
          {"special_tokens", "PARSE"},
          {"options", {{"top_n", 3}}},
          {"unit", "bits"},
          {"input", {{"name", "in"}, {"sha256", "s1"}, {"bytes", 7}, {"items", 2}}},
          {"server", {{"version", "0.1.0"}, {"commit", "c"}}},
          {"client", {{"name", "dyadctl"}, {"version", "0.1.0"}}},
          {"command", "dyadctl score"},
          {"created", "2026-01-01T00:00:00Z"}};
}

// hashlib.sha256(json.dumps(..., sort_keys=True, separators=(",", ":"), ensure_ascii=False)
// .encode()).hexdigest()[:12] of Python, over the bound fields.
TEST(RunHeaderTest, ARunHasAName) {
  EXPECT_EQ(
      RunName({{"model", {{"name", "demo"}}}, {"convention", "BABYLM"}, {"run", "0123456789ab"}}),
      "demo, BABYLM, run 0123456789ab");
  EXPECT_EQ(RunName(Json::object()), "?, -, run -");
}

TEST(RunHeaderTest, NamesTellModelsApart) {
  const auto header = [](const char* digest, const char* weights) {
    return Json{{"model", {{"name", "demo"}, {"digest", digest}, {"weight_dtype", weights}}},
                {"convention", "BABYLM"},
                {"run", "r"}};
  };
  EXPECT_EQ(RunNames({header("0123456789abcdef", "int8"), header("0123456789abcdef", "float32")}),
            (std::vector<std::string>{"demo (int8 weights), BABYLM, run r",
                                      "demo (float32 weights), BABYLM, run r"}));
  EXPECT_EQ(RunNames({header("0123456789abcdef", "int8"), header("f", "int8")}),
            (std::vector<std::string>{"demo (digest 0123456789ab), BABYLM, run r",
                                      "demo (digest f), BABYLM, run r"}));
}

TEST(RunHeaderTest, TheIdIsTheOneThatPythonComputes) {
  const Json header = FinishHeader(SomeFields());
  EXPECT_EQ(header["format"], "dyad.run/1");
  EXPECT_EQ(header["run"], "7506a2f2e318");
  EXPECT_EQ(RunId(header), header["run"]);
  EXPECT_TRUE(IsRunId(header["run"].get<std::string>()));
  for (const char* text : {"", "abc", "0123456789ag", "0123456789AB", "0123456789abc"}) {
    EXPECT_FALSE(IsRunId(text)) << text;
  }
}

TEST(RunHeaderTest, BoundFieldsDecideAndOthersDoNot) {
  const Json fields = SomeFields();
  const Json header = FinishHeader(fields);
  const auto changed = [&](const std::string& path) {
    Json other = fields;
    Json& value = other[Json::json_pointer(path)];
    value = value.is_number() ? Json(99) : Json("other");
    return FinishHeader(other);
  };
  for (const char* path :
       {"/model/digest", "/model/tokenizer_digest", "/model/weight_dtype", "/model/kv_dtype",
        "/model/arithmetic", "/task/name", "/task/variant", "/convention", "/special_tokens",
        "/options/top_n", "/options/new", "/unit", "/input/sha256"}) {
    const Json other = changed(path);
    EXPECT_NE(other["run"], header["run"]) << path;
    std::string name = std::string(path).substr(1);
    std::replace(name.begin(), name.end(), '/', '.');
    EXPECT_THAT(CheckSameRun(header, other),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         AllOf(HasSubstr("another run: " + name + " is "), HasSubstr(" there and "),
                               Not(HasSubstr(" now, ")))));
  }
  for (const char* path : {"/model/name", "/model/architecture", "/model/structure",
                           "/model/device", "/input/name", "/input/bytes", "/input/items",
                           "/server/version", "/client/version", "/command", "/created"}) {
    EXPECT_EQ(changed(path)["run"], header["run"]) << path;
    EXPECT_OK(CheckSameRun(header, changed(path)));
  }
}

TEST(RunHeaderTest, SaysWhatDiffersWithBothValues) {
  Json there = FinishHeader(SomeFields()), now = there;
  now["options"] = {{"details", true}};
  now["input"]["sha256"] = "s2";
  now["format"] = "dyad.run/2";
  EXPECT_EQ(CheckSameRun(there, now).message(),
            "its answers are of another run: format is \"dyad.run/1\" there and \"dyad.run/2\" "
            "now, input.sha256 is \"s1\" there and \"s2\" now, options.details is not given there "
            "and true now, options.top_n is 3 there and not given now");
  there[kRunKey] = "000000000000";  // by hand
  EXPECT_THAT(
      CheckSameRun(there, FinishHeader(SomeFields())),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("run is \"000000000000\"")));
}

TEST(RunHeaderTest, IsReadBackAndForeignLinesAreNot) {
  const Json header = FinishHeader(SomeFields());
  const std::string line = HeaderLine(header);
  EXPECT_TRUE(IsHeaderLine(line));
  EXPECT_FALSE(IsHeaderLine("{\"dyad_run\""));
  EXPECT_EQ(*ReadHeader(line), header);
  for (size_t bytes = 0; bytes < line.size(); ++bytes) {
    EXPECT_TRUE(MayBeginHeader(line.substr(0, bytes)));
    EXPECT_FALSE(ReadHeader(line.substr(0, bytes)).ok());
  }
  EXPECT_FALSE(MayBeginHeader("{\"b"));
  for (const char* foreign :
       {"", "notes", "{}", "[]", R"({"dyad_run":7})", R"({"sum":1})", R"({"dyad_run":{"run":7}})",
        R"({"dyad_run":{"task":"x"}})", R"({"dyad_run":{"task":{"name":7}}})",
        R"({"dyad_run":{"input":{"bytes":"x"}}})"}) {
    EXPECT_EQ(ReadHeader(foreign).status().code(), absl::StatusCode::kFailedPrecondition)
        << foreign;
  }
}

// Runs a command into one file again and again.
class OutputOfRunTest : public ::testing::Test {
 protected:
  testing::DyadctlRun Run(const std::string& command, std::vector<std::string> flags = {}) {
    const std::string lines = command == "detokenize" ? "{\"ids\":[97]}\n{\"ids\":[98]}\n"
                              : command == "pairs"
                                  ? "{\"sentence_good\":\"a\",\"sentence_bad\":\"b\"}\n"
                                  : "{\"text\":\"a\"}\n{\"text\":\"b\"}\n";
    flags.insert(flags.begin(), {command, "--server=" + server_.address(),
                                 "--input=" + folder_.Write("in", lines), "--output=" + out_});
    return testing::RunDyadctl(flags);
  }

  std::string Answers() const {
    const std::string out = folder_.Read("out");
    return out.substr(out.find('\n') + 1);
  }
  Json Header() const {
    const std::string out = folder_.Read("out");
    return *ReadHeader(out.substr(0, out.find('\n')));
  }

  testing::FakeServer server_;
  TemporaryFolder folder_;
  const std::string out_ = folder_.Path("out");
};

TEST_F(OutputOfRunTest, EachOptionChangedAloneIsAnotherRun) {
  const std::map<std::string, std::vector<std::string>> options = {
      {"score", {"convention=BABYLM", "special_tokens=LITERAL", "top_n=1", "details"}},
      {"generate",
       {"max_new_tokens=1", "temperature=0.5", "top_k=3", "top_p=0.5", "min_p=0.1",
        "repetition_penalty=1.1", "presence_penalty=1", "frequency_penalty=1",
        "logit_bias={\"5\":1}", "seed=1", "n=2", "logprobs=1", "special_tokens=LITERAL",
        "stop_ids=5", "ignore_eos", "echo", "stop=x"}},
      {"pairs", {"convention=BABYLM", "special_tokens=LITERAL"}},
      {"tokenize", {"add_special_tokens=false", "special_tokens=LITERAL", "details"}},
      {"detokenize", {"skip_special_tokens"}}};
  for (const auto& [command, flags] : options) {
    std::filesystem::remove(out_);
    ASSERT_EQ(Run(command).status, 0);
    const std::string whole = folder_.Read("out");
    for (const std::string& flag : flags) {
      std::string name = flag.substr(0, flag.find('='));
      if (name != "convention" && name != "special_tokens") name = "options." + name;
      const auto run = Run(command, {"--" + flag});
      EXPECT_EQ(run.status, 1) << command << " " << flag;
      EXPECT_THAT(run.err, HasSubstr("another run: " + name));
      EXPECT_THAT(run.err, Not(HasSubstr(" now, ")));  // nothing else
      EXPECT_EQ(folder_.Read("out"), whole);
    }
    EXPECT_EQ(Run(command).status, 0);
    EXPECT_EQ(folder_.Read("out"), whole);
  }
}

TEST_F(OutputOfRunTest, AnotherModelByTheSameNameIsAnotherRun) {
  ASSERT_EQ(Run("score").status, 0);
  const std::string whole = folder_.Read("out");
  const v1::Model model = server_.model();
  for (const char* key : {"digest", "tokenizer_digest", "weight_dtype", "kv_dtype", "arithmetic"}) {
    v1::Model& changed = server_.model() = model;
    (key == std::string("digest")             ? changed.mutable_digest()
     : key == std::string("tokenizer_digest") ? changed.mutable_tokenizer_digest()
     : key == std::string("weight_dtype")     ? changed.mutable_weight_dtype()
     : key == std::string("kv_dtype")         ? changed.mutable_kv_dtype()
                                              : changed.mutable_arithmetic())
        ->append("x");
    const auto run = Run("score");
    EXPECT_EQ(run.status, 1);
    EXPECT_THAT(run.err, HasSubstr(std::string("another run: model.") + key + " is \""));
    EXPECT_EQ(folder_.Read("out"), whole);
  }
}

TEST_F(OutputOfRunTest, TheWeightsMayNotChangeInTheMiddle) {
  server_.model().set_digest("d0");  // the server's streams say d1
  const auto run = Run("pairs");
  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.err, HasSubstr("other weights than when the run began"));
  EXPECT_EQ(Answers(), "");
  EXPECT_EQ(Run("generate").status, 1);  // of a file of another run
}

TEST_F(OutputOfRunTest, AnotherInputIsAnotherRun) {
  ASSERT_EQ(Run("score").status, 0);
  const std::string whole = folder_.Read("out");
  const auto run = testing::RunDyadctl(
      {"score", "--server=" + server_.address(), "--output=" + out_,
       "--input=" + folder_.Write("other", "{\"text\":\"a\"}\n{\"text\":\"c\"}\n")});
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.err, HasSubstr("another run: input.sha256 is \""));
  EXPECT_EQ(folder_.Read("out"), whole);
}

// Whoever serves another model by the same name changes the answers to lines that name it.
TEST_F(OutputOfRunTest, TheModelsThatLinesNameAreOptions) {
  v1::Model& second = server_.AddModel("second");
  const auto run = [&] {
    return testing::RunDyadctl(
        {"tokenize", "--server=" + server_.address(), "--output=" + out_,
         "--input=" + folder_.Write("in", "{\"text\":\"a\",\"model\":\"fake\"}\n")});
  };
  ASSERT_EQ(run().status, 0);
  EXPECT_FALSE(Header().contains("model"));  // nothing says which of the two
  EXPECT_EQ(FormatLine(Header()["options"]["models"]),
            R"({"fake":{"digest":"d1","tokenizer_digest":"t1","weight_dtype":"float32",)"
            R"("kv_dtype":"float32","arithmetic":"exact"}})");
  second.set_digest("d9");  // not named
  EXPECT_EQ(run().status, 0);
  server_.model().set_digest("d2");
  const auto other = run();
  EXPECT_EQ(other.status, 1);
  EXPECT_THAT(other.err, HasSubstr("options.models.fake.digest is \"d1\" there and \"d2\" now"));
}

TEST_F(OutputOfRunTest, TheHeaderSaysWhatTheFileIs) {
  ASSERT_EQ(Run("score", {"--top_n=2", "--convention=BABYLM"}).status, 0);
  const Json header = Header();
  EXPECT_EQ(FormatLine(header["model"]),
            R"({"name":"fake","digest":"d1","tokenizer_digest":"t1","architecture":"opt",)"
            R"("structure":"monarch","weight_dtype":"float32","kv_dtype":"float32",)"
            R"("arithmetic":"exact","device":"cpu"})");
  EXPECT_EQ(FormatLine(header["task"]), R"({"name":"score"})");
  EXPECT_EQ(header["convention"], "BABYLM");
  EXPECT_EQ(header["special_tokens"], "PARSE");
  EXPECT_EQ(FormatLine(header["options"]), R"({"top_n":2})");
  EXPECT_EQ(header["input"]["items"], 2);
  EXPECT_THAT(header["command"].get<std::string>(), HasSubstr("dyadctl score --server="));
  EXPECT_THAT(Answers(),
              ::testing::StartsWith("{\"run\":" + FormatLine(header["run"]) + ",\"ids\""));
}

// The file that is left by a full disk or a kill keeps its first header.
TEST_F(OutputOfRunTest, ARunThatGoesOnKeepsItsHeader) {
  ASSERT_EQ(Run("score").status, 0);
  std::string whole = folder_.Read("out");
  const size_t time = whole.find("\"created\":\"") + 11;
  whole.replace(time, 4, "1999");
  folder_.Write("out", whole.substr(0, whole.size() - 5));
  EXPECT_EQ(Run("score").status, 0);
  EXPECT_EQ(folder_.Read("out"), whole);
}

TEST_F(OutputOfRunTest, StandardOutputHasAHeaderOnlyIfAsked) {
  const std::string in = folder_.Write("in", "{\"text\":\"a\"}\n");
  const std::string server = "--server=" + server_.address();
  const auto plain = testing::RunDyadctl({"score", server, "--input=" + in});
  EXPECT_THAT(plain.out, AllOf(Not(HasSubstr("dyad_run")), Not(HasSubstr("\"run\""))));
  const auto headed = testing::RunDyadctl({"score", server, "--input=" + in, "--header=on"});
  EXPECT_THAT(headed.out,
              AllOf(::testing::StartsWith("{\"dyad_run\":{"), HasSubstr("\n{\"run\":")));
  const auto piped =
      testing::RunDyadctl({"score", server, "--input=-", "--header=on"}, "{\"text\":\"a\"}\n");
  EXPECT_THAT(piped.out, AllOf(HasSubstr("\"input\":{\"name\":\"-\"}"), HasSubstr("\"sum\"")));
  EXPECT_EQ(testing::RunDyadctl({"score", "a", server, "--header=on"}).status, 2);
  EXPECT_EQ(testing::RunDyadctl({"score", server, "--input=" + in, "--header=off"}).status, 2);
}

TEST_F(OutputOfRunTest, FromStandardInputThereIsNoGoingOn) {
  const auto run = [&](const std::string& in) {
    return testing::RunDyadctl(
        {"score", "--server=" + server_.address(), "--output=" + out_, "--input=-"}, in);
  };
  ASSERT_EQ(run("{\"text\":\"a\"}\n").status, 0);
  const std::string whole = folder_.Read("out");
  const auto again = run("{\"text\":\"a\"}\n{\"text\":\"b\"}\n");
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.err, HasSubstr("the input can be read only once"));
  EXPECT_EQ(folder_.Read("out"), whole);
}

// An output is a good input: headers are no lines, and the new run's id takes the old one's place.
TEST_F(OutputOfRunTest, AnOutputMayBeTheNextInput) {
  ASSERT_EQ(Run("tokenize").status, 0);
  const auto next = testing::RunDyadctl({"detokenize", "--server=" + server_.address(),
                                         "--input=" + out_, "--output=" + folder_.Path("next")});
  EXPECT_EQ(next.status, 0) << next.err;
  EXPECT_THAT(folder_.Read("next"), HasSubstr("\",\"text\":\"</s>a\"}"));
  EXPECT_NE(folder_.Read("next").find(Header()["run"].get<std::string>()), 0u);
}

TEST_F(OutputOfRunTest, AKeyOfTheLineThatIsOursIsRefused) {
  const auto run =
      testing::RunDyadctl({"score", "--server=" + server_.address(), "--output=" + out_,
                           "--input=" + folder_.Write("in", "{\"text\":\"a\",\"run\":3}\n")});
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(Answers(), HasSubstr("the key run is the answer's own"));
}

TEST_F(OutputOfRunTest, AFinishedRunStillNamesModelAndConvention) {
  ASSERT_EQ(Run("pairs", {"--convention=BABYLM"}).status, 0);
  const auto again = Run("pairs", {"--convention=BABYLM"});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("fake, BABYLM: every pair was scored by an earlier run\n"));
  const auto json = ParseLine(Run("pairs", {"--convention=BABYLM", "--json"}).out);
  ASSERT_OK(json);
  EXPECT_EQ((*json)["model"], "fake");
  EXPECT_EQ((*json)["model_digest"], "d1");
  EXPECT_EQ((*json)["convention"], "BABYLM");
}

TEST_F(OutputOfRunTest, AnOfflineTokenizerIsItsFiles) {
  for (const char* name : {"tokenizer.json", "vocab.json", "merges.txt"}) {
    const auto file = testing::DemoModelDir() / name;
    if (std::filesystem::exists(file)) {
      std::filesystem::create_directories(folder_.Path("t"));
      std::filesystem::copy(file, folder_.Path("t"));
    }
  }
  const auto run = [&] {
    return testing::RunDyadctl({"tokenize", "--tokenizer=" + folder_.Path("t"), "--output=" + out_,
                                "--input=" + folder_.Write("in", "{\"text\":\"a\"}\n")});
  };
  ASSERT_EQ(run().status, 0);
  EXPECT_EQ(run().status, 0);
  folder_.Write("t/added_tokens.json", "{}");
  const auto other = run();
  EXPECT_EQ(other.status, 1);
  EXPECT_THAT(other.err, HasSubstr("another run: model.tokenizer_digest is"));
}

}  // namespace
}  // namespace dyad::client
