// Standard output that cannot be written.
#include "server/base/console.h"

#include <fstream>
#include <sstream>

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

TEST(ConsoleTest, FlushSaysWhetherAllArrived) {
  std::istringstream in;
  std::ostringstream good;
  good << "printed";
  EXPECT_OK(Flush({.in = in, .out = good, .err = good}));
  std::ofstream full("/dev/full");
  full << "printed";
  const Console console = {.in = in, .out = full, .err = good};
  EXPECT_THAT(Flush(console), StatusIs(absl::StatusCode::kResourceExhausted,
                                       HasSubstr("standard output: No space left on device")));
  // Once broken, for good.
  EXPECT_THAT(Flush(console), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("standard output")));
}

}  // namespace
}  // namespace dyad
