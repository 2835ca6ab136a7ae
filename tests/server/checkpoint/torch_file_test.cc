// Files of torch.save: tensors where they should be, and every way to point somewhere else.
#include "server/checkpoint/torch_file.h"

#include <cstring>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/checkpoint/built_files.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using ::dyad::testing::BuiltZip;
using ::dyad::testing::HeapBytes;
using ::dyad::testing::MakeTorchFile;
using ::dyad::testing::MakeZip;
using ::dyad::testing::StatusIs;
using ::dyad::testing::ZipForm;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace pickle = ::dyad::testing::pickle;

constexpr int64_t kHugeCount = int64_t{1} << 62;

// [3, 4] float32, values 0 to 11.
const pickle::Tensor kTorchWeight = {
    .name = "w", .key = "0", .elements = 12, .shape = {3, 4}, .strides = {4, 1}};

std::string TwelveFloats() {
  std::string bytes;
  for (int i = 0; i < 12; ++i) {
    const auto value = static_cast<float>(i);
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  return bytes;
}

std::string FileOf(const std::vector<pickle::Tensor>& tensors) {
  return MakeTorchFile(pickle::Whole(pickle::StateDict(tensors)), {{"0", TwelveFloats()}});
}

absl::Status ReadTorch(const std::string& file) {
  return ReadTorchFile(HeapBytes(file).view(), "x.bin").status();
}

float At(const StoredTensor& tensor, int64_t row, int64_t column) {
  float value = 0;
  std::memcpy(&value, tensor.data + 4 * (row * tensor.strides[0] + column * tensor.strides[1]), 4);
  return value;
}

TEST(TorchFileTest, FindsTensors) {
  for (const ZipForm form : {ZipForm::kPlain, ZipForm::kZip64}) {
    const HeapBytes bytes(MakeTorchFile(pickle::Whole(pickle::StateDict({kTorchWeight})),
                                        {{"0", TwelveFloats()}}, form));
    const auto tensors = ReadTorchFile(bytes.view(), "x.bin");
    ASSERT_OK(tensors);
    const StoredTensor& w = tensors->at("w");
    EXPECT_EQ(w.type, StoredType::kFloat32);
    EXPECT_EQ(w.file, "x.bin");
    EXPECT_THAT(w.shape, ElementsAre(3, 4));
    EXPECT_TRUE(w.contiguous());
    EXPECT_EQ(At(w, 2, 3), 11);
  }
}

TEST(TorchFileTest, TensorsMayShareAStorageAndBeViews) {
  pickle::Tensor tied = kTorchWeight;
  tied.name = "tied";
  pickle::Tensor view = kTorchWeight;  // columns 1 and 2, transposed
  view.name = "view";
  view.offset = 1;
  view.shape = {2, 3};
  view.strides = {1, 4};
  const HeapBytes bytes(FileOf({kTorchWeight, tied, view}));
  const auto tensors = ReadTorchFile(bytes.view(), "x.bin");
  ASSERT_OK(tensors);
  EXPECT_EQ(tensors->at("w").data, tensors->at("tied").data);
  EXPECT_FALSE(tensors->at("view").contiguous());
  EXPECT_EQ(At(tensors->at("view"), 1, 2), 10);
}

TEST(TorchFileTest, ScalarsAndTensorsWithoutElementsAreTensors) {
  const pickle::Tensor scalar = {.name = "s", .elements = 12, .offset = 11};
  const pickle::Tensor none = {
      .name = "n", .elements = 12, .offset = 12, .shape = {0, 5}, .strides = {5, 1}};
  const HeapBytes bytes(FileOf({scalar, none}));
  const auto tensors = ReadTorchFile(bytes.view(), "x.bin");
  ASSERT_OK(tensors);
  EXPECT_EQ(tensors->at("s").elements(), 1);
  EXPECT_EQ(tensors->at("n").elements(), 0);
}

TEST(TorchFileTest, KnowsEveryStorageType) {
  const std::pair<const char*, StoredType> kTypes[] = {
      {"FloatStorage", StoredType::kFloat32},     {"HalfStorage", StoredType::kFloat16},
      {"BFloat16Storage", StoredType::kBfloat16}, {"DoubleStorage", StoredType::kFloat64},
      {"LongStorage", StoredType::kInt64},        {"IntStorage", StoredType::kInt32},
      {"ShortStorage", StoredType::kInt16},       {"CharStorage", StoredType::kInt8},
      {"ByteStorage", StoredType::kUint8},        {"BoolStorage", StoredType::kBool}};
  for (const auto& [name, type] : kTypes) {
    const HeapBytes bytes(
        FileOf({{.name = "w", .type = name, .elements = 6, .shape = {6}, .strides = {1}}}));
    const auto tensors = ReadTorchFile(bytes.view(), "x.bin");
    ASSERT_OK(tensors);
    EXPECT_EQ(tensors->at("w").type, type);
  }
}

TEST(TorchFileTest, RefusesStoragesThatAreAbsentOrShort) {
  pickle::Tensor tensor = kTorchWeight;
  tensor.key = "1";
  EXPECT_THAT(
      ReadTorch(FileOf({tensor})),
      StatusIs(kInvalid, HasSubstr("'x.bin': tensor 'w': its storage 'archive/data/1' is not")));
  tensor.key = "../data.pkl";
  EXPECT_THAT(ReadTorch(FileOf({tensor})), StatusIs(kInvalid, HasSubstr("is not in the zip")));
  tensor = kTorchWeight;
  tensor.elements = 13;
  EXPECT_THAT(ReadTorch(FileOf({tensor})),
              StatusIs(kDataLoss, HasSubstr("has 48 bytes, expected 13 elements of float32")));
  for (const int64_t count : {int64_t{-1}, kHugeCount, INT64_MAX, INT64_MIN}) {
    tensor.elements = count;
    EXPECT_THAT(ReadTorch(FileOf({tensor})), StatusIs(kDataLoss, HasSubstr("elements of float32")));
  }
}

TEST(TorchFileTest, RefusesShapesBeyondTheStorage) {
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{13, 1}, {-3, -4}, {kHugeCount, 8}, {4, 4}}) {
    pickle::Tensor tensor = kTorchWeight;
    tensor.shape = shape;
    EXPECT_THAT(
        ReadTorch(FileOf({tensor})),
        StatusIs(kInvalid, AllOf(HasSubstr("tensor 'w': shape is ["), HasSubstr("12 elements"))));
  }
}

