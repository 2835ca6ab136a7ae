// Merging: hand-made orders, and random vocabularies against a plain definition on both paths
// (words of up to 48 bytes are scanned, longer ones go through a heap).
#include "server/text/byte_pair_merger.h"

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/text/tiny_tokenizer.h"
#include "tests/support/status_matchers.h"

namespace dyad {
namespace {

using testing::Entry;
using ::testing::HasSubstr;
using testing::StatusIs;
using testing::TinySpec;
using Ids = std::vector<int32_t>;

Encoding Merge(const TokenizerSpec& spec, const std::string& word) {
  const absl::StatusOr<BytePairMerger> merger = BytePairMerger::Create(spec);
  EXPECT_OK(merger);
  Encoding encoding;
  if (merger.ok()) merger->Append(word, 0, encoding);
  return encoding;
}

// The definition, as slowly as it reads.
Ids SlowMerge(const TokenizerSpec& spec, const std::string& word) {
  std::vector<std::string> symbols;
  for (const char byte : word) symbols.push_back(Entry(std::string(1, byte)));
  while (true) {
    std::optional<size_t> best;
    size_t best_rank = spec.merges.size();
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto merge =
          std::find(spec.merges.begin(), spec.merges.end(), std::pair(symbols[i], symbols[i + 1]));
      const size_t rank = merge - spec.merges.begin();
      if (rank < best_rank) {
        best = i;
        best_rank = rank;
      }
    }
    if (!best.has_value()) break;
    symbols[*best] += symbols[*best + 1];
    symbols.erase(symbols.begin() + *best + 1);
  }
  Ids ids;
  for (const std::string& symbol : symbols) ids.push_back(spec.vocabulary.at(symbol));
  return ids;
}

TEST(BytePairMergerTest, MergesTheMostUrgentPairFirst) {
  const TokenizerSpec spec = TinySpec();
  EXPECT_EQ(Merge(spec, "hello").ids, (Ids{testing::kHello}));
  EXPECT_EQ(Merge(spec, "hell").ids, (Ids{testing::kHell}));
  EXPECT_EQ(Merge(spec, " world").ids, (Ids{testing::kSpaceWo, 'r', 'l', 'd'}));
  EXPECT_EQ(Merge(spec, "xhellox").ids, (Ids{'x', testing::kHello, 'x'}));
  EXPECT_EQ(Merge(spec, "").ids, (Ids{}));
  EXPECT_EQ(Merge(spec, std::string("\0\xFF", 2)).ids, (Ids{0, 255}));
}

TEST(BytePairMergerTest, OfEqualPairsTheLeftmostIsMerged) {
  const TokenizerSpec spec = TinySpec();
  EXPECT_EQ(Merge(spec, "aaa").ids, (Ids{testing::kAa, 'a'}));
  EXPECT_EQ(Merge(spec, std::string(99, 'a')).ids.size(), 50u);
  EXPECT_EQ(Merge(spec, std::string(99, 'a')).ids.back(), 'a');
}

TEST(BytePairMergerTest, OffsetsCountFromTheOneGiven) {
  const absl::StatusOr<BytePairMerger> merger = BytePairMerger::Create(TinySpec());
  ASSERT_OK(merger);
  Encoding encoding;
  merger->Append(" world", 100, encoding);
  merger->Append("hello", 106, encoding);
  EXPECT_EQ(encoding.offsets, (Ids{100, 103, 104, 105, 106}));
}

TEST(BytePairMergerTest, BothPathsEqualTheDefinitionOnRandomVocabularies) {
  std::mt19937 random(3);
  for (int round = 0; round < 12; ++round) {
    TokenizerSpec spec = TinySpec();
    for (const auto& [left, right] : spec.merges) spec.vocabulary.erase(left + right);
    spec.vocabulary.erase("<end>");
    spec.merges.clear();
    std::vector<std::string> entries = {"a", "b", "c", "d"};
    for (int i = 0; i < 40; ++i) {
      const std::string left = entries[random() % entries.size()];
      const std::string right = entries[random() % entries.size()];
      if ((left + right).size() > 12) continue;
      if (spec.vocabulary.contains(left + right)) continue;
      const int32_t id = static_cast<int32_t>(spec.vocabulary.size());
      spec.vocabulary[left + right] = id;
      spec.merges.emplace_back(left, right);
      entries.push_back(left + right);
    }
    std::shuffle(spec.merges.begin(), spec.merges.end(), random);
    const absl::StatusOr<BytePairMerger> merger = BytePairMerger::Create(spec);
    ASSERT_OK(merger);
    for (const size_t length : {1, 2, 3, 7, 20, 47, 48, 49, 50, 90}) {
      for (int i = 0; i < 6; ++i) {
        std::string word(length, 'a');
        for (char& c : word) c = static_cast<char>('a' + random() % 4);
        Encoding encoding;
        merger->Append(word, 0, encoding);
        ASSERT_EQ(encoding.ids, SlowMerge(spec, word)) << word;
        size_t offset = 0;
        for (size_t t = 0; t < encoding.ids.size(); ++t) {
          ASSERT_EQ(encoding.offsets[t], static_cast<int32_t>(offset));
          for (const auto& [entry, id] : spec.vocabulary) {
            if (id == encoding.ids[t]) offset += entry.size();
          }
        }
        ASSERT_EQ(offset, word.size());
      }
    }
  }
}

TEST(BytePairMergerTest, AWordOfAMegabyteIsMerged) {
  const Encoding encoding = Merge(TinySpec(), std::string(1 << 20, 'a'));
  EXPECT_EQ(encoding.ids, Ids(1 << 19, testing::kAa));
}

// All pairs of ten letters: entries 256 ... 355, each made by its merge.
TokenizerSpec SpecOfPairs() {
  TokenizerSpec spec = TinySpec();
  for (const auto& [left, right] : spec.merges) spec.vocabulary.erase(left + right);
  spec.vocabulary.erase("<end>");
  spec.merges.clear();
  for (const char left : std::string("ABCDEFGHIJ")) {
    for (const char right : std::string("ABCDEFGHIJ")) {
      spec.merges.emplace_back(std::string(1, left), std::string(1, right));
      const int32_t id = static_cast<int32_t>(spec.vocabulary.size());
      spec.vocabulary[std::string{left, right}] = id;
    }
  }
  return spec;
}

TEST(BytePairMergerTest, EntriesThatNoMergeMakesAreToleratedUpToOneInAHundred) {
  TokenizerSpec spec = SpecOfPairs();
  spec.merges.pop_back();
  EXPECT_OK(BytePairMerger::Create(spec));
  spec.merges.erase(spec.merges.begin() + 3);
  EXPECT_THAT(
      BytePairMerger::Create(spec),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("merges of the test has 98 merges, and none of them makes 2 of the "
                         "100 longer entries of vocabulary of the test, the first of them "
                         "\"AD\" with id 259; at most 1 in 100")));
  spec.added.push_back(testing::MakeAdded("AD", 259));
  EXPECT_OK(BytePairMerger::Create(spec));
}

