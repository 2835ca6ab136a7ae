// Look-ups in every type, and heads that are the embedding or their own.
#include "server/model/embedding.h"

#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/float16.h"
#include "tests/server/model/loading.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using kernels::ToBfloat16;
using kernels::ToFloat16;
using ::testing::AllOf;
using testing::Applied;
using testing::Eighths;
using testing::FakeCheckpoint;
using ::testing::HasSubstr;
using testing::Loading;
using testing::LookedUp;
using testing::StatusIs;

constexpr TableSize kSize = {10, 6};
const std::vector<int32_t> kIds = {3, 0, 7, 3};

// Rows kIds + offset of [10, 6].
std::vector<float> RowsOf(const std::vector<float>& table, int64_t offset) {
  std::vector<float> rows;
  for (const int32_t id : kIds) {
    const auto first = table.begin() + (id + offset) * 6;
    rows.insert(rows.end(), first, first + 6);
  }
  return rows;
}

TEST(EmbeddingTest, LooksRowsUpInEveryType) {
  FakeCheckpoint checkpoint;
  const std::vector<float> table = Eighths(60, 1);
  checkpoint.Add("model.e", {10, 6}, table);
  for (const WeightDtype dtype :
       {WeightDtype::kAsStored, WeightDtype::kFloat16, WeightDtype::kBfloat16}) {
    Loading loading(checkpoint, LoadPass::kPack, dtype);
    const auto embedding = LoadEmbedding(loading.context, "model.e", kSize);
    ASSERT_OK(embedding);
    EXPECT_EQ(LookedUp(*loading.device, **embedding, kIds, 2, 6), RowsOf(table, 2));
    EXPECT_EQ(loading.context.tally.parameters, 60);
    EXPECT_EQ(loading.context.tally.weight_bytes, dtype == WeightDtype::kAsStored ? 240 : 120);
    EXPECT_EQ(checkpoint.released().back(), &checkpoint.at("model.e"));
  }
}

// Powers of two times 127 in each row make the scale, and the numbers, exact.
std::vector<float> Int8Table() {
  std::vector<float> table;
  for (int row = 0; row < 10; ++row) {
    const float scale = std::ldexp(1.0f, row - 5);
    for (int i = 0; i < 6; ++i)
      table.push_back(scale * static_cast<float>(i == 5 ? 127 : 7 * i - row));
  }
  return table;
}

TEST(EmbeddingTest, Int8HasAScaleForEachRow) {
  FakeCheckpoint checkpoint;
  const std::vector<float> table = Int8Table();
  checkpoint.Add("model.e", {10, 6}, table);
  Loading loading(checkpoint, LoadPass::kPack, WeightDtype::kInt8);
  const auto embedding = LoadEmbedding(loading.context, "model.e", kSize);
  ASSERT_OK(embedding);
  EXPECT_EQ(LookedUp(*loading.device, **embedding, kIds, 2, 6), RowsOf(table, 2));
  EXPECT_EQ(loading.context.tally.weight_bytes, 60 + 40);
  EXPECT_EQ(loading.context.tally.elements.at(kernels::Element::kInt8), 60);
  EXPECT_EQ(checkpoint.released().back(), &checkpoint.at("model.e"));
}

TEST(EmbeddingTest, Int8IsMadeFromEveryStoredType) {
  const std::vector<float> table = Eighths(60, 1);
  std::vector<uint16_t> halves, brains;
  for (const float value : table) {
    halves.push_back(ToFloat16(value));
    brains.push_back(ToBfloat16(value));
  }
  FakeCheckpoint checkpoint;
  checkpoint.Add("model.wide", {10, 6}, table);
  checkpoint.Add("model.half", {10, 6}, halves, StoredType::kFloat16);
  checkpoint.Add("model.brain", {10, 6}, brains, StoredType::kBfloat16);
  std::vector<std::vector<float>> found;
  for (const char* name : {"model.wide", "model.half", "model.brain"}) {
    Loading loading(checkpoint, LoadPass::kPack, WeightDtype::kInt8);
    const auto embedding = LoadEmbedding(loading.context, name, kSize);
    ASSERT_OK(embedding);
    found.push_back(LookedUp(*loading.device, **embedding, kIds, 0, 6));
    for (size_t i = 0; i < found[0].size(); ++i) {
      EXPECT_NEAR(found[0][i], table[kIds[i / 6] * 6 + i % 6], 4.0 / 127 / 2 * 1.001);
    }
  }
  EXPECT_EQ(found[1], found[0]);
  EXPECT_EQ(found[2], found[0]);
}

struct TablesTest : ::testing::Test {
  TablesTest() { checkpoint.Add("model.e", {10, 6}, Eighths(60, 1)); }