TEST(TorchFileTest, RefusesAShapeThatRepeatsElements) {  // 12 floats must not become 2^40 of them
  pickle::Tensor tensor = kTorchWeight;
  tensor.shape = {int64_t{1} << 40, 12};
  tensor.strides = {0, 1};
  EXPECT_THAT(ReadTorch(FileOf({tensor})),
              StatusIs(kInvalid, HasSubstr("at most the 12 elements")));
}

TEST(TorchFileTest, RefusesStridesAndOffsetsThatPointOutside) {
  for (const std::vector<int64_t>& strides : {std::vector<int64_t>{5, 1},
                                              {4, 2},
                                              {kHugeCount, 1},
                                              {kHugeCount, kHugeCount},
                                              {INT64_MAX, INT64_MAX}}) {
    pickle::Tensor tensor = kTorchWeight;
    tensor.strides = strides;
    EXPECT_THAT(ReadTorch(FileOf({tensor})),
                StatusIs(kInvalid, HasSubstr("points outside its storage")));
  }
  for (const int64_t offset : {int64_t{1}, kHugeCount, INT64_MAX}) {
    pickle::Tensor tensor = kTorchWeight;
    tensor.offset = offset;
    EXPECT_THAT(ReadTorch(FileOf({tensor})),
                StatusIs(kInvalid, HasSubstr("points outside its storage")));
  }
  pickle::Tensor tensor = kTorchWeight;
  tensor.offset = -1;
  EXPECT_THAT(ReadTorch(FileOf({tensor})), StatusIs(kInvalid, HasSubstr("offset is -1")));
  tensor = kTorchWeight;
  tensor.strides = {4, -1};
  EXPECT_THAT(ReadTorch(FileOf({tensor})), StatusIs(kInvalid, HasSubstr("expected numbers >= 0")));
  tensor = {.name = "n", .elements = 12, .offset = 13, .shape = {0}, .strides = {1}};
  EXPECT_THAT(ReadTorch(FileOf({tensor})), StatusIs(kInvalid, HasSubstr("points outside")));
}

TEST(TorchFileTest, SaysWhatItIsThatIsNoZip) {
  EXPECT_THAT(ReadTorch(std::string("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9", 9)),
              StatusIs(kInvalid, HasSubstr("before PyTorch 1.6")));
  EXPECT_THAT(ReadTorch("version https://git-lfs"),
              StatusIs(kInvalid, HasSubstr("do not begin as a zip")));
  EXPECT_THAT(ReadTorch(""), StatusIs(kInvalid, HasSubstr("has 0 bytes")));
}

TEST(TorchFileTest, ExpectsOneDataPkl) {
  const std::string data_pkl = pickle::Whole(pickle::StateDict({kTorchWeight}));
  EXPECT_THAT(ReadTorch(MakeZip({{"a/other", "x"}}).bytes),
              StatusIs(kInvalid, HasSubstr("no data.pkl")));
  EXPECT_THAT(ReadTorch(MakeZip({{"data.pkl", data_pkl}}).bytes),
              StatusIs(kInvalid, HasSubstr("no data.pkl")));
  EXPECT_THAT(ReadTorch(MakeZip({{"a/data.pkl", data_pkl}, {"b/data.pkl", data_pkl}}).bytes),
              StatusIs(kInvalid, HasSubstr("several data.pkl")));
}

TEST(TorchFileTest, RefusesBigEndianFiles) {
  const BuiltZip zip = MakeZip({{"a/data.pkl", pickle::Whole(pickle::StateDict({kTorchWeight}))},
                                {"a/byteorder", "big"},
                                {"a/data/0", TwelveFloats()}});
  EXPECT_THAT(ReadTorch(zip.bytes), StatusIs(kInvalid, HasSubstr("byteorder is 'big'")));
}

TEST(TorchFileTest, ErrorsOfThePickleNameTheFile) {
  const std::string file = MakeTorchFile(
      pickle::Whole(pickle::Global("os", "system") + pickle::String("x") + "\x85R"), {});
  EXPECT_THAT(ReadTorch(file),
              StatusIs(kInvalid, AllOf(HasSubstr("'x.bin': "), HasSubstr("'os.system'"))));
}

}  // namespace
}  // namespace dyad
