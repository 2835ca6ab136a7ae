// Zip archives: honest ones in both forms, and bent ones.
#include "server/checkpoint/zip_reader.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/checkpoint/byte_reader.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::BuiltZip;
using ::dyad::testing::HeapBytes;
using ::dyad::testing::Little;
using ::dyad::testing::MakeZip;
using ::dyad::testing::Patch;
using ::dyad::testing::StatusIs;
using ::dyad::testing::ZipForm;
using ::testing::HasSubstr;

const std::vector<dyad::testing::ZipPart>& TwoParts() {
  static const std::vector<dyad::testing::ZipPart> parts = {{"a/one", "first"},
                                                            {"a/two", "second!"}};
  return parts;
}

// Reads a bent copy; only the status is of interest, the bytes end here.
absl::Status ReadBent(const std::string& bytes) {
  return ReadZip(HeapBytes(bytes).view()).status();
}

class ZipFormTest : public ::testing::TestWithParam<ZipForm> {};
INSTANTIATE_TEST_SUITE_P(Both, ZipFormTest, ::testing::Values(ZipForm::kPlain, ZipForm::kZip64));

TEST_P(ZipFormTest, FindsEveryEntry) {
  const HeapBytes bytes(MakeZip(TwoParts(), GetParam()).bytes);
  const auto entries = ReadZip(bytes.view());
  ASSERT_OK(entries);
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ(AsText(entries->at("a/one")), "first");
  EXPECT_EQ(AsText(entries->at("a/two")), "second!");
}

TEST_P(ZipFormTest, ReadsAnEmptyArchiveAndEmptyEntries) {
  const HeapBytes empty(MakeZip({}, GetParam()).bytes);
  const auto none = ReadZip(empty.view());
  ASSERT_OK(none);
  EXPECT_TRUE(none->empty());
  const HeapBytes bytes(MakeZip({{"x", ""}}, GetParam()).bytes);
  const auto entries = ReadZip(bytes.view());
  ASSERT_OK(entries);
  EXPECT_TRUE(entries->at("x").empty());
}

TEST_P(ZipFormTest, RefusesEveryTruncation) {
  const std::string whole = MakeZip(TwoParts(), GetParam()).bytes;
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(ReadBent(whole.substr(0, size)).ok()) << size;
  }
  EXPECT_THAT(ReadBent(whole.substr(0, 40)), StatusIs(kDataLoss, HasSubstr("has no end record")));
}

TEST_P(ZipFormTest, RefusesBytesBeforeOrAfter) {
  const std::string whole = MakeZip(TwoParts(), GetParam()).bytes;
  EXPECT_FALSE(ReadBent("x" + whole).ok());
  EXPECT_FALSE(ReadBent(whole + "x").ok());
}

TEST_P(ZipFormTest, RefusesMoreEntriesThanTheDirectoryHolds) {
  BuiltZip zip = MakeZip(TwoParts(), GetParam());
  const bool wide = GetParam() == ZipForm::kZip64;
  Patch(zip.bytes, wide ? zip.end64 + 32 : zip.end + 10, Little(~uint64_t{0}, wide ? 8 : 2));
  EXPECT_THAT(ReadBent(zip.bytes), StatusIs(kInvalid, HasSubstr("entries, expected at most")));
}

TEST(ZipReaderTest, ACommentAfterTheEndIsFine) {
  BuiltZip zip = MakeZip(TwoParts());
  const std::string comment = "PK\5\6 looks like an end, but is none";
  Patch(zip.bytes, zip.end + 20, Little(comment.size(), 2));
  EXPECT_OK(ReadBent(zip.bytes + comment));
}

TEST(ZipReaderTest, RefusesNamesThatLeaveTheFolder) {
  using namespace std::string_literals;
  for (const std::string& name :
       {"../../evil"s, "/etc/passwd"s, "a/../../b"s, "..\\b"s, "a\0b"s, ""s, ".."s}) {
    EXPECT_THAT(ReadBent(MakeZip({{name, "x"}}).bytes),
                StatusIs(kInvalid, HasSubstr("leaves the archive")))
        << name;
  }
  EXPECT_OK(ReadBent(MakeZip({{"a/..b/c..", "x"}}).bytes));
  EXPECT_THAT(ReadBent(MakeZip({{std::string(2000, 'n'), "x"}}).bytes),
              StatusIs(kInvalid, HasSubstr("2000 bytes, expected at most 1024")));
}

TEST(ZipReaderTest, RefusesTwoEntriesOfOneName) {
  EXPECT_THAT(ReadBent(MakeZip({{"a", "x"}, {"a", "y"}}).bytes),
              StatusIs(kInvalid, HasSubstr("'a' is listed twice")));
}