  absl::StatusOr<TokenTables> Load(Loading& loading, Head head) {
    return LoadTokenTables(loading.context, {"model.e", "head"}, kSize, head);
  }
  static std::vector<float> Logits(const TokenTables& tables, Loading& loading) {
    return Applied(*loading.device, *tables.head, {0, 1, 2, 3, 4, 5});
  }

  FakeCheckpoint checkpoint;
};

TEST_F(TablesTest, ATiedHeadIsTheEmbedding) {
  Loading loading(checkpoint);
  const auto tables = Load(loading, Head::kTied);
  ASSERT_OK(tables);
  const std::vector<float> table = Eighths(60, 1);
  const std::vector<float> logits = Logits(*tables, loading);
  for (int64_t row = 0; row < 10; ++row) {
    float expected = 0;
    for (int64_t i = 0; i < 6; ++i) expected += table[row * 6 + i] * static_cast<float>(i);
    EXPECT_EQ(logits[row], expected);  // eighths are exact
  }
  EXPECT_EQ(loading.context.tally.parameters, 60);  // counted once
}

// Random weights: equal only if embedding and head round alike.
TEST_F(TablesTest, ATiedHeadOfInt8HoldsTheNumbersOfTheEmbedding) {
  Loading loading(checkpoint, LoadPass::kPack, WeightDtype::kInt8);
  const auto tables = Load(loading, Head::kTied);
  ASSERT_OK(tables);
  const std::vector<int32_t> all = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  const std::vector<float> rows = LookedUp(*loading.device, *tables->embedding, all, 0, 6);
  for (size_t i = 0; i < 6; ++i) {
    std::vector<float> x(6, 0.0f);
    x[i] = 1;
    const std::vector<float> y = Applied(*loading.device, *tables->head, x);
    for (size_t id = 0; id < 10; ++id) EXPECT_EQ(y[id], rows[id * 6 + i]);
  }
}

TEST_F(TablesTest, AStoredEqualHeadIsTakenAndAnotherRefused) {
  checkpoint.Add("head", {10, 6}, Eighths(60, 1));
  {
    Loading loading(checkpoint);
    ASSERT_OK(Load(loading, Head::kTied));
    EXPECT_OK(loading.tensors.RefuseTheRest());
  }
  checkpoint.Add("head", {10, 6}, Eighths(60, 2));
  Loading loading(checkpoint);
  EXPECT_THAT(Load(loading, Head::kTied),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("tensor head differs"), HasSubstr("tie_word_embeddings"))));
}

// As converters leave it that drop what is stored twice.
TEST_F(TablesTest, ATiedMatrixMayBeStoredUnderTheHeadsName) {
  FakeCheckpoint renamed;
  renamed.Add("head", {10, 6}, Eighths(60, 1));
  for (const WeightDtype dtype : {WeightDtype::kAsStored, WeightDtype::kBfloat16,
                                  WeightDtype::kFloat16, WeightDtype::kInt8}) {
    Loading usual(checkpoint, LoadPass::kPack, dtype);
    Loading other(renamed, LoadPass::kPack, dtype);
    const auto expected = Load(usual, Head::kTied);
    const auto tables = Load(other, Head::kTied);
    ASSERT_OK(expected);
    ASSERT_OK(tables);
    EXPECT_EQ(Logits(*tables, other), Logits(*expected, usual));
    const std::vector<int32_t> ids = {0, 3, 9};
    EXPECT_EQ(LookedUp(*other.device, *tables->embedding, ids, 0, 6),
              LookedUp(*usual.device, *expected->embedding, ids, 0, 6));
    EXPECT_EQ(other.context.tally.parameters, 60);
    EXPECT_OK(other.tensors.RefuseTheRest());
  }
  Loading own(renamed);
  EXPECT_THAT(Load(own, Head::kOwn),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("model.e is missing")));
  const FakeCheckpoint empty;
  Loading neither(empty);
  EXPECT_THAT(Load(neither, Head::kTied),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("model.e is missing")));
}

TEST_F(TablesTest, AnOwnHeadIsReadFromItsTensor) {
  Loading without(checkpoint);
  EXPECT_THAT(Load(without, Head::kOwn),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("head is missing")));
  checkpoint.Add("head", {10, 6}, std::vector<float>(60, 1.0f));
  Loading loading(checkpoint);
  const auto tables = Load(loading, Head::kOwn);
  ASSERT_OK(tables);
  EXPECT_EQ(Logits(*tables, loading), std::vector<float>(10, 15.0f));
  EXPECT_EQ(loading.context.tally.parameters, 120);
}

TEST_F(TablesTest, TheCheckingPassReadsNothing) {
  FakeCheckpoint shapes;
  shapes.AddShape("model.e", {10, 6});
  shapes.AddShape("head", {10, 5});
  Loading loading(shapes, LoadPass::kCheck);
  EXPECT_THAT(LoadTokenTables(loading.context, {"model.e", "head"}, kSize, Head::kTied),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("[10, 5]")));
}

}  // namespace
}  // namespace dyad
