// Pickles, one operation at a time: what torch.save writes is understood, all else is refused.
#include "server/checkpoint/pickle_machine.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::HeapBytes;
using ::dyad::testing::Little;
using ::dyad::testing::StatusIs;
using ::testing::HasSubstr;
using namespace std::string_literals;
namespace pickle = ::dyad::testing::pickle;

absl::Status Interpret(const std::string& operations) {
  return RunPickle(HeapBytes(pickle::Whole(operations)).view()).status();
}

// Runs operations that end with one value and keeps the bytes for it.
struct Ran {
  explicit Ran(const std::string& operations)
      : bytes(pickle::Whole(operations)), objects(RunPickle(bytes.view())) {}
  HeapBytes bytes;
  absl::StatusOr<PickleObjects> objects;
};

int64_t IntegerOf(const std::string& operations) {
  const Ran ran(operations);
  EXPECT_OK(ran.objects);
  const auto* value = ran.objects.ok() ? std::get_if<int64_t>(&ran.objects->root) : nullptr;
  EXPECT_NE(value, nullptr);
  return value == nullptr ? 0 : *value;
}

TEST(PickleMachineTest, ReadsIntegersOfEveryForm) {
  EXPECT_EQ(IntegerOf("K\xff"), 255);
  EXPECT_EQ(IntegerOf("M\xff\xff"), 65535);
  EXPECT_EQ(IntegerOf("J\xfe\xff\xff\xff"), -2);
  EXPECT_EQ(IntegerOf("\x8a\0"s), 0);
  EXPECT_EQ(IntegerOf("\x8a\x01\xff"), -1);
  EXPECT_EQ(IntegerOf("\x8a\x05\0\0\0\0\x01"s), int64_t{1} << 32);
  EXPECT_EQ(IntegerOf(pickle::Integer(INT64_MIN)), INT64_MIN);
  EXPECT_THAT(Interpret("\x8a\x09" + std::string(9, 'x')),
              StatusIs(kInvalid, HasSubstr("of 9 bytes")));
}

TEST(PickleMachineTest, ReadsScalars) {
  const Ran number("G\x3f\xf8\0\0\0\0\0\0"s);
  ASSERT_OK(number.objects);
  EXPECT_EQ(std::get<double>(number.objects->root), 1.5);
  const Ran text("\x8c\x02hi");
  ASSERT_OK(text.objects);
  EXPECT_EQ(std::get<std::string_view>(text.objects->root), "hi");
  EXPECT_OK(Interpret("N"));
  EXPECT_OK(Interpret("\x88"));
}

TEST(PickleMachineTest, BuildsContainers) {
  const Ran ran("](K\1K\2eK\3a");
  ASSERT_OK(ran.objects);
  const auto list = ran.objects->elements(std::get<PickleList>(ran.objects->root));
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(std::get<int64_t>(list[2]), 3);
  const Ran tuple("K\1K\2K\3\x87");
  ASSERT_OK(tuple.objects);
  EXPECT_EQ(tuple.objects->elements(std::get<PickleTuple>(tuple.objects->root)).size(), 3u);
}

TEST(PickleMachineTest, ReadsProtocol4WithFramesMemoAndStackGlobals) {
  std::string whole = "\x80\x04\x95" + Little(42, 8);
  whole +=
      "\x8c\x0b"
      "collections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94(\x8c\x01kK\x07u.";
  whole.replace(3, 8, Little(whole.size() - 11, 8));
  const HeapBytes bytes(whole);
  const auto objects = RunPickle(bytes.view());
  ASSERT_OK(objects);
  const auto dict = objects->elements(std::get<PickleDict>(objects->root));
  ASSERT_EQ(dict.size(), 2u);
  EXPECT_EQ(std::get<std::string_view>(dict[0]), "k");
}

TEST(PickleMachineTest, ParametersAreTheirTensors) {
  const pickle::Tensor tensor{.name = "w", .shape = {2}, .strides = {1}};
  const Ran ran(pickle::Global("torch._utils", "_rebuild_parameter") + "(" + pickle::Value(tensor) +
                "\x88" + pickle::Global("collections", "OrderedDict") + ")RtR");
  ASSERT_OK(ran.objects);
  EXPECT_TRUE(std::holds_alternative<PickleTensor>(ran.objects->root));
}

