// Names of fields.
#include "server/http/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dyad {
namespace {

TEST(FieldsTest, AreFoundWhateverTheCaseOfTheirName) {
  const HttpFields fields = {{"Host", "a"}, {"X-One", "1"}, {"x-one", "2"}};
  EXPECT_EQ(FindField(fields, "x-ONE"), "1");
  EXPECT_EQ(CountFields(fields, "x-ONE"), 2u);
  EXPECT_EQ(FindField(fields, "x-on"), std::nullopt);
  EXPECT_EQ(CountFields({}, "x"), 0u);
  EXPECT_EQ(Lower("ABz-[É"), "abz-[É");
}

TEST(ReasonPhraseTest, EveryStatusThatIsUsedHasOne) {
  for (const int status :
       {200, 204, 400, 401, 404, 405, 408, 413, 414, 415, 417, 421, 429, 431, 500, 501, 503, 504}) {
    EXPECT_NE(ReasonPhrase(status), "Unknown") << status;
  }
}

}  // namespace
}  // namespace dyad
