// Short words: scan an array for the best pair. Long words: a heap of pairs over a linked list.
#include "server/text/byte_pair_merger.h"

#include <algorithm>
#include <functional>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/base/string_map.h"
#include "server/text/byte_alphabet.h"
#include "server/text/utf8.h"

namespace dyad {
namespace {

// Up to here the scan, quadratic but over a few cache lines, beats the heap.
constexpr size_t kShortWordBytes = 48;

uint64_t Pair(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

// Of the entries of two or more characters. OPT has 3 in 50,000 that no merge makes.
constexpr size_t kOneUnmadeEntryIn = 100;

// Special tokens as vocabularies write them; a file of its own may say so or not.
bool LooksSpecial(const std::string& entry) {
  return (entry.front() == '<' && entry.back() == '>') ||
         (entry.front() == '[' && entry.back() == ']');
}

// A list of merges that was cut short still parses, but words would fall into letters.
absl::Status CheckMergesMakeEntries(const TokenizerSpec& spec) {
  StringSet known;  // made by a merge, or no merge's business
  for (const auto& [left, right] : spec.merges) known.insert(left + right);
  for (const AddedToken& token : spec.added) known.insert(token.content);
  if (spec.unknown.has_value()) known.insert(*spec.unknown);
  size_t entries = 0;
  size_t unmade = 0;
  std::pair<int32_t, std::string> first;
  for (const auto& [entry, id] : spec.vocabulary) {
    const std::optional<std::string> bytes = BytesOfToken(entry);
    if (!bytes.has_value() || bytes->size() < 2 || LooksSpecial(entry)) continue;
    ++entries;
    if (known.contains(entry)) continue;
    if (++unmade == 1 || id < first.first) first = {id, entry};
  }
  if (unmade * kOneUnmadeEntryIn <= entries) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      spec.merges_source, " has ", spec.merges.size(), " merges, and none of them makes ", unmade,
      " of the ", entries, " longer entries of ", spec.vocabulary_source, ", the first of them \"",
      first.second, "\" with id ", first.first, "; at most 1 in ", kOneUnmadeEntryIn,
      " is expected: is the file cut short?"));
}

}  // namespace

absl::StatusOr<BytePairMerger> BytePairMerger::Create(const TokenizerSpec& spec) {
  BytePairMerger merger;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string entry = EncodeUtf8(CharacterOfByte(static_cast<uint8_t>(byte)));
    const auto found = spec.vocabulary.find(entry);
    merger.byte_ids_[byte] = found == spec.vocabulary.end() ? kNoToken : found->second;
  }
  RETURN_IF_ERROR(CheckMergesMakeEntries(spec));
  RETURN_IF_ERROR(merger.AddMerges(spec));
  RETURN_IF_ERROR(merger.AddUnknown(spec));
  merger.AddWholeWords(spec);
  return merger;
}

absl::Status BytePairMerger::AddMerges(const TokenizerSpec& spec) {
  merges_.reserve(spec.merges.size());
  for (size_t rank = 0; rank < spec.merges.size(); ++rank) {
    const auto& [left, right] = spec.merges[rank];
    std::array<int32_t, 3> ids;
    const std::array<std::string, 3> entries = {left, right, left + right};
    for (size_t i = 0; i < entries.size(); ++i) {
      const auto found = spec.vocabulary.find(entries[i]);
      if (found == spec.vocabulary.end()) {
        return absl::InvalidArgumentError(absl::StrCat(
            spec.merges_source, ": merge ", rank, " (\"", left, " ", right,
            "\") needs the entry \"", entries[i], "\", which is not in ", spec.vocabulary_source));
      }
      ids[i] = found->second;
    }
    // Of equal merges the last counts, as in the reference.
    merges_[Pair(ids[0], ids[1])] = {static_cast<uint32_t>(rank), ids[2]};
  }
  return absl::OkStatus();
}

absl::Status BytePairMerger::AddUnknown(const TokenizerSpec& spec) {
  const bool complete = std::find(byte_ids_.begin(), byte_ids_.end(), kNoToken) == byte_ids_.end();
  if (!spec.unknown.has_value() || complete) return absl::OkStatus();
  const auto found = spec.vocabulary.find(*spec.unknown);
  if (found == spec.vocabulary.end()) {
    return absl::InvalidArgumentError(absl::StrCat(spec.vocabulary_source,
                                                   " lacks some bytes and the unknown token \"",
                                                   *spec.unknown, "\" that should stand for them"));
  }
  unknown_id_ = found->second;
  fuse_unknown_ = spec.fuse_unknown;
  return absl::OkStatus();
}

