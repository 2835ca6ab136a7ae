// dyadctl evaluate, whole; of the fake server log p of a byte is minus a tenth of it.
#include "client/dyadctl.h"
#include "client/json_line.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;

class EvaluateCommandTest : public ::testing::Test {
 protected:
  EvaluateCommandTest() {
    folder_.Write("in/one.jsonl",
                  "{\"options\":[\"xa\",\"xz\"],\"label\":0,\"group\":\"g\"}\n"
                  "{\"options\":[\"xz\",\"xa\"],\"label\":0,\"group\":\"g\"}\n"
                  "{\"options\":[\"xa\",\"xa\"],\"label\":1,\"group\":\"h\"}\n"
                  "{\"options\":[\"refused\",\"xa\"],\"label\":1}\n");
  }
  testing::DyadctlRun Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"evaluate", "--server", server_.address()});
    return testing::RunDyadctl(words);
  }

  testing::FakeServer server_;
  testing::TemporaryFolder folder_;
};

TEST_F(EvaluateCommandTest, ScoresCountByRow) {
  const auto run =
      Run({"choices", folder_.Path("in"), "--json", "--output=" + folder_.Path("out")});
  EXPECT_EQ(run.status, 1);  // one was refused
  const auto json = ParseLine(run.out);
  ASSERT_OK(json);
  EXPECT_EQ((*json)["task"], "choices");
  EXPECT_EQ((*json)["convention"], "BABYLM");
  EXPECT_EQ((*json)["failed"], 1);
  EXPECT_EQ((*json)["rows"]["g"]["score"], 0.5);
  EXPECT_EQ((*json)["rows"]["h"]["score"], 0.0);  // a tie is the first one's
  EXPECT_EQ((*json)["rows"]["h"]["ties"], 1);
  EXPECT_EQ((*json)["macro"]["score"], 0.25);
  EXPECT_THAT(folder_.Read("out"), HasSubstr("\"task\":{\"name\":\"choices\"}"));
  EXPECT_THAT(folder_.Read("out"),
              HasSubstr("\"label\":0,\"group\":\"g\",\"file\":\"one\",\"run\":\""));
  const std::string whole = folder_.Read("out");
  const auto again = Run({"choices", folder_.Path("in"), "--output=" + folder_.Path("out")});
  EXPECT_THAT(again.out, HasSubstr("g              2       0  0.5000  0.0945 to 0.9055\n"));
  EXPECT_THAT(again.err, HasSubstr("4 of 4 lines were in the output already"));
  EXPECT_EQ(folder_.Read("out"), whole);
  EXPECT_EQ(
      Run({"choices", folder_.Path("in"), "--output=" + folder_.Path("out"), "--limit=9"}).status,
      1);
  EXPECT_EQ(folder_.Read("out"), whole);
}

TEST_F(EvaluateCommandTest, TasksOfPairsHaveTheFlagsOfPairs) {
  folder_.Write("pairs/u.jsonl", "{\"sentence_good\":\"a\",\"sentence_bad\":\"bb\"}\n");
  const std::string path = folder_.Path("pairs");
  for (const char* task : {"blimp", "blimp_supplement"}) {
    EXPECT_THAT(Run({task, path, "--streams=2"}).out, HasSubstr("fake, BABYLM: 1 pairs"));
    EXPECT_THAT(Run({"--convention", "LM_EVAL", task, path}).out, HasSubstr("fake, LM_EVAL:"));
  }
  // Behind the task such a word is a path.
  EXPECT_THAT(Run({"choices", "blimp"}).err, HasSubstr("cannot open blimp"));
  EXPECT_EQ(Run({"choices", path, "--streams=2"}).status, 2);
}

TEST_F(EvaluateCommandTest, TablesAreReadAndBaselinesShown) {
  folder_.Write("c.csv", "choice,label,n\n\"[\"\"xa\"\",\"\"xz\"\"]\",0,1\n");
  folder_.Write("people.csv",
                "source,task,row,accuracy,n\npeople,choices,all,0.75,8\npeople,choices,g,1,\n");
  const auto run =
      Run({"choices", folder_.Path("c.csv"), "--columns=options=choice",
           "--baselines=" + folder_.Path("people.csv"), "--output=" + folder_.Path("out")});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("baselines  this run    people\nall          1.0000    0.7500\n"
                                 "baselines of rows that this run does not have: g\n"));
  EXPECT_THAT(folder_.Read("out"),
              HasSubstr("{\"options\":[\"xa\",\"xz\"],\"label\":0,\"n\":\"1\","));
  EXPECT_THAT(folder_.Read("out"), HasSubstr("\"options\":{\"columns\":\"options=choice\"}"));
  const auto verify =
      testing::RunDyadctl({"verify", folder_.Path("out"), "--server=" + server_.address()});
  EXPECT_THAT(verify.out, HasSubstr("1 of 1 answers asked for again, all with the same bits"));
  EXPECT_THAT(
      Run({"choices", folder_.Path("c.csv"), "--columns=options=choice", "--json",
           "--baselines=" + folder_.Path("people.csv")})
          .out,
      HasSubstr(
          "\"baselines\":[{\"source\":\"people\",\"row\":\"all\",\"accuracy\":0.75,\"n\":8}"));
}

