// dyadctl surprisal, whole. Of the fake server log p of a byte is minus a tenth of it.
#include "client/dyadctl.h"
#include "client/json_line.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using testing::FakeServer;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

constexpr char kCsv[] = "id,sentence\r\n1,\"a b\"\r\n2,\"é -x\"\r\n3,\r\n4,refused\r\n5,a\r\n";

class SurprisalCommandTest : public ::testing::Test {
 protected:
  testing::DyadctlRun Run(std::vector<std::string> words, const std::string& in = "") {
    words.insert(words.begin(), {"surprisal", "--server=" + server_.address()});
    return testing::RunDyadctl(words, in);
  }
  testing::DyadctlRun RunCsv(std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(),
                 {"--input=" + folder_.Write("in.csv", kCsv), "--output=" + folder_.Path("out.csv"),
                  "--columns=text=sentence", "--unit=logprob"});
    return Run(flags);
  }

  FakeServer server_;
  TemporaryFolder folder_;
};

TEST_F(SurprisalCommandTest, ATableHasARowForEachWord) {
  const auto run = RunCsv();
  EXPECT_EQ(run.status, 1);  // one was refused
  const auto header = ParseLine(folder_.Read("out.csv.run.json"));
  ASSERT_OK(header);
  const std::string id = (*header)["dyad_run"]["run"].get<std::string>();
  EXPECT_EQ((*header)["dyad_run"]["unit"], "logprob");
  EXPECT_EQ(FormatLine((*header)["dyad_run"]["options"]),
            R"({"correction":"NONE","split":"WHITESPACE","columns":"text=sentence"})");
  const std::string rest = "logprob,none," + id + ",\n";
  EXPECT_EQ(
      folder_.Read("out.csv"),
      "id,sentence,item,word_index,word,begin,end,tokens,surprisal,unit,correction,run,error\n"
      "1,a b,0,0,a,0,1,1,-9.699999809265137," +
          rest + "1,a b,0,1,b,2,3,1,-9.800000190734863," + rest +
          "2,é -x,1,0,é,0,1,2,-36.39999961853027," + rest + "2,é -x,1,1,-x,2,4,2,," + rest +
          "4,refused,3,,,,,,,,," + id +
          ",INVALID_ARGUMENT: items[0].text: refused on purpose\n"
          "5,a,4,0,a,0,1,1,-9.699999809265137," +
          rest);
}

TEST_F(SurprisalCommandTest, AKilledRunGoesOnByteForByte) {
  RunCsv();
  const std::string whole = folder_.Read("out.csv");
  for (size_t bytes = 0; bytes < whole.size(); bytes += 7) {
    folder_.Write("out.csv", whole.substr(0, bytes));
    EXPECT_EQ(RunCsv().status, 1);
    ASSERT_EQ(folder_.Read("out.csv"), whole) << bytes;
  }
  const std::string lines = "{\"text\":\"a b c\"}\n{\"text\":\"\"}\n{\"text\":\"d\"}\n";
  const auto run = [&] {
    return Run({"--input=" + folder_.Write("in.jsonl", lines), "--output=" + folder_.Path("out")});
  };
  ASSERT_EQ(run().status, 0);
  const std::string json = folder_.Read("out");
  for (size_t bytes = json.find('\n') + 1; bytes < json.size(); ++bytes) {
    folder_.Write("out", json.substr(0, bytes));
    EXPECT_EQ(run().status, 0);
    ASSERT_EQ(folder_.Read("out"), json) << bytes;
  }
}

