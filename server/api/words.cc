// Words by one pass over the text; tokens by one pass over their first bytes that are not blank.
#include "server/api/words.h"

#include <algorithm>
#include <iterator>

#include "server/text/character_class.h"
#include "server/text/utf8.h"

namespace dyad {
namespace {

enum class Kind { kBlank, kWord, kMark, kOther };

// WHITESPACE goes by Unicode, PUNCTUATION by Python's pattern.
bool IsBlank(char32_t c, v1::WordSplit split) {
  return split == v1::WORD_SPLIT_PUNCTUATION ? IsPythonSpace(c)
                                             : ClassOf(c) == CharacterClass::kSpace;
}

Kind KindOf(char32_t c, v1::WordSplit split) {
  if (IsBlank(c, split)) return Kind::kBlank;
  if (split != v1::WORD_SPLIT_PUNCTUATION) return Kind::kWord;
  const CharacterClass of = ClassOf(c);
  if (of == CharacterClass::kLetter || of == CharacterClass::kNumber || c == '_' || c == '\'') {
    return Kind::kWord;
  }
  const bool is_mark = c == '.' || c == ',' || c == '!' || c == '?' || c == ';';
  return is_mark ? Kind::kMark : Kind::kOther;
}

// A token as words see it, in bytes of the text fed.
struct Place {
  int32_t begin = 0;
  int32_t head = 0;  // its first byte that is not blank; `end` if there is none
  int32_t end = 0;

