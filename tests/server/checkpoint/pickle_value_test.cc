// Kinds and names of what a pickle may hold.
#include "server/checkpoint/pickle_value.h"

#include "gtest/gtest.h"

namespace dyad {
namespace {

TEST(PickleValueTest, EveryKindHasItsName) {
  EXPECT_EQ(PickleKind(PickleNone{}), "None");
  EXPECT_EQ(PickleKind(true), "a boolean");
  EXPECT_EQ(PickleKind(int64_t{1}), "an integer");
  EXPECT_EQ(PickleKind(1.0), "a number");
  EXPECT_EQ(PickleKind(std::string_view("x")), "a string");
  EXPECT_EQ(PickleKind(PickleTuple{}), "a tuple");
  EXPECT_EQ(PickleKind(PickleList{}), "a list");
  EXPECT_EQ(PickleKind(PickleDict{}), "a dict");
  EXPECT_EQ(PickleKind(PickleStorage{}), "a storage");
  EXPECT_EQ(PickleKind(PickleTensor{}), "a tensor");
  EXPECT_EQ(PickleKind(PickleFunction::kOrderedDict), "a function");
  EXPECT_EQ(PickleKind(PickleStorageType{}), "a storage type");
}

TEST(PickleValueTest, KnowsTheGlobalsOfTensorsAndNoOther) {
  const auto half = FindPickleGlobal("torch", "HalfStorage");
  ASSERT_TRUE(half);
  EXPECT_EQ(std::get<PickleStorageType>(*half).type, StoredType::kFloat16);
  const auto dict = FindPickleGlobal("collections", "OrderedDict");
  ASSERT_TRUE(dict);
  EXPECT_EQ(std::get<PickleFunction>(*dict), PickleFunction::kOrderedDict);
  EXPECT_FALSE(FindPickleGlobal("builtins", "eval"));
  EXPECT_FALSE(FindPickleGlobal("torch", "load"));
  EXPECT_FALSE(FindPickleGlobal("posix", "OrderedDict"));
  EXPECT_FALSE(FindPickleGlobal("collections.OrderedDict", ""));
}

}  // namespace
}  // namespace dyad