TEST(PickleMachineTest, AttributesOfADictAreDropped) {
  EXPECT_OK(Interpret(pickle::StateDict({})));
  EXPECT_THAT(Interpret("]}b"), StatusIs(kInvalid, HasSubstr("sets attributes of a list")));
}

TEST(PickleMachineTest, RefusesEveryOtherGlobal) {
  const std::pair<const char*, const char*> kGlobals[] = {{"posix", "system"},
                                                          {"builtins", "eval"},
                                                          {"torch", "load"},
                                                          {"collections", "Counter"},
                                                          {"torch", "FloatTensor"},
                                                          {"os", "OrderedDict"},
                                                          {"torch._utils", "_rebuild_tensor"}};
  for (const auto& [module, name] : kGlobals) {
    const std::string quoted = std::string("'") + module + "." + name + "'";
    EXPECT_THAT(Interpret(pickle::Global(module, name) + pickle::String("x") + "\x85R"),
                StatusIs(kInvalid, HasSubstr(quoted)));
    EXPECT_THAT(Interpret(pickle::String(module) + pickle::String(name) + "\x93"),
                StatusIs(kInvalid, HasSubstr(quoted)));
  }
  EXPECT_THAT(Interpret("K\1K\2\x93"), StatusIs(kInvalid, HasSubstr("expected strings")));
}

TEST(PickleMachineTest, RefusesEveryOperationThatIsNotListed) {
  const std::string allowed =
      "\x95(N\x88\x89JKM\x8aG\x8cX)t\x85\x86\x87]ae}suqr\x94hj"
      "c\x93RbQ.";
  for (int operation = 0; operation < 256; ++operation) {
    if (allowed.find(static_cast<char>(operation)) != allowed.npos) continue;
    EXPECT_THAT(Interpret(std::string(1, static_cast<char>(operation))),
                StatusIs(kInvalid, HasSubstr("uses operation 0x")))
        << operation;
  }
}

TEST(PickleMachineTest, RefusesOtherProtocols) {
  for (const std::string& start :
       {std::string("\x80\x06"), std::string("\x80\x01"), std::string("]N")}) {
    EXPECT_THAT(RunPickle(HeapBytes(start + "N.").view()),
                StatusIs(kInvalid, HasSubstr("protocol 2 to 5")));
  }
}

TEST(PickleMachineTest, RefusesEveryTruncation) {
  const std::string whole =
      pickle::Whole(pickle::StateDict({{.name = "w", .shape = {2, 3}, .strides = {3, 1}}}));
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(RunPickle(HeapBytes(whole.substr(0, size)).view()),
                StatusIs(kDataLoss, HasSubstr("pickle ends inside the operation at byte")))
        << size;
  }
  EXPECT_THAT(RunPickle(HeapBytes(whole + "x").view()),
              StatusIs(kInvalid, HasSubstr("after its STOP")));
}

TEST(PickleMachineTest, LengthsAreCheckedBeforeUse) {
  EXPECT_THAT(Interpret("X" + Little(0xffffffff, 4)),
              StatusIs(kDataLoss, HasSubstr("ends inside")));
  EXPECT_THAT(Interpret("\x95" + Little(~uint64_t{0}, 8)),
              StatusIs(kDataLoss, HasSubstr("ends inside")));
}

TEST(PickleMachineTest, RefusesToTakeWhatIsNotOnTheStack) {
  for (const char* operations :
       {"a",  "K\1a", "s", "}K\1s", "u",    "e",        "t",   "\x85",  "\x87",   "R",
        ")R", "b",    "Q", "q\1",   "\x94", "K\1(\x85", "](s", "K\1(e", "}(K\1u", "K\1K\2(t\x85"}) {
    EXPECT_THAT(Interpret(operations), StatusIs(kInvalid, HasSubstr(""))) << operations;
  }
}

TEST(PickleMachineTest, RefusesToReachBelowAMark) {
  EXPECT_THAT(Interpret("K\1(q\1t\x86"), StatusIs(kInvalid, HasSubstr("from an empty stack")));
  EXPECT_THAT(Interpret("K\1(\x85t\x86"), StatusIs(kInvalid, HasSubstr("from a smaller stack")));
}

