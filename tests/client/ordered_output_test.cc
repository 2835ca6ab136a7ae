// Order, going on with a file, and torn ends.
#include "client/ordered_output.h"

#include <fcntl.h>
#include <unistd.h>

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

// A run whose answers are lines, objects with "a".
absl::Status GoOn(OrderedOutput& output, std::vector<std::string>* lines = nullptr) {
  return output.GoOn([lines](std::istream& file) -> absl::StatusOr<OrderedOutput::OldAnswers> {
    OrderedOutput::OldAnswers old;
    for (std::string line; std::getline(file, line) && !file.eof();) {
      if (!line.starts_with("{\"a\":")) return absl::FailedPreconditionError("no answer");
      if (lines != nullptr) lines->push_back(line);
      old.begins.push_back(old.end);
      old.end += static_cast<int64_t>(line.size()) + 1;
    }
    return old;
  });
}

absl::StatusOr<std::unique_ptr<OrderedOutput>> Open(const std::string& path,
                                                    const std::string& input = "") {
  static std::ostringstream unused;
  return OrderedOutput::Open(path, unused, input);
}

TEST(OrderedOutputTest, WritesInOrderWhateverTheOrderOfPut) {
  std::ostringstream out;
  const auto output = OrderedOutput::Open("-", out, "");
  ASSERT_OK(output);
  EXPECT_FALSE((*output)->keeps());
  (*output)->Put(2, "c\n");
  (*output)->Put(1, "b\n");
  EXPECT_EQ(out.str(), "");
  (*output)->Put(0, "a\n");
  EXPECT_EQ(out.str(), "a\nb\nc\n");
  EXPECT_OK((*output)->Finish());
}

// A line without its line feed may lack more than that: {"a":12 of {"a":123}.
TEST(OrderedOutputTest, GoesOnBehindWholeLinesAndCutsATornEnd) {
  const TemporaryFolder folder;
  for (const char* torn : {"", "{", "{\"a\":", "{\"a\":3}", "\xff"}) {
    const std::string path = folder.Write("out", std::string("{\"a\":1}\n{\"a\":2}\n") + torn);
    std::vector<std::string> old;
    const auto output = Open(path);
    ASSERT_OK(output);
    EXPECT_TRUE((*output)->keeps());
    ASSERT_OK(GoOn(**output, &old));
    EXPECT_EQ((*output)->old_answers(), 2);
    EXPECT_FALSE((*output)->empty());
    (*output)->Put(2, "{\"a\":3}\n");
    EXPECT_EQ(folder.Read("out"), "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
    EXPECT_THAT(old, ElementsAre("{\"a\":1}", "{\"a\":2}"));
  }
}

TEST(OrderedOutputTest, TheHeadStandsInFrontOfAllAnswers) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("out", "{\"a\":");
  const auto output = Open(path);
  ASSERT_OK(GoOn(**output));
  EXPECT_EQ(folder.Read("out"), "");
  EXPECT_TRUE((*output)->empty());
  ASSERT_OK((*output)->WriteHead("head\n"));
  EXPECT_FALSE((*output)->empty());
  EXPECT_EQ(folder.Read("out"), "head\n");
  (*output)->Put(0, "{\"a\":1}\n");
  EXPECT_EQ(folder.Read("out"), "head\n{\"a\":1}\n");
}

TEST(OrderedOutputTest, WhatIsNotTheRunsStaysAsItIs) {
  const TemporaryFolder folder;
  for (const std::string& foreign :
       {std::string("my notes\nare dear\nto me\n"), std::string("one line\n"),
        std::string("{\"b\":1}\n"), std::string("\n"), std::string("{\"a\":1}\n{\"b\":1}\n"),
        std::string("{\"a\":1}\nnotes\n"), std::string("{\"a\":1}\n\0\0\n", 11)}) {
    const std::string path = folder.Write("notes", foreign);
    EXPECT_THAT(GoOn(**Open(path)),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(path)))
        << foreign;
    EXPECT_EQ(folder.Read("notes"), foreign);
  }
}