void BytePairMerger::AddWholeWords(const TokenizerSpec& spec) {
  StringMap<int32_t> words;
  words.reserve(spec.vocabulary.size());
  for (const auto& [entry, id] : spec.vocabulary) {
    std::optional<std::string> bytes = BytesOfToken(entry);
    if (!bytes.has_value()) continue;
    if (!spec.whole_words_first) {
      Encoding encoding;
      Append(*bytes, 0, encoding);
      if (encoding.ids != std::vector<int32_t>{id}) continue;
    }
    longest_whole_word_ = std::max(longest_whole_word_, bytes->size());
    words.emplace(*std::move(bytes), id);
  }
  whole_words_ = std::move(words);
}

BytePairMerger::Merge BytePairMerger::Find(int32_t left, int32_t right) const {
  const auto found = merges_.find(Pair(left, right));
  return found == merges_.end() ? Merge{kNoRank, kNoToken} : found->second;
}

size_t BytePairMerger::FirstSymbols(std::string_view word, int32_t offset,
                                    std::span<Symbol> symbols) const {
  size_t count = 0;
  bool after_unknown = false;
  for (size_t i = 0; i < word.size(); ++i) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(word[i])];
    const bool known = id != kNoToken;
    if (known || (unknown_id_ != kNoToken && !(after_unknown && fuse_unknown_))) {
      symbols[count++] = {known ? id : unknown_id_, offset + static_cast<int32_t>(i)};
    }
    after_unknown = !known;
  }
  return count;
}

void BytePairMerger::Append(std::string_view word, int32_t offset, Encoding& encoding) const {
  if (word.size() <= longest_whole_word_) {
    const auto found = whole_words_.find(word);
    if (found != whole_words_.end()) {
      encoding.ids.push_back(found->second);
      encoding.offsets.push_back(offset);
      return;
    }
  }
  if (word.size() <= kShortWordBytes) {
    AppendShort(word, offset, encoding);
  } else {
    AppendLong(word, offset, encoding);
  }
}

void BytePairMerger::AppendShort(std::string_view word, int32_t offset, Encoding& encoding) const {
  std::array<Symbol, kShortWordBytes> symbols;
  std::array<Merge, kShortWordBytes> merges;  // merges[i]: of symbols i and i + 1
  size_t count = FirstSymbols(word, offset, symbols);
  for (size_t i = 0; i + 1 < count; ++i) merges[i] = Find(symbols[i].id, symbols[i + 1].id);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (merges[i].rank < merges[best].rank) best = i;
    }
    if (merges[best].rank == kNoRank) break;
    symbols[best].id = merges[best].id;
    std::copy(symbols.begin() + best + 2, symbols.begin() + count, symbols.begin() + best + 1);
    if (best + 2 < count) {
      std::copy(merges.begin() + best + 2, merges.begin() + count - 1, merges.begin() + best + 1);
    }
    --count;
    if (best > 0) merges[best - 1] = Find(symbols[best - 1].id, symbols[best].id);
    if (best + 1 < count) merges[best] = Find(symbols[best].id, symbols[best + 1].id);
  }
  for (size_t i = 0; i < count; ++i) {
    encoding.ids.push_back(symbols[i].id);
    encoding.offsets.push_back(symbols[i].offset);
  }
}

void BytePairMerger::AppendLong(std::string_view word, int32_t offset, Encoding& encoding) const {
  std::vector<Symbol> symbols(word.size());
  const int32_t count = static_cast<int32_t>(FirstSymbols(word, offset, symbols));
  // A linked list over the symbols, by index; -1 ends it. A merged-away symbol has id kNoToken.
  std::vector<int32_t> next(count);
  std::vector<int32_t> previous(count);
  for (int32_t i = 0; i < count; ++i) {
    previous[i] = i - 1;
    next[i] = i + 1 < count ? i + 1 : -1;
  }
  // rank << 32 | index of the left symbol: the smallest is the most urgent, of equal ones the
  // leftmost.
  std::vector<uint64_t> heap;
  const auto push = [&](int32_t left) {
    const Merge merge = Find(symbols[left].id, symbols[next[left]].id);
    if (merge.rank == kNoRank) return;
    heap.push_back(static_cast<uint64_t>(merge.rank) << 32 | static_cast<uint32_t>(left));
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  for (int32_t i = 0; i + 1 < count; ++i) push(i);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const uint32_t rank = static_cast<uint32_t>(heap.back() >> 32);
    const int32_t left = static_cast<int32_t>(heap.back() & 0xFFFFFFFF);
    heap.pop_back();
    const int32_t right = next[left];
    if (symbols[left].id == kNoToken || right < 0) continue;
    const Merge merge = Find(symbols[left].id, symbols[right].id);
    if (merge.rank != rank) continue;  // the pair that this entry meant is gone
    symbols[left].id = merge.id;
    symbols[right].id = kNoToken;
    next[left] = next[right];
    if (next[left] >= 0) {
      previous[next[left]] = left;
      push(left);
    }
    if (previous[left] >= 0) push(previous[left]);
  }
  for (int32_t i = 0; i >= 0 && i < count; i = next[i]) {
    encoding.ids.push_back(symbols[i].id);
    encoding.offsets.push_back(symbols[i].offset);
  }
}

}  // namespace dyad