TEST(ZipReaderTest, RefusesCompressionAndEncryption) {
  BuiltZip zip = MakeZip(TwoParts());
  Patch(zip.bytes, zip.central[1] + 10, Little(8, 2));
  EXPECT_THAT(ReadBent(zip.bytes),
              StatusIs(kInvalid, HasSubstr("'a/two': is compressed (method 8")));
  zip = MakeZip(TwoParts());
  Patch(zip.bytes, zip.local[1] + 8, Little(8, 2));
  EXPECT_THAT(ReadBent(zip.bytes), StatusIs(kInvalid, HasSubstr("no header of a stored entry")));
  zip = MakeZip(TwoParts());
  Patch(zip.bytes, zip.central[0] + 8, Little(1, 2));
  EXPECT_THAT(ReadBent(zip.bytes), StatusIs(kInvalid, HasSubstr("'a/one': is encrypted")));
}

TEST(ZipReaderTest, RefusesSizesThatDisagree) {  // the claim of a zip bomb
  BuiltZip zip = MakeZip(TwoParts());
  Patch(zip.bytes, zip.central[0] + 24, Little(0xfffffff0, 4));
  EXPECT_THAT(ReadBent(zip.bytes), StatusIs(kInvalid, HasSubstr("5 bytes for 4294967280")));
}

TEST(ZipReaderTest, RefusesDataOutsideTheArchive) {
  BuiltZip zip = MakeZip(TwoParts());
  Patch(zip.bytes, zip.central[1] + 20, Little(1'000'000, 4) + Little(1'000'000, 4));
  EXPECT_THAT(ReadBent(zip.bytes),
              StatusIs(kInvalid, HasSubstr("expected them before the directory")));
  zip = MakeZip(TwoParts());
  Patch(zip.bytes, zip.central[1] + 42, Little(0xfffffffe, 4));
  EXPECT_THAT(ReadBent(zip.bytes),
              StatusIs(kInvalid, HasSubstr("expected them before the directory")));
}

TEST(ZipReaderTest, Refuses64BitNumbersThatWrapAround) {
  for (const size_t field : {0u, 8u, 16u}) {  // size, packed size, offset
    BuiltZip zip = MakeZip(TwoParts(), ZipForm::kZip64);
    const size_t extra = zip.central[1] + 46 + std::string_view("a/two").size() + 4;
    Patch(zip.bytes, extra + field, Little(~uint64_t{0} - 3, 8));
    EXPECT_FALSE(ReadBent(zip.bytes).ok()) << field;
  }
  BuiltZip zip = MakeZip(TwoParts(), ZipForm::kZip64);
  Patch(zip.bytes, zip.central[1] + 46 + 5, Little(2, 2));  // another kind of extra field
  EXPECT_THAT(ReadBent(zip.bytes), StatusIs(kInvalid, HasSubstr("has no zip64 field")));
  zip = MakeZip(TwoParts(), ZipForm::kZip64);
  Patch(zip.bytes, zip.end64 + 48, Little(~uint64_t{0} - 10, 8));  // directory's offset
  EXPECT_THAT(ReadBent(zip.bytes), StatusIs(kInvalid, HasSubstr("expected it to end at byte")));
  zip = MakeZip(TwoParts(), ZipForm::kZip64);
  Patch(zip.bytes, zip.end64 + 56 + 8, Little(~uint64_t{0} - 10, 8));  // end record's offset
  EXPECT_THAT(ReadBent(zip.bytes), StatusIs(kInvalid, HasSubstr("zip64 end record is at byte")));
}

TEST(ZipReaderTest, RefusesEntriesThatOverlap) {
  const std::string inner = MakeZip({{"in", "inner"}}).bytes;
  BuiltZip zip = MakeZip({{"out", inner}, {"in", "inner"}});
  ASSERT_OK(ReadBent(zip.bytes));
  // The second record now points to a well-formed header inside the first entry's data.
  Patch(zip.bytes, zip.central[1] + 42, Little(zip.local[0] + 30 + 3, 4));
  EXPECT_THAT(ReadBent(zip.bytes),
              StatusIs(kInvalid, HasSubstr("'in' begins at byte 33, expected at or after")));
}

TEST(ZipReaderTest, RefusesHeadersThatDisagreeOnTheName) {
  BuiltZip zip = MakeZip(TwoParts());
  Patch(zip.bytes, zip.local[0] + 30, "b");
  EXPECT_THAT(ReadBent(zip.bytes),
              StatusIs(kInvalid, HasSubstr("its own header calls it 'b/one'")));
}

TEST(ZipReaderTest, RefusesSeveralDisks) {
  BuiltZip zip = MakeZip(TwoParts());
  Patch(zip.bytes, zip.end + 4, Little(1, 2));
  EXPECT_THAT(ReadBent(zip.bytes), StatusIs(kInvalid, HasSubstr("several disks")));
  zip = MakeZip(TwoParts());
  Patch(zip.bytes, zip.central[0] + 34, Little(7, 2));
  EXPECT_THAT(ReadBent(zip.bytes), StatusIs(kInvalid, HasSubstr("on disk 7")));
}

TEST(ZipReaderTest, RefusesADirectoryWithSomethingAfterItsEntries) {
  BuiltZip zip = MakeZip(TwoParts());
  Patch(zip.bytes, zip.end + 8, Little(1, 2) + Little(1, 2));
  EXPECT_THAT(ReadBent(zip.bytes), StatusIs(kInvalid, HasSubstr("bytes after its last entry")));
}

}  // namespace
}  // namespace dyad