TEST_F(SurprisalCommandTest, AnotherRunAndForeignFilesAreLeftAlone) {
  RunCsv();
  const std::string whole = folder_.Read("out.csv"), header = folder_.Read("out.csv.run.json");
  const auto is_refused = [&](std::vector<std::string> flags, const std::string& text) {
    const std::string before = folder_.Read("out.csv"), beside = folder_.Read("out.csv.run.json");
    const auto run = RunCsv(flags);
    EXPECT_EQ(run.status, 1);
    EXPECT_THAT(run.err, HasSubstr(text));
    EXPECT_EQ(folder_.Read("out.csv"), before);
    EXPECT_EQ(folder_.Read("out.csv.run.json"), beside);
  };
  is_refused({"--split=PUNCTUATION"},
             "options.split is \"WHITESPACE\" there and \"PUNCTUATION\" now");
  is_refused({"--correction=OH_SCHULER"}, "options.correction is");
  is_refused({"--convention=BABYLM"}, "convention is");
  is_refused({"--prefix=d_"}, "options.prefix is not given there and \"d_\" now");
  folder_.Write("out.csv", "my,notes\n1,2\n");
  is_refused({}, "its columns are not those of this run");
  std::filesystem::remove(folder_.Path("out.csv.run.json"));
  is_refused({}, "it has no header of a run beside it");
  folder_.Write("out.csv", whole);
  folder_.Write("out.csv.run.json", "notes");
  is_refused({}, "out.csv.run.json: it has no header of a run");
  folder_.Write("out.csv.run.json", header);
  EXPECT_EQ(RunCsv().status, 1);
  EXPECT_EQ(folder_.Read("out.csv"), whole);
}

TEST_F(SurprisalCommandTest, ErrorsAreAskedAgain) {
  server_.traffic.SetFaults(
      {.spare_first = 1, .fail_first = 1, .code = grpc::StatusCode::INTERNAL});
  EXPECT_EQ(RunCsv({"--concurrency=1"}).status, 1);
  EXPECT_THAT(folder_.Read("out.csv"), HasSubstr("INTERNAL: "));
  const auto again = RunCsv({"--retry_errors"});
  EXPECT_THAT(again.err, HasSubstr("1 of 5 lines failed"));  // refused is refused
  const std::string whole = folder_.Read("out.csv");
  std::filesystem::remove(folder_.Path("out.csv"));
  RunCsv();
  EXPECT_EQ(folder_.Read("out.csv"), whole);
}

TEST_F(SurprisalCommandTest, RegionsAreCountedInCharacters) {
  const std::string lines =
      "{\"text\":\"é bc\",\"r\":\"2:4\"}\n"
      "{\"text\":\"é bc\",\"r\":[{\"text\":\"b\"},\"0:1\"]}\n"
      "{\"text\":\"é bc\",\"r\":\"2:9\"}\n";
  const auto run = Run({"--input=-", "--regions=r", "--unit=nats"}, lines);
  EXPECT_EQ(run.status, 1);
  std::vector<Json> rows;
  std::istringstream out(run.out);
  for (std::string line; std::getline(out, line);) rows.push_back(*ParseLine(line));
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0]["region"], "bc");
  EXPECT_EQ(rows[0]["begin"], 2);
  EXPECT_EQ(rows[0]["end"], 4);
  EXPECT_EQ(rows[0]["shared_tokens"], 0);
  EXPECT_FALSE(rows[0].contains("word_index"));
  EXPECT_EQ(rows[1]["region"], "b");
  EXPECT_EQ(rows[2]["region_index"], 1);
  EXPECT_EQ(rows[2]["region"], "é");
  EXPECT_THAT(FormatLine(rows[3]["error"]), HasSubstr("is not inside the text's 4 characters"));
}

TEST_F(SurprisalCommandTest, UnitsAndContexts) {
  const auto value = [&](std::vector<std::string> words) {
    words.push_back("--json");
    return (*ParseLine(Run(words).out))["surprisal"].get<double>();
  };
  EXPECT_EQ(value({"a", "--unit=logprob"}), -9.699999809265137);
  EXPECT_EQ(value({"a", "--unit=nats"}), 9.699999809265137);
  EXPECT_EQ(value({"a"}), 9.699999809265137 / 0.6931471805599453);
  Run({"a", "--context=xy"});
  EXPECT_THAT(server_.traffic.seen(), HasSubstr("context_text: \"xy\""));
  Run({"--input=-"}, "{\"text\":\"a\",\"context\":\"xyz\"}\n");
  EXPECT_THAT(server_.traffic.seen(), HasSubstr("context_text: \"xyz\""));
  EXPECT_THAT(Run({"a b"}).out, HasSubstr("     1     13.9941  a\n"));
}