TEST(PickleMachineTest, RefusesMemoThatWasNotSet) {
  EXPECT_THAT(Interpret("h\x05"), StatusIs(kInvalid, HasSubstr("refers to memo 5")));
  EXPECT_THAT(Interpret("j" + Little(0xffffffff, 4)),
              StatusIs(kInvalid, HasSubstr("memo 4294967295")));
}

TEST(PickleMachineTest, HugeMemoIndicesTakeNoMemory) {
  EXPECT_EQ(IntegerOf("K\7r" + Little(0xffffffff, 4)), 7);
  EXPECT_OK(Interpret("K\7r" + Little(0xffffffff, 4) + "j" + Little(0xffffffff, 4) + "\x86"));
}

TEST(PickleMachineTest, DictsThatHoldThemselvesAreHarmless) {
  EXPECT_OK(Interpret("}q\1" + pickle::String("self") + "h\1s"));
  EXPECT_OK(Interpret("]q\1h\1a"));
}

TEST(PickleMachineTest, RepeatedDoublingStaysSmall) {  // the pickle form of a billion laughs
  std::string operations = "]";
  for (int i = 0; i < 100; ++i) operations += "q\1h\1\x86";  // (previous, previous)
  EXPECT_OK(Interpret(operations));
}

TEST(PickleMachineTest, OperationsStackAndNestingAreBounded) {
  EXPECT_THAT(Interpret(std::string(kMaxPickleStack + 2, 'N')),
              StatusIs(kInvalid, HasSubstr("on its stack")));
  EXPECT_THAT(Interpret(std::string(kMaxPickleMarks + 1, '(')),
              StatusIs(kInvalid, HasSubstr("nests deeper")));
  std::string many = "]";
  for (size_t i = 0; i < kMaxPickleOperations; ++i) many += "q\1";
  EXPECT_THAT(Interpret(many), StatusIs(kInvalid, HasSubstr("operations, expected less")));
}

TEST(PickleMachineTest, RefusesCallsWithOtherArguments) {
  const std::string ordered = pickle::Global("collections", "OrderedDict");
  const std::string rebuild = pickle::Global("torch._utils", "_rebuild_tensor_v2");
  const std::string storage = pickle::Storage("FloatStorage", "0", 1);
  EXPECT_THAT(Interpret(ordered + "K\1\x85R"), StatusIs(kInvalid, HasSubstr("expected none")));
  EXPECT_THAT(Interpret(ordered + "K\1R"),
              StatusIs(kInvalid, HasSubstr("a function with an integer")));
  EXPECT_THAT(Interpret("K\1)R"), StatusIs(kInvalid, HasSubstr("calls an integer")));
  EXPECT_THAT(Interpret(rebuild + ")R"), StatusIs(kInvalid, HasSubstr("_rebuild_tensor_v2")));
  EXPECT_THAT(Interpret(rebuild + "(" + storage + "NNNNNtR"),
              StatusIs(kInvalid, HasSubstr("two tuples")));
  EXPECT_THAT(Interpret(rebuild + "(NK\0))\x89NtR"s),
              StatusIs(kInvalid, HasSubstr("expected a storage")));
  EXPECT_THAT(Interpret(pickle::Global("torch._utils", "_rebuild_parameter") + "(NNNtR"),
              StatusIs(kInvalid, HasSubstr("_rebuild_parameter")));
}

TEST(PickleMachineTest, RefusesOtherPersistentIds) {
  EXPECT_OK(Interpret(pickle::Storage("FloatStorage", "0", 1)));
  for (const std::string& id :
       {std::string("K\1"), std::string(")"), std::string("(NNNNNt"),
        "(" + pickle::String("module") + pickle::Global("torch", "FloatStorage") +
            pickle::String("0") + pickle::String("cpu") + "K\1t"}) {
    EXPECT_THAT(Interpret(id + "Q"), StatusIs(kInvalid, HasSubstr("persistent id")));
  }
}

}  // namespace
}  // namespace dyad
