// dyadctl evaluate reading, whole; of the fake server log p of a byte is minus a tenth of it.
#include "client/dyadctl.h"
#include "client/json_line.h"
#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/fake_service.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::HasSubstr;

constexpr char kTable[] =
    "item,word,prev_item,prev_word,RT\n"
    "a,d,,,\"1,5\"\n"
    "a d,dd,a,d,2\n";

class ReadingCommandTest : public ::testing::Test {
 protected:
  ReadingCommandTest() { folder_.Write("in.csv", kTable); }
  testing::DyadctlRun Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"evaluate", "--server", server_.address(), "reading"});
    return testing::RunDyadctl(words);
  }
  testing::FakeServer server_;
  testing::TemporaryFolder folder_;
};

TEST_F(ReadingCommandTest, TheTableComesBackWithTwoColumnsMore) {
  const auto run = Run({folder_.Path("in.csv"), "--output=" + folder_.Path("out.csv"),
                        "--predictions=" + folder_.Path("p")});
  ASSERT_EQ(run.status, 0) << run.err;
  const std::string out = folder_.Read("out.csv");
  EXPECT_THAT(out, HasSubstr("item,word,prev_item,prev_word,RT,index,pred,prev_pred,run,error\n"));
  EXPECT_THAT(out, HasSubstr("a,d,,,\"1,5\",0,10.0,,"));
  EXPECT_THAT(out, HasSubstr("a d,dd,a,d,2,1,20.0,10.0,"));
  EXPECT_THAT(folder_.Read("out.csv.run.json"),
              HasSubstr("\"task\":{\"name\":\"reading\"},\"convention\":\"BABYLM\""));
  EXPECT_EQ(folder_.Read("p/reading/predictions.json"),
            "{\"reading\":{\"predictions\":[{\"id\":0,\"pred\":10.0,\"prev_pred\":null},"
            "{\"id\":1,\"pred\":20.0,\"prev_pred\":10.0}]}}\n");
  // Gone on with, and asked again.
  folder_.Write("out.csv", out.substr(0, out.size() - 5));
  ASSERT_EQ(Run({folder_.Path("in.csv"), "--output=" + folder_.Path("out.csv")}).status, 0);
  EXPECT_EQ(folder_.Read("out.csv"), out);
  const auto verify =
      testing::RunDyadctl({"verify", folder_.Path("out.csv"), "--server=" + server_.address()});
  EXPECT_THAT(verify.out, HasSubstr("2 of 2 answers asked for again, all with the same bits"))
      << verify.err;
}

TEST_F(ReadingCommandTest, WithoutOutputTheTableIsShown) {
  const auto run = Run({folder_.Path("in.csv")});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("a,d,,,\"1,5\",0,10.0,,"));
  folder_.Write("in.tsv", "before\tword\tprev_item\tprev_word\na\td\t\t\n");
  const auto tsv =
      Run({folder_.Path("in.tsv"), "--columns=item=before", "--output=" + folder_.Path("o.jsonl")});
  EXPECT_EQ(tsv.status, 0) << tsv.err;
  EXPECT_THAT(folder_.Read("o.jsonl"), HasSubstr("{\"before\":\"a\",\"word\":\"d\",\"prev_item\":"
                                                 "\"\",\"prev_word\":\"\",\"index\":0,"
                                                 "\"pred\":10.0,\"prev_pred\":null,\"run\":"));
}

TEST_F(ReadingCommandTest, WrongCommandLinesAndTablesAreNamed) {
  const auto fails = [&](std::vector<std::string> words, int status, const std::string& message) {
    const auto run = Run(std::move(words));
    EXPECT_EQ(run.status, status);
    EXPECT_THAT(run.err, HasSubstr(message));
  };
  const std::string in = folder_.Path("in.csv");
  fails({}, 2, "takes one file");
  fails({in, "--columns=text=x"}, 2, "with KEY one of item, prev_item, prev_word, word");
  fails({in, "--convention=LM_EVAL"}, 2, "the task reading has only BABYLM");
  fails({in, "--predictions=" + folder_.Path("p")}, 2, "--predictions");
  fails({in, "--columns=item=none"}, 1, "has no column 'none'");
  folder_.Write("clash.csv", "item,word,prev_item,prev_word,pred\na,b,,,1\n");
  fails({folder_.Path("clash.csv")}, 1, "the column 'pred' is the input's and the answer's");
  EXPECT_EQ(Run({folder_.Path("clash.csv"), "--prefix=dyad_"}).status, 0);
  folder_.Write("bad.csv", "item,word,prev_item,prev_word\na,,,\n");
  const auto run = Run({folder_.Path("bad.csv"), "--output=" + folder_.Path("bad.out.csv"),
                        "--predictions=" + folder_.Path("q")});
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(folder_.Read("bad.out.csv"), HasSubstr("INVALID_ARGUMENT: word is empty"));
  EXPECT_EQ(folder_.Read("q/reading/predictions.json"), "");
  EXPECT_THAT(run.err, HasSubstr("no predictions are written, as items failed"));
}

}  // namespace
}  // namespace dyad::client
