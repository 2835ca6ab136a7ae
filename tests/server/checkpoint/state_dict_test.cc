// State dicts: plain, wrapped in a training checkpoint, and what is none.
#include "server/checkpoint/state_dict.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::HeapBytes;
using ::dyad::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace pickle = ::dyad::testing::pickle;

const pickle::Tensor kWeight = {.name = "fc1.weight",
                                .type = "HalfStorage",
                                .key = "7",
                                .elements = 10,
                                .offset = 4,
                                .shape = {2, 3},
                                .strides = {3, 1}};

absl::Status ReadState(const std::string& value) {
  return ReadStateDict(HeapBytes(pickle::Whole(value)).view()).status();
}

void ExpectWeight(const std::string& value) {
  const HeapBytes bytes(pickle::Whole(value));
  const auto entries = ReadStateDict(bytes.view());
  ASSERT_OK(entries);
  ASSERT_EQ(entries->size(), 1u);
  const StateDictEntry& entry = entries->front();
  EXPECT_EQ(entry.name, "fc1.weight");
  EXPECT_EQ(entry.storage.type, StoredType::kFloat16);
  EXPECT_EQ(entry.storage.key, "7");
  EXPECT_EQ(entry.storage.elements, 10);
  EXPECT_EQ(entry.offset, 4);
  EXPECT_THAT(entry.shape, ElementsAre(2, 3));
  EXPECT_THAT(entry.strides, ElementsAre(3, 1));
}

TEST(StateDictTest, ReadsAStateDict) { ExpectWeight(pickle::StateDict({kWeight})); }

TEST(StateDictTest, FindsItInATrainingCheckpoint) {
  ExpectWeight("}(" + pickle::String("epoch") + "K\x14" + pickle::String("optimizer") + "}" +
               pickle::String("state_dict") + pickle::StateDict({kWeight}) + "u");
}

TEST(StateDictTest, ReadsAPlainDict) {
  ExpectWeight("}" + pickle::String(kWeight.name) + pickle::Value(kWeight) + "s");
}

TEST(StateDictTest, RefusesATopThatIsNoDict) {
  EXPECT_THAT(ReadState("]"), StatusIs(kInvalid, HasSubstr("holds a list, expected a dict")));
  EXPECT_THAT(ReadState("K\1"), StatusIs(kInvalid, HasSubstr("holds an integer")));
  EXPECT_THAT(ReadState("}" + pickle::String("state_dict") + "]s"),
              StatusIs(kInvalid, HasSubstr("'state_dict' is a list")));
}

// As training scripts save it, beside numbers of their own.
TEST(StateDictTest, TellsWhereTensorsAreLookedFor) {
  for (const char* key : {"model_state_dict", "model"}) {
    EXPECT_THAT(ReadState("}" + pickle::String("epoch") + "K\1s" + pickle::String(key) + "}s"),
                StatusIs(kInvalid, AllOf(HasSubstr("key '" + std::string(key) + "' is a dict"),
                                         HasSubstr("under the key 'state_dict'"))));
  }
}

TEST(StateDictTest, RefusesAnEmptyOne) {
  EXPECT_THAT(ReadState(pickle::StateDict({})),
              StatusIs(kInvalid, HasSubstr("0 entries, expected 1")));
}

TEST(StateDictTest, RefusesWhatIsNoTensorAndNamesIt) {
  EXPECT_THAT(ReadState("}" + pickle::String("step") + "K\1s"),
              StatusIs(kInvalid, HasSubstr("tensor 'step': is an integer, expected a tensor")));
  EXPECT_THAT(ReadState("}K\1" + pickle::Value(kWeight) + "s"),
              StatusIs(kInvalid, HasSubstr("a key that is an integer")));
  EXPECT_THAT(ReadState("}" + pickle::String("a\nb") + pickle::Value(kWeight) + "s"),
              StatusIs(kInvalid, HasSubstr("printable ASCII")));
}

TEST(StateDictTest, RefusesANameTwice) {
  EXPECT_THAT(ReadState(pickle::StateDict({kWeight, kWeight})),
              StatusIs(kInvalid, HasSubstr("'fc1.weight' is there twice")));
}

TEST(StateDictTest, RefusesShapesThatAreNone) {
  pickle::Tensor tensor = kWeight;
  tensor.strides = {1};
  EXPECT_THAT(ReadState(pickle::StateDict({tensor})),
              StatusIs(kInvalid, HasSubstr("1 strides, expected 2")));
  tensor.shape.assign(17, 1);
  tensor.strides.assign(17, 1);
  EXPECT_THAT(
      ReadState(pickle::StateDict({tensor})),
      StatusIs(kInvalid, HasSubstr("'fc1.weight': has 17 dimensions, expected at most 16")));
  const std::string odd = pickle::Global("torch._utils", "_rebuild_tensor_v2") + "(" +
                          pickle::Storage("FloatStorage", "0", 1) + "K\1\x89\x85K\1\x85\x89NtR";
  EXPECT_THAT(ReadState("}" + pickle::String("w") + odd + "s"),
              StatusIs(kInvalid, HasSubstr("a boolean")));
}

TEST(StateDictTest, RefusesMoreTensorsThanTheBound) {
  // One tensor under many names, in portions that the stack holds.
  std::string value = "}" + pickle::String("first") + pickle::Value(kWeight) + "q\1s(";
  for (size_t i = 0; i < kMaxTensors; ++i) {
    value += pickle::String(std::to_string(i)) + "h\1" + (i % 1000 == 999 ? "u(" : "");
  }
  EXPECT_THAT(ReadState(value + "u"),
              StatusIs(kInvalid, HasSubstr("32769 entries, expected 1 to 32768")));
}

}  // namespace
}  // namespace dyad
