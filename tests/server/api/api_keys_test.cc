// Keys that are right, nearly right, and replaced.
#include "server/api/api_keys.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kKey[] = "0123456789abcdef";
constexpr char kOther[] = "another-key-of-this-server";

class ApiKeysTest : public ::testing::Test {
 protected:
  ~ApiKeysTest() override {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  void Write(const std::string& text) const { std::ofstream(path_) << text; }
  LogFunction Log() {
    return [this](LogLevel, const std::string&, const std::vector<LogField>& fields) {
      for (const LogField& field : fields) log_ += std::get<FieldText>(field.value).text + "\n";
    };
  }
  absl::Status Load() { return ApiKeys::Load(path_, Log()).status(); }

  const std::string path_ = absl::StrCat(::testing::TempDir(), "/keys_", getpid());
  std::string log_;
};

TEST_F(ApiKeysTest, OneOfThemIsNeeded) {
  Write(absl::StrCat("# two\n\n", kKey, "\r\n", kOther, "\n"));
  const auto keys = ApiKeys::Load(path_, Log());
  ASSERT_OK(keys);
  for (const std::string key : {kKey, kOther}) {
    EXPECT_OK((*keys)->Check({"Bearer " + key}));
    EXPECT_OK((*keys)->Check({"bEARER " + key}));
  }
  const std::string key = kKey;
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{},
                                             {""},
                                             {"Bearer "},
                                             {"Bearer"},
                                             {key},
                                             {"Basic " + key},
                                             {"Bearer  " + key},
                                             {"Bearer " + key + " "},
                                             {"Bearer " + key.substr(0, 15)},
                                             {"Bearer " + key + "0"},
                                             {"Bearer 0123456789abcdeF"},
                                             {"Bearer # two"},
                                             {"Bearer " + key, "Bearer " + key}}) {
    EXPECT_THAT((*keys)->Check(wrong), StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("")));
  }
}

TEST_F(ApiKeysTest, WithoutAPathThereAreNone) { EXPECT_EQ(*ApiKeys::Load("", Log()), nullptr); }

TEST_F(ApiKeysTest, AFileThatIsNoneIsRefused) {
  EXPECT_THAT(Load(), StatusIs(absl::StatusCode::kNotFound, HasSubstr(path_)));
  for (const std::string text :
       {"", "# none\n", "too-short\n", "0123456789 abcdef\n", "0123456789abcdé0\n"}) {
    Write(text);
    EXPECT_THAT(Load(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(path_))) << text;
  }
  Write(absl::StrCat(kKey, "\n", std::string(513, 'x'), "\n"));
  EXPECT_THAT(Load(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("line 2")));
  EXPECT_THAT(std::string(Load().message()), Not(HasSubstr("xxx")));
}

TEST_F(ApiKeysTest, WhatStandsInTheFilesPlaceIsNamed) {
  std::filesystem::create_directory(path_);
  EXPECT_THAT(Load(), StatusIs(absl::StatusCode::kInvalidArgument,
                               AllOf(HasSubstr(path_), HasSubstr("is not a regular file"))));
  std::filesystem::remove(path_);
  std::filesystem::create_symlink("nowhere", path_);
  EXPECT_THAT(Load(), StatusIs(absl::StatusCode::kNotFound,
                               AllOf(HasSubstr(path_), HasSubstr("a link to"))));
  std::filesystem::remove(path_);
  Write(absl::StrCat(kKey, "\n", std::string(1 << 20, '#')));
  EXPECT_THAT(Load(), StatusIs(absl::StatusCode::kInvalidArgument,
                               AllOf(HasSubstr(path_), HasSubstr("at most 1048576"))));
}

TEST_F(ApiKeysTest, ANewFileHoldsAndABadOneDoesNot) {
  Write(absl::StrCat(kKey, "\n"));
  const auto keys = ApiKeys::Load(path_, Log(), absl::ZeroDuration());
  ASSERT_OK(keys);
  const auto is_key = [&](const std::string& key) {
    return (*keys)->Check({"Bearer " + key}).ok();
  };
  for (const char* bad : {"", "short\n"}) {
    Write(bad);
    EXPECT_TRUE(is_key(kKey));
    EXPECT_THAT(log_, HasSubstr("the keys read before are used"));
  }
  std::filesystem::remove(path_);
  EXPECT_TRUE(is_key(kKey));
  Write(absl::StrCat(kOther, "\n"));
  EXPECT_TRUE(is_key(kOther));
  EXPECT_FALSE(is_key(kKey));
}

TEST_F(ApiKeysTest, TheFileIsLookedAtNowAndThen) {
  Write(absl::StrCat(kKey, "\n"));
  const auto keys = ApiKeys::Load(path_, Log(), absl::Hours(1));
  ASSERT_OK(keys);
  Write(absl::StrCat(kOther, "\n"));
  EXPECT_OK((*keys)->Check({absl::StrCat("Bearer ", kKey)}));
}

}  // namespace
}  // namespace dyad
