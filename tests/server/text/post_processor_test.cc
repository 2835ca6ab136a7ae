// Post-processors: which ids they put before and after a text, and which are refused.
#include "server/text/post_processor.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::StatusIs;
using Ids = std::vector<int32_t>;

absl::StatusOr<TokenizerSpec> Read(const std::string& text) {
  const json part = json::parse(text);
  TokenizerSpec spec;
  const absl::Status status = ReadPostProcessor(JsonValue(part, "t.json: post_processor"), spec);
  if (!status.ok()) return status;
  return spec;
}

TEST(PostProcessorTest, NoneAndByteLevelAddNothing) {
  for (const char* text : {"null", R"({"type": "ByteLevel", "trim_offsets": true})",
                           R"({"type": "Sequence", "processors": []})"}) {
    const absl::StatusOr<TokenizerSpec> spec = Read(text);
    ASSERT_OK(spec);
    EXPECT_FALSE(spec->has_template);
    EXPECT_TRUE(spec->frame_before.empty() && spec->frame_after.empty());
  }
}

TEST(PostProcessorTest, ATemplateFramesTheText) {
  const absl::StatusOr<TokenizerSpec> spec = Read(R"({
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<b>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
               {"SpecialToken": {"id": "<e>", "type_id": 0}}, {"SpecialToken": {"id": "<b>"}}],
    "pair": [],
    "special_tokens": {"<b>": {"id": "<b>", "ids": [2, 3], "tokens": ["x", "y"]},
                       "<e>": {"id": "<e>", "ids": [7], "tokens": ["z"]}}})");
  ASSERT_OK(spec);
  EXPECT_TRUE(spec->has_template);
  EXPECT_EQ(spec->frame_before, (Ids{2, 3}));
  EXPECT_EQ(spec->frame_after, (Ids{7, 2, 3}));
}

TEST(PostProcessorTest, RobertaAndBertFrameTheText) {
  for (const char* type : {"RobertaProcessing", "BertProcessing"}) {
    const absl::StatusOr<TokenizerSpec> spec =
        Read(std::string(R"({"sep": ["</s>", 2], "cls": ["<s>", 0], "type": ")") + type + "\"}");
    ASSERT_OK(spec);
    EXPECT_EQ(spec->frame_before, (Ids{0}));
    EXPECT_EQ(spec->frame_after, (Ids{2}));
  }
}

constexpr char kTemplate[] =
    R"({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}], "special_tokens": {}})";

TEST(PostProcessorTest, ASequenceHasAtMostOneFrame) {
  const std::string one(kTemplate);
  const absl::StatusOr<TokenizerSpec> spec =
      Read(R"({"type": "Sequence", "processors": [{"type": "ByteLevel"}, )" + one + "]}");
  ASSERT_OK(spec);
  EXPECT_TRUE(spec->has_template);
  EXPECT_THAT(Read(R"({"type": "Sequence", "processors": [)" + one + "," + one + "]}"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at most one frame")));
}

struct Refused {
  const char* text;
  const char* message;
};

TEST(PostProcessorTest, AFrameIsBounded) {
  json part = json::parse(kTemplate);
  part["special_tokens"]["x"] = {{"ids", {1, 2, 3, 4}}};
  for (int i = 0; i < 4; ++i) part["single"].push_back({{"SpecialToken", {{"id", "x"}}}});
  EXPECT_OK(Read(part.dump()));
  part["single"].push_back({{"SpecialToken", {{"id", "x"}}}});
  EXPECT_THAT(Read(part.dump()), StatusIs(absl::StatusCode::kInvalidArgument,
                                          HasSubstr("at most 16 tokens on each side")));
}

TEST(PostProcessorTest, OthersAreRefusedByNameAndWrongPartsByPlace) {
  const Refused cases[] = {
      {R"({"type": "Whatever"})", "post_processor.type is \"Whatever\""},
      {R"({})", "post_processor.type is absent"},
      {R"(3)", "post_processor.type is absent"},
      {R"({"type": "Sequence"})", "processors"},
      {R"({"type": "TemplateProcessing"})", "post_processor.single is absent"},
      {R"({"type": "TemplateProcessing", "single": []})", "holds the sequence \"A\""},
      {R"({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "B"}}]})", "\"A\", once"},
      {R"({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}, {"Sequence": {"id": "A"}}]})",
       "\"A\", once"},
      {R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<b>"}}]})",
       "post_processor.special_tokens.<b>.ids is absent"},
      {R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "b"}}],
           "special_tokens": {"b": {"ids": [-5]}}})",
       "ids[0] is -5"},
      {R"({"type": "TemplateProcessing", "single": [7]})", "single[0].SpecialToken.id"},
      {R"({"type": "RobertaProcessing", "cls": ["<s>", 0]})", "post_processor.sep is absent"},
      {R"({"type": "RobertaProcessing", "cls": ["<s>"], "sep": ["<s>", 0]})", "cls"},
  };
  for (const Refused& refused : cases) {
    EXPECT_THAT(Read(refused.text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(refused.message)))
        << refused.text;
  }
}

}  // namespace
}  // namespace dyad
