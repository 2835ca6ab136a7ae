// Checks first, then tokens.
#include "server/api/parse_words.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/api/request_error.h"
#include "server/base/status_macros.h"

namespace dyad {
namespace {

constexpr int kMaxRegions = 1024;  // of an item

absl::StatusOr<ByteSpan> ParseSpan(const std::string& field, const v1::ByteSpan& span,
                                   std::string_view text) {
  const auto size = static_cast<int32_t>(text.size());
  if (span.begin() < 0 || span.begin() >= span.end() || span.end() > size) {
    return InvalidField({field, absl::StrCat("[", span.begin(), ", ", span.end(), ")"),
                         absl::StrCat("must be bytes of the text, which has ", size)});
  }
  for (const int32_t at : {span.begin(), span.end()}) {
    const bool is_inside =
        at < size && (static_cast<uint8_t>(text[static_cast<size_t>(at)]) & 0xC0) == 0x80;
    if (!is_inside) continue;
    return InvalidField({field, absl::StrCat("[", span.begin(), ", ", span.end(), ")"),
                         absl::StrCat("must not cut the character around byte ", at)});
  }
  return ByteSpan{span.begin(), span.end()};
}

bool AsksForSpans(const v1::ScoreItem& item) {
  return item.has_scored() || !item.regions().empty();
}

// Scores only what overlaps the bytes.
absl::Status Narrow(const std::string& field, const FedText& fed, ByteSpan bytes, LaidOut& input) {
  const TokenSpan over = TokensOver(fed, bytes);
  const int32_t end = over.first_token + over.tokens;
  if (over.tokens == 0 || end <= input.scored_from) return NothingToScore(field);
  input.scored_from = std::max(input.scored_from, over.first_token);
  input.not_scored = static_cast<int32_t>(input.ids.size()) - end;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WordRequest> ParseWordOptions(const v1::ScoreRequest& proto,
                                             const ServedModel& model) {
  WordRequest words;
  if (!proto.has_words()) return words;
  const v1::WordOptions& options = proto.words();
  if (!v1::WordSplit_IsValid(options.split())) {
    return InvalidField({"words.split", absl::StrCat(static_cast<int>(options.split())),
                         absl::StrCat("must be in [0, ", v1::WordSplit_MAX, "]")});
  }
  if (!v1::WordCorrection_IsValid(options.correction())) {
    return InvalidField({"words.correction", absl::StrCat(static_cast<int>(options.correction())),
                         absl::StrCat("must be in [0, ", v1::WordCorrection_MAX, "]")});
  }
  words.split =
      options.split() == v1::WORD_SPLIT_UNSPECIFIED ? v1::WORD_SPLIT_WHITESPACE : options.split();
  if (options.correction() > v1::WORD_CORRECTION_NONE) words.correction = options.correction();
  if (words.correction == v1::WORD_CORRECTION_NONE || model.tokenizer == nullptr) return words;
  if (model.word_id_sets.empty()) {
    return WithReason(absl::FailedPreconditionError(absl::StrCat(
                          "model ", model.name,
                          " has no vocabulary entry that begins with \"Ġ\", so nothing tells where "
                          "words begin; words.correction must be NONE")),
                      "NO_WORD_MARKS");
  }
  if (words.correction == v1::WORD_CORRECTION_PIMENTEL_MEISTER && model.eos_ids.empty()) {
    return WithReason(
        absl::FailedPreconditionError(absl::StrCat("model ", model.name,
                                                   " names no EOS token, which "
                                                   "words.correction PIMENTEL_MEISTER needs")),
        "NO_EOS_TOKEN");
  }
  return words;
}

absl::Status PlanSpans(const ServedModel& model, const WordRequest& words, const std::string& field,
                       const v1::ScoreItem& item, LaidOut& input) {
  if (!words.split.has_value() && !AsksForSpans(item)) return absl::OkStatus();
  if (input.is_normalized) {
    return InvalidField(
        {absl::StrCat(field, item.has_context_text() ? ".context_text or text" : ".text"),
         "not in Unicode's form NFC",
         "must be, as the tokenizer normalises to it and spans would be of another text"});
  }
  const std::string_view own =
      std::string_view(input.fed).substr(static_cast<size_t>(input.own_begin));
  const FedText fed = {input.fed, input.offsets, input.own_begin};
  if (item.has_scored()) {
    const std::string name = absl::StrCat(field, ".scored");
    ASSIGN_OR_RETURN(const ByteSpan bytes, ParseSpan(name, item.scored(), own));
    RETURN_IF_ERROR(Narrow(name, fed, bytes, input));
  }
  if (item.regions_size() > kMaxRegions) {
    return InvalidField({absl::StrCat(field, ".regions"),
                         absl::StrCat(item.regions_size(), " long"),
                         absl::StrCat("must have at most ", kMaxRegions, " entries")});
  }
  std::vector<ByteSpan> regions;
  for (int i = 0; i < item.regions_size(); ++i) {
    ASSIGN_OR_RETURN(const ByteSpan region,
                     ParseSpan(absl::StrCat(field, ".regions[", i, "]"), item.regions(i), own));
    regions.push_back(region);
  }
  input.spans.correction = words.correction;
  if (words.split.has_value()) input.spans.words = WordsOf(fed, *words.split);
  input.spans.regions = RegionsOf(fed, regions);
  input.sets =
      SetsFor(input.spans, input.ids, model.word_id_sets, input.scored_from, input.scored_end());
  return absl::OkStatus();
}

absl::Status RefuseSpans(const WordRequest& words, const std::string& field,
                         const v1::ScoreItem& item) {
  const std::string name = words.split.has_value() ? "words"
                           : item.has_scored()     ? absl::StrCat(field, ".scored")
                                                   : absl::StrCat(field, ".regions");
  if (!words.split.has_value() && !AsksForSpans(item)) return absl::OkStatus();
  return InvalidField({name, "set", absl::StrCat("needs text; ", field, " has ids")});
}

}  // namespace dyad