  bool is_empty() const { return begin == end; }
};

std::vector<Place> PlacesOf(const FedText& fed, v1::WordSplit split) {
  // Of each byte the next one, itself or later, of a character that is not blank.
  const auto size = static_cast<int32_t>(fed.text.size());
  std::vector<int32_t> next(fed.text.size() + 1, size);
  for (size_t i = 0; i < fed.text.size();) {
    const Utf8Char c = CharAt(fed.text, i);
    for (int b = 0; b < c.length; ++b, ++i) {
      next[i] = IsBlank(c.code_point, split) ? -1 : static_cast<int32_t>(i);
    }
  }
  for (int32_t i = size - 1; i >= 0; --i) {
    if (next[static_cast<size_t>(i)] < 0)
      next[static_cast<size_t>(i)] = next[static_cast<size_t>(i) + 1];
  }
  std::vector<Place> places;
  places.reserve(fed.offsets.size());
  for (size_t t = 0; t < fed.offsets.size(); ++t) {
    const int32_t begin = fed.offsets[t];
    const int32_t end = t + 1 < fed.offsets.size() ? fed.offsets[t + 1] : size;
    places.push_back({begin, std::min(end, next[static_cast<size_t>(begin)]), end});
  }
  return places;
}

// The tokens from `from` on that `place_of` puts within the bytes; they follow each other.
template <typename PlaceOf>
TokenSpan Gather(std::span<const Place> places, ByteSpan own, int32_t own_begin, size_t from,
                 const PlaceOf& place_of) {
  const int32_t begin = own.begin + own_begin, end = own.end + own_begin;
  TokenSpan span = {.bytes = own};
  for (size_t t = from; t < places.size() && places[t].begin < end; ++t) {
    const std::optional<int32_t> at = place_of(places[t]);
    if (!at.has_value() || *at < begin || *at >= end) continue;
    if (span.tokens == 0) span.first_token = static_cast<int32_t>(t);
    span.tokens = static_cast<int32_t>(t) - span.first_token + 1;
    if (places[t].end > end) ++span.shared_tokens;
  }
  return span;
}

// Where a token of something more than blanks belongs.
std::optional<int32_t> HeadOf(const Place& place) {
  return place.head < place.end ? std::optional(place.head) : std::nullopt;
}
std::optional<int32_t> HeadOrBeginOf(const Place& place) {
  if (place.is_empty()) return std::nullopt;
  return place.head < place.end ? place.head : place.begin;
}

bool BeginsWord(int32_t id, std::span<const uint8_t> id_sets) {
  return (id_sets[static_cast<size_t>(id)] & kBeginsWord) != 0;
}

// Whether the place in front of this token is one where the text's first word begins with a token
// that continues one.
bool BeginsInsideWord(const WordPlan& plan, std::span<const int32_t> ids,
                      std::span<const uint8_t> id_sets, int32_t token) {
  return plan.correction == v1::WORD_CORRECTION_PIMENTEL_MEISTER && !plan.words.empty() &&
         plan.words.front().tokens > 0 && plan.words.front().first_token == token &&
         !BeginsWord(ids[static_cast<size_t>(token)], id_sets);
}

}  // namespace

std::vector<ByteSpan> SplitWords(std::string_view text, v1::WordSplit split) {
  std::vector<ByteSpan> words;
  Kind last = Kind::kBlank;
  for (size_t i = 0; i < text.size();) {
    const Utf8Char c = CharAt(text, i);
    const Kind kind = KindOf(c.code_point, split);
    const auto end = static_cast<int32_t>(i) + c.length;
    if (kind == last && kind != Kind::kBlank && kind != Kind::kMark) {
      words.back().end = end;
    } else if (kind != Kind::kBlank) {
      words.push_back({static_cast<int32_t>(i), end});
    }
    last = kind;
    i += static_cast<size_t>(c.length);
  }
  return words;
}

std::vector<TokenSpan> WordsOf(const FedText& fed, v1::WordSplit split) {
  const std::vector<Place> places = PlacesOf(fed, split);
  std::vector<TokenSpan> words;
  size_t from = 0;
  for (const ByteSpan& word :
       SplitWords(fed.text.substr(static_cast<size_t>(fed.own_begin)), split)) {
    words.push_back(Gather(places, word, fed.own_begin, from, HeadOf));
    while (from < places.size() && places[from].end <= word.end + fed.own_begin) ++from;
  }
  return words;
}

std::vector<TokenSpan> RegionsOf(const FedText& fed, std::span<const ByteSpan> regions) {
  const std::vector<Place> places = PlacesOf(fed, v1::WORD_SPLIT_WHITESPACE);
  std::vector<TokenSpan> spans;
  for (const ByteSpan& region : regions) {
    const auto from =
        std::ranges::lower_bound(places, region.begin + fed.own_begin, {}, &Place::end);
    spans.push_back(Gather(places, region, fed.own_begin,
                           static_cast<size_t>(from - places.begin()), HeadOrBeginOf));
  }
  return spans;
}

TokenSpan TokensOver(const FedText& fed, ByteSpan bytes) {
  const int32_t begin = bytes.begin + fed.own_begin;
  return Gather(PlacesOf(fed, v1::WORD_SPLIT_WHITESPACE), bytes, fed.own_begin, 0,
                [&](const Place& place) {
                  return place.is_empty()    ? std::nullopt
                         : place.end > begin ? std::optional(std::max(place.begin, begin))
                                             : std::optional(place.begin);
                });
}

std::vector<uint8_t> WordIdSets(const Tokenizer& tokenizer, std::optional<int32_t> eos,
                                int32_t vocab_size) {
  std::vector<uint8_t> sets(static_cast<size_t>(vocab_size));
  bool any = false;
  for (int32_t id = 0; id < std::min(vocab_size, tokenizer.vocab_size()); ++id) {
    if (tokenizer.TokenBytes(id).empty()) continue;
    const bool begins = tokenizer.BeginsWord(id);
    any |= begins;
    uint8_t& of_id = sets[static_cast<size_t>(id)];
    of_id = begins ? kBeginsWord | kBeginsWordOrEnds : kContinuesWord;
    if (id == eos) of_id |= kBeginsWordOrEnds;
  }
  if (!any) sets.clear();
  return sets;
}

std::vector<uint8_t> SetsFor(const WordPlan& plan, std::span<const int32_t> ids,
                             std::span<const uint8_t> id_sets, int32_t first, int32_t end) {
  std::vector<uint8_t> sets;
  if (!plan.corrects() || first >= end) return sets;
  const bool with_eos = plan.correction == v1::WORD_CORRECTION_PIMENTEL_MEISTER;
  sets.assign(static_cast<size_t>(end - first) + 1, with_eos ? kBeginsWordOrEnds : kBeginsWord);
  for (int32_t token = first; token < end; ++token) {
    if (BeginsInsideWord(plan, ids, id_sets, token)) {
      sets[static_cast<size_t>(token - first)] = kContinuesWord;
    }
  }
  return sets;
}

v1::SpanScore ToSpanScore(const WordPlan& plan, const TokenSpan& span, const ScoredRun& run) {
  v1::SpanScore score;
  score.set_begin(span.bytes.begin);
  score.set_end(span.bytes.end);
  score.set_first_token(span.first_token);
  score.set_tokens(span.tokens);
  score.set_shared_tokens(span.shared_tokens);
  const int32_t end = span.first_token + span.tokens;
  if (span.tokens == 0 || span.first_token < run.first || end > run.end) return score;
  const auto at = [&](int32_t place) -> const engine::TokenScore& {
    return run.scores[static_cast<size_t>(place - run.first)];
  };
  double logprob = 0;
  for (int32_t token = span.first_token; token < end; ++token) logprob += at(token).logprob;
  if (plan.corrects()) {
    const int32_t id = run.ids[static_cast<size_t>(span.first_token)];
    if (BeginsWord(id, run.id_sets) ||
        BeginsInsideWord(plan, run.ids, run.id_sets, span.first_token)) {
      logprob -= at(span.first_token).set_logprob;
    }
    logprob += at(end).set_logprob;
  }
  score.set_logprob(logprob);
  return score;
}

}  // namespace dyad
