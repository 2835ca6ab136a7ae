// Order, going on with a file, and torn ends.
#include "client/ordered_output.h"

#include <atomic>
#include <chrono>
#include <sstream>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/dyadctl_run.h"
#include "tests/support/status_matchers.h"

namespace dyad::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::StatusIs;
using testing::TemporaryFolder;

constexpr auto kIgnore = [](const std::string&) { return absl::OkStatus(); };

TEST(OrderedOutputTest, WritesInOrderWhateverTheOrderOfPut) {
  std::ostringstream out;
  const auto output = OrderedOutput::Open("-", out, kIgnore);
  ASSERT_OK(output);
  (*output)->Put(2, "c");
  (*output)->Put(1, "b");
  EXPECT_EQ(out.str(), "");
  (*output)->Put(0, "a");
  EXPECT_EQ(out.str(), "a\nb\nc\n");
  EXPECT_OK((*output)->Finish());
}

TEST(OrderedOutputTest, GoesOnBehindWholeLinesAndCutsATornEnd) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("out", "{\"a\":1}\n{\"a\":2}\n{\"a\":");
  std::ostringstream unused;
  std::vector<std::string> old;
  {
    const auto output = OrderedOutput::Open(path, unused, [&](const std::string& answer) {
      old.push_back(answer);
      return absl::OkStatus();
    });
    ASSERT_OK(output);
    EXPECT_EQ((*output)->old_lines(), 2);
    (*output)->Put(2, "{\"a\":3}");
  }
  EXPECT_EQ(folder.Read("out"), "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
  EXPECT_THAT(old, ElementsAre("{\"a\":1}", "{\"a\":2}"));
}

// A line without its line feed may lack more than that: {"a":12 of {"a":123}.
TEST(OrderedOutputTest, AWholeObjectWithoutLineFeedIsTornToo) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("out", "{\"a\":1}\n{\"a\":2}");
  std::ostringstream unused;
  EXPECT_EQ((*OrderedOutput::Open(path, unused, kIgnore))->old_lines(), 1);
  EXPECT_EQ(folder.Read("out"), "{\"a\":1}\n");
}

// A file system may leave zeros behind after a crash, even with a line feed at the end.
TEST(OrderedOutputTest, ALastLineThatIsNoJsonIsTorn) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("out", std::string("{\"a\":1}\n\0\0\0\n", 12));
  std::ostringstream unused;
  EXPECT_EQ((*OrderedOutput::Open(path, unused, kIgnore))->old_lines(), 1);
}

TEST(OrderedOutputTest, RefusesAFileThatHoldsSomethingElse) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("notes", "my notes\nare dear\nto me\n");
  std::ostringstream unused;
  EXPECT_THAT(OrderedOutput::Open(path, unused, kIgnore),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("line 1 is no answer")));
  EXPECT_EQ(folder.Read("notes"), "my notes\nare dear\nto me\n");
}

TEST(OrderedOutputTest, RefusesAFileThatAnotherRunWrites) {
  const TemporaryFolder folder;
  std::ostringstream unused;
  const auto first = OrderedOutput::Open(folder.Path("out"), unused, kIgnore);
  ASSERT_OK(first);
  EXPECT_THAT(OrderedOutput::Open(folder.Path("out"), unused, kIgnore),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("another run")));
}

TEST(OrderedOutputTest, OldLinesAreReplacedInACopyThatTakesTheFilesPlace) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("out", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
  std::filesystem::permissions(path, std::filesystem::perms(0640));
  std::ostringstream unused;
  const auto output = OrderedOutput::Open(path, unused, kIgnore);
  (*output)->Put(1, "{\"b\":2}");
  (*output)->Put(3, "{\"a\":4}");
  EXPECT_EQ(folder.Read("out"), "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n{\"a\":4}\n");
  EXPECT_OK((*output)->Finish());
  EXPECT_EQ(folder.Read("out"), "{\"a\":1}\n{\"b\":2}\n{\"a\":3}\n{\"a\":4}\n");
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0640));
  const auto files = std::filesystem::directory_iterator(folder.Path(""));
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST(OrderedOutputTest, NamesAPathThatCannotBeWritten) {
  std::ostringstream unused;
  EXPECT_THAT(OrderedOutput::Open("/nowhere/out", unused, kIgnore),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nowhere/out")));
}

TEST(OrderedOutputTest, DevicesHaveNothingToGoOnWith) {
  std::ostringstream unused;
  const auto output = OrderedOutput::Open("/dev/null", unused, kIgnore);
  ASSERT_OK(output);
  EXPECT_EQ((*output)->old_lines(), 0);
  (*output)->Put(0, "{}");
  EXPECT_OK((*output)->Finish());
}

TEST(OrderedOutputTest, AFullDiskIsReported) {
  std::ostringstream unused;
  const auto output = OrderedOutput::Open("/dev/full", unused, kIgnore);
  if (!output.ok()) GTEST_SKIP() << "no /dev/full here";
  (*output)->Put(0, "{}");
  EXPECT_THAT((*output)->Finish(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("/dev/full")));
}

TEST(OrderedOutputTest, AwaitRoomWaitsForTheLinesBefore) {
  std::ostringstream out;
  const auto output = OrderedOutput::Open("-", out, kIgnore);
  std::atomic<bool> started = false, first_written = false;
  std::thread far_ahead([&] {
    started = true;
    (*output)->AwaitRoom(4, 4);
    EXPECT_TRUE(first_written);
    (*output)->Put(4, "e");
  });
  while (!started) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // time to go wrong, none to go right
  for (int i = 3; i > 0; --i) (*output)->Put(i, "x");
  first_written = true;
  (*output)->Put(0, "x");
  far_ahead.join();
  EXPECT_EQ(out.str(), "x\nx\nx\nx\ne\n");
}

TEST(OrderedOutputTest, StopEndsTheWaitForRoom) {
  std::ostringstream out;
  const auto output = OrderedOutput::Open("-", out, kIgnore);
  std::thread far_ahead([&] { (*output)->AwaitRoom(4, 4); });
  (*output)->Stop();
  far_ahead.join();
}

}  // namespace
}  // namespace dyad::client