TEST_F(SurprisalCommandTest, FormatsGoBySuffixOrFlag) {
  const auto tsv = Run({"--input=-", "--format=tsv"}, "text\tx\na\t1\n");
  EXPECT_THAT(tsv.out, HasSubstr("text\tx\titem\tword_index\t"));
  EXPECT_THAT(tsv.out, HasSubstr("a\t1\t0\t0\ta\t0\t1\t1\t13.99"));
  const std::string csv = folder_.Write("in.csv", "text\na\n");
  EXPECT_THAT(Run({"--input=" + csv}).out,
              HasSubstr("{\"text\":\"a\",\"item\":0,\"word_index\":0,"));
  EXPECT_EQ(Run({"--input=" + csv, "--output=" + folder_.Path("o.tsv"), "--format=csv"}).status, 2);
  EXPECT_EQ(Run({"--input=" + csv, "--format=csv", "--header=on"}).status, 2);
}

TEST_F(SurprisalCommandTest, SaysWhatIsWrongWithATable) {
  const auto fails = [&](const std::string& name, const std::string& content,
                         const std::string& text, std::vector<std::string> flags = {}) {
    flags.push_back("--input=" + folder_.Write(name, content));
    flags.push_back("--output=" + folder_.Path("o.csv"));
    const auto run = Run(flags);
    EXPECT_EQ(run.status, 1);
    EXPECT_THAT(run.err + folder_.Read("o.csv"), HasSubstr(text));
    EXPECT_EQ(run.status == 1 && server_.traffic.calls() > 0, false) << text;
  };
  fails("a.csv", "text,x\na\n", "line 2, column 2: the record has 1 columns, the first line 2");
  fails("a.csv", "words\na\n", "has no column 'text'; --columns=text=NAME says where");
  fails("a.csv", "text,word\na,b\n", "the column 'word' is the input's and the answer's");
  fails("a.csv", "text\na\n", "has no column 'r'", {"--regions=r"});
  EXPECT_EQ(Run({"--input=-", "--columns=txt=a"}).status, 2);
  EXPECT_EQ(Run({"a", "--columns=text=a"}).status, 2);
  EXPECT_EQ(Run({"a", "--split=X"}).status, 2);
  EXPECT_EQ(Run({}).status, 2);
  // Later lines of JSON may have keys of their own.
  const auto run = Run({"--input=" + folder_.Write("in.jsonl",
                                                   "{\"text\":\"a\"}\n{\"text\":\"b\",\"y\":1}\n"
                                                   "{\"text\":\"c\",\"word\":1}\n{\"x\":1}\n"),
                        "--output=" + folder_.Path("late.csv")});
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(folder_.Read("late.csv"), HasSubstr("the key 'y' is not in the first row"));
  EXPECT_THAT(folder_.Read("late.csv"), HasSubstr("the key 'word' is the answer's"));
}

TEST_F(SurprisalCommandTest, AreVerified) {
  for (const char* name : {"out.csv", "out.tsv", "out.jsonl"}) {
    Run({"--input=" + folder_.Write("in.csv", kCsv), "--output=" + folder_.Path(name),
         "--columns=text=sentence", "--prefix=d_", "--unit=bits"});
    const auto verify = [&] {
      return testing::RunDyadctl({"verify", folder_.Path(name), "--server=" + server_.address()});
    };
    const auto run = verify();
    EXPECT_EQ(run.status, 0) << run.out << run.err;
    EXPECT_THAT(run.out, HasSubstr("3 of 3 answers asked for again, all with the same bits"));
    std::string changed = folder_.Read(name);
    const size_t at = changed.find("13.99");
    ASSERT_NE(at, changed.npos);
    changed.replace(at, 5, "13.98");
    folder_.Write(name, changed);
    EXPECT_THAT(verify().out, HasSubstr("answer 1: row 1 is {"));
  }
}

}  // namespace
}  // namespace dyad::client