TEST(BytePairMergerTest, BytesAndSpecialTokensNeedNoMerge) {
  TokenizerSpec spec = SpecOfPairs();
  int32_t id = 1000;
  for (const char* entry : {"<pad>", "<s>", "</s>", "[MASK]", "\u4f60\u597d"}) {
    spec.vocabulary[entry] = ++id;
  }
  spec.vocabulary["unknown"] = ++id;
  spec.unknown = "unknown";
  EXPECT_OK(BytePairMerger::Create(spec));
}

TEST(BytePairMergerTest, AnEntryThatMergesDoNotReachIsNotUsedUnlessAskedFor) {
  TokenizerSpec spec = SpecOfPairs();
  spec.vocabulary["xy"] = 1000;
  EXPECT_EQ(Merge(spec, "xy").ids, (Ids{'x', 'y'}));
  spec.whole_words_first = true;
  EXPECT_EQ(Merge(spec, "xy").ids, (Ids{1000}));
}

TEST(BytePairMergerTest, BytesThatTheVocabularyLacksBecomeUnknownOrVanish) {
  TokenizerSpec spec = TinySpec();
  spec.vocabulary.erase("x");
  spec.vocabulary.erase("y");
  EXPECT_EQ(Merge(spec, "axyb").ids, (Ids{'a', 'b'}));
  EXPECT_EQ(Merge(spec, "axyb").offsets, (Ids{0, 3}));
  spec.unknown = "<end>";
  EXPECT_EQ(Merge(spec, "axyb").ids, (Ids{'a', testing::kEnd, testing::kEnd, 'b'}));
  spec.fuse_unknown = true;
  EXPECT_EQ(Merge(spec, "axybx").ids, (Ids{'a', testing::kEnd, 'b', testing::kEnd}));
  spec.unknown = "<none>";
  EXPECT_THAT(BytePairMerger::Create(spec),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"<none>\"")));
}

TEST(BytePairMergerTest, AnUnknownTokenThatIsNeverNeededMayBeAbsent) {
  TokenizerSpec spec = TinySpec();
  spec.unknown = "<none>";
  EXPECT_OK(BytePairMerger::Create(spec));
}

TEST(BytePairMergerTest, AMergeOfWhatIsNotThereIsRefused) {
  for (const auto& [left, right, missing] : std::vector<std::array<std::string, 3>>{
           {"zz", "a", "zz"}, {"a", "zz", "zz"}, {"y", "z", "yz"}}) {
    TokenizerSpec spec = TinySpec();
    spec.merges.emplace_back(left, right);
    EXPECT_THAT(BytePairMerger::Create(spec),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         ::testing::AllOf(HasSubstr("merges of the test: merge 7"),
                                          HasSubstr("\"" + missing + "\""))));
  }
}

}  // namespace
}  // namespace dyad