TEST_F(EvaluateCommandTest, APrefixKeepsALinesOwnScore) {
  const std::string in =
      folder_.Write("own.jsonl", "{\"options\":[\"xa\",\"xz\"],\"label\":0,\"score\":7}\n");
  const std::string plain =
      folder_.Write("plain.jsonl", "{\"options\":[\"xa\",\"xz\"],\"label\":0}\n");
  EXPECT_THAT(Run({"choices", in}).err, HasSubstr("--prefix=dyad_ renames the answer's"));
  const auto run = Run({"choices", in, "--prefix=d_", "--output=" + folder_.Path("own")});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, Run({"choices", plain, "--output=" + folder_.Path("plain")}).out);
  EXPECT_THAT(folder_.Read("own"), HasSubstr("\"score\":7,"));
  EXPECT_THAT(folder_.Read("own"), HasSubstr("\"d_score\":1.0"));
  const auto again = Run({"choices", in, "--prefix=d_", "--output=" + folder_.Path("own")});
  EXPECT_EQ(again.out, run.out);  // from the file
  const auto verify =
      testing::RunDyadctl({"verify", folder_.Path("own"), "--server=" + server_.address()});
  EXPECT_THAT(verify.out, HasSubstr("1 of 1 answers asked for again, all with the same bits"));
  const auto compared =
      testing::RunDyadctl({"compare", folder_.Path("own"), folder_.Path("own"), "--json"});
  EXPECT_THAT(compared.out, HasSubstr("\"rows\":{\"all\":{\"items\":1,\"first\":1.0"));
}

TEST_F(EvaluateCommandTest, PredictionsAreThoseOfBabylm) {
  folder_.Write("comps/comps_base.jsonl",
                "{\"prefix_acceptable\":\"a\",\"prefix_unacceptable\":\"z\","
                "\"property_phrase\":\"p\"}\n");
  EXPECT_EQ(Run({"comps", folder_.Path("comps"), "--predictions=" + folder_.Path("p")}).status, 0);
  EXPECT_EQ(folder_.Read("p/comps/comps/predictions.json"),
            "{\"base\":{\"predictions\":[{\"id\":\"base_0\",\"pred\":\"a p\"}]}}\n");
  folder_.Write("wug/w.jsonl", "{\"sentences\":\"az\\taa\",\"ratio\":1}\n");
  EXPECT_EQ(Run({"wug_adj", folder_.Path("wug"), "--predictions=" + folder_.Path("p")}).status, 0);
  EXPECT_THAT(
      folder_.Read("p/wug_adj/wug/predictions.json"),
      HasSubstr("{\"wug_adj\":{\"predictions\":[{\"id\":\"wug_adj_0\",\"pred\":\"aa\",\"prob\":"));
  folder_.Write("sup/hyp.jsonl", "{\"sentence_good\":\"aa\",\"sentence_bad\":\"b\"}\n");
  EXPECT_EQ(
      Run({"blimp_supplement", folder_.Path("sup"), "--predictions=" + folder_.Path("p")}).status,
      0);
  EXPECT_EQ(folder_.Read("p/blimp/sup/predictions.json"),
            "{\"hyp\":{\"predictions\":[{\"id\":\"hyp_0\",\"pred\":\"b\"}]}}\n");
  // A failed item leaves none; other tasks have none.
  const std::string out = "--predictions=" + folder_.Path("q");
  EXPECT_THAT(Run({"choices", folder_.Path("in"), out}).err,
              HasSubstr("--predictions: BabyLM's pipeline has none of the task choices"));
  EXPECT_EQ(Run({"ewok", "x", "--variant=paper", out}).status, 2);
}

TEST_F(EvaluateCommandTest, WrongCommandLinesAndLinesAreNamed) {
  EXPECT_EQ(Run({}).status, 2);
  EXPECT_EQ(Run({"choices"}).status, 2);
  EXPECT_THAT(Run({"glue", "x"}).err, HasSubstr("the task 'glue' is none of"));
  EXPECT_THAT(Run({"ewok", "x", "--variant=y"}).err, HasSubstr("the variant 'y' is none of"));
  const auto run = Run({"comps", folder_.Path("in")});
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.err, HasSubstr("one.jsonl: line 1: lacks the key prefix_acceptable"));
  folder_.Write("pairs.jsonl", "{\"sentence_good\":\"a\"}\n");
  EXPECT_THAT(Run({"blimp", folder_.Path("pairs.jsonl")}).err,
              HasSubstr("pairs.jsonl: line 1: lacks the key sentence_bad"));
  folder_.Write("one.jsonl", "{\"options\":[\"a\"]}\n");
  EXPECT_THAT(Run({"choices", folder_.Path("one.jsonl")}).err,
              HasSubstr("one.jsonl: line 1: options must be a list of 2 to 64 strings"));
  folder_.Write("clash.csv", "options,score\n\"[\"\"a\"\",\"\"b\"\"]\",1\n");
  EXPECT_THAT(Run({"choices", folder_.Path("clash.csv")}).err,
              HasSubstr("clash.csv: line 2: has the key score, which the answer has too"));
  folder_.Write("empty.jsonl", "");
  EXPECT_THAT(Run({"choices", folder_.Path("empty.jsonl")}).err, HasSubstr("empty.jsonl is empty"));
  EXPECT_EQ(server_.traffic.calls(), 0);
}

}  // namespace
}  // namespace dyad::client