TEST(OrderedOutputTest, TheInputIsNoOutputByWhateverName) {
  const TemporaryFolder folder;
  const std::string input = folder.Write("in", "{\"a\":1}\n");
  std::filesystem::create_hard_link(input, folder.Path("hard"));
  std::filesystem::create_symlink(input, folder.Path("soft"));
  const std::string below = folder.Write("corpus/x.jsonl", "");
  const auto is_refused =
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("is the input"));
  for (const std::string& name :
       {input, folder.Path("hard"), folder.Path("soft"), folder.Path("corpus/../in")}) {
    EXPECT_THAT(Open(name, input), is_refused) << name;
  }
  EXPECT_THAT(Open(below, folder.Path("corpus")), is_refused);
  EXPECT_OK(Open(folder.Path("corpus2"), folder.Path("corpus")));
  EXPECT_OK(Open(folder.Path("copy"), input));
  EXPECT_EQ(folder.Read("in"), "{\"a\":1}\n");

  // Standard input and output, redirected.
  const int stdin_before = dup(STDIN_FILENO), stdout_before = dup(STDOUT_FILENO);
  const int file = open(input.c_str(), O_RDWR);
  dup2(file, STDIN_FILENO);
  const auto from_stdin = Open(folder.Path("soft"), "-");
  dup2(stdin_before, STDIN_FILENO);
  dup2(file, STDOUT_FILENO);
  const auto to_stdout = Open("-", input);
  dup2(stdout_before, STDOUT_FILENO);
  for (const int descriptor : {file, stdin_before, stdout_before}) close(descriptor);
  EXPECT_THAT(from_stdin, is_refused);
  EXPECT_THAT(to_stdout, is_refused);
}

TEST(OrderedOutputTest, RefusesAFileThatAnotherRunWrites) {
  const TemporaryFolder folder;
  const auto first = Open(folder.Path("out"));
  ASSERT_OK(first);
  EXPECT_THAT(Open(folder.Path("out")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("another run")));
}

TEST(OrderedOutputTest, OldAnswersAreReplacedInACopyThatTakesTheFilesPlace) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("out", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
  std::filesystem::permissions(path, std::filesystem::perms(0640));
  const auto output = Open(path);
  ASSERT_OK(GoOn(**output));
  (*output)->Put(1, "{\"b\":2,\n \"longer\":1}\n");
  (*output)->Put(3, "{\"a\":4}\n");
  EXPECT_EQ(folder.Read("out"), "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n{\"a\":4}\n");
  EXPECT_OK((*output)->Finish());
  EXPECT_EQ(folder.Read("out"), "{\"a\":1}\n{\"b\":2,\n \"longer\":1}\n{\"a\":3}\n{\"a\":4}\n");
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0640));
  const auto files = std::filesystem::directory_iterator(folder.Path(""));
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST(OrderedOutputTest, NamesAPathThatCannotBeWritten) {
  EXPECT_THAT(Open("/nowhere/out"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nowhere/out")));
}

TEST(OrderedOutputTest, DevicesHaveNothingToGoOnWith) {
  const auto output = Open("/dev/null");
  ASSERT_OK(output);
  EXPECT_FALSE((*output)->keeps());
  EXPECT_EQ((*output)->old_answers(), 0);
  (*output)->Put(0, "{}\n");
  EXPECT_OK((*output)->Finish());
}

TEST(OrderedOutputTest, AFullDiskIsReported) {
  const auto output = Open("/dev/full");
  if (!output.ok()) GTEST_SKIP() << "no /dev/full here";
  (*output)->Put(0, "{}");
  EXPECT_THAT((*output)->Finish(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("/dev/full")));
}

TEST(OrderedOutputTest, AwaitRoomWaitsForTheLinesBefore) {
  std::ostringstream out;
  const auto output = OrderedOutput::Open("-", out, "");
  std::atomic<bool> started = false, first_written = false;
  std::thread far_ahead([&] {
    started = true;
    (*output)->AwaitRoom(4, 4);
    EXPECT_TRUE(first_written);
    (*output)->Put(4, "e\n");
  });
  while (!started) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // time to go wrong, none to go right
  for (int i = 3; i > 0; --i) (*output)->Put(i, "x\n");
  first_written = true;
  (*output)->Put(0, "x\n");
  far_ahead.join();
  EXPECT_EQ(out.str(), "x\nx\nx\nx\ne\n");
}

TEST(OrderedOutputTest, StopEndsTheWaitForRoom) {
  std::ostringstream out;
  const auto output = OrderedOutput::Open("-", out, "");
  std::thread far_ahead([&] { (*output)->AwaitRoom(4, 4); });
  (*output)->Stop();
  far_ahead.join();
}

}  // namespace
}  // namespace dyad::client
